"""Run a command beside real servers, or install what the tests need.

python -m iot_platform.tests postgresql redis mosquitto -- command ...
python -m iot_platform.tests install
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from iot_platform.tests.services import CHROMIUM, Mosquitto, NotInstalled, PostgreSQL, Redis, Server, program

SERVERS: dict[str, type[Server]] = {"postgresql": PostgreSQL, "redis": Redis, "mosquitto": Mosquitto}
NEEDED = {  # Debian's packages, and the programs that show that they are there
    "postgresql": ("postgres",),
    "redis-server": ("redis-server",),
    "mosquitto": ("mosquitto",),
    "mosquitto-clients": ("mosquitto_pub",),
    "chromium": CHROMIUM,
}
FONTS = ("fonts-dejavu-core",)  # a bare machine has none, and a page without letters makes a poor picture
INSTALL = """
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\\nexit 101\\n' > "$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends "$@"
if [ -d /run/systemd/system ]; then
    for package in "$@"; do
        ! systemctl cat "$package.service" > /dev/null 2>&1 || systemctl disable "$package.service"
    done
fi
"""  # the policy and the loop keep Debian from starting its own servers, now and at the next boot


def missing() -> list[str]:
    """The Debian packages of everything that the tests do not find."""
    packages = []
    for package, programs in NEEDED.items():
        try:
            program(*programs)
        except NotInstalled:
            packages.append(package)
    return [*packages, *FONTS] if "chromium" in packages else packages


def install() -> int:
    packages = missing()
    if not packages:
        print("Every server and the browser that the tests need are installed.")
        return 0
    if shutil.which("apt-get") is None:
        print(f"No apt-get here: please install {', '.join(packages)} with this system's own package manager.")
        return 1
    print(f"Installing {', '.join(packages)}", flush=True)
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    return subprocess.call([*as_root, "sh", "-eu", "-c", INSTALL, "install", *packages])


def run(names: Sequence[str], command: Sequence[str]) -> int:
    """The command's exit code; the servers end with it, also on Ctrl-C and when this process is told to end."""
    environment = {name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "JWT_SIGNING_KEY")} | os.environ
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ExitStack() as stack:
        for name in names:
            environment |= stack.enter_context(SERVERS[name]()).environment
        signal.signal(signal.SIGINT, lambda *_: None)  # the terminal tells the command, which ends by itself
        child = stack.enter_context(subprocess.Popen(command, env=environment))
        stack.callback(child.terminate)
        return child.wait()


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["install"]:
        return install()
    names, separator, command = list(arguments), "--", []
    if separator in names:
        at = names.index(separator)
        names, command = names[:at], names[at + 1 :]
    if not command or not set(names) <= SERVERS.keys():
        print(__doc__, f"Servers: {', '.join(SERVERS)}", sep="\n", file=sys.stderr)
        return 2
    try:
        return run(names, command)
    except NotInstalled as absent:
        print(absent, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
