#!/bin/sh
# Starts Mosquitto with the platform's configuration. The first start makes the account that manages all others.
#
#   MQTT_ADMIN_PASSWORD  password of that account; needed at the first start only
#   MQTT_ADMIN_USERNAME  its name (admin)
#   FOLDER               what the broker keeps: accounts, queues (/mosquitto/data)
#   PORT, BIND           where it listens (1883 on every interface)
#   PLUGIN               the dynamic security plugin, if it is not where Debian or the official image keep it
set -eu
umask 077

here=$(cd "$(dirname "$0")" && pwd)
FOLDER=${FOLDER:-/mosquitto/data}
PATH=$PATH:/usr/sbin
accounts=$FOLDER/dynamic-security.json

if [ -z "${PLUGIN:-}" ]; then
    for PLUGIN in /usr/lib/mosquitto_dynamic_security.so /usr/lib/*/mosquitto_dynamic_security.so; do
        [ -e "$PLUGIN" ] && break
    done
fi
[ -e "$PLUGIN" ] || { echo "No dynamic security plugin found; set PLUGIN to its path." >&2; exit 1; }

mkdir -p "$FOLDER"
if [ ! -e "$accounts" ]; then
    : "${MQTT_ADMIN_PASSWORD:?is needed at the first start}"
    mosquitto_ctrl dynsec init "$accounts" "${MQTT_ADMIN_USERNAME:-admin}" "$MQTT_ADMIN_PASSWORD" >/dev/null
fi
cp "$here/acl" "$FOLDER/acl"
sed -e "s|@PORT@|${PORT:-1883}|" -e "s|@BIND@|${BIND:-}|" -e "s|@FOLDER@|$FOLDER|" -e "s|@PLUGIN@|$PLUGIN|" \
    "$here/mosquitto.conf.template" >"$FOLDER/mosquitto.conf"

# The plugin writes its file readable for everybody, so the folder must not be. As root the broker becomes `mosquitto`.
chmod 700 "$FOLDER"
[ "$(id -u)" != 0 ] || chown -R mosquitto "$FOLDER"
exec mosquitto -c "$FOLDER/mosquitto.conf"
