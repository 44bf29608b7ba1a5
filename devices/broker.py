"""Accounts at the MQTT broker: who may sign in there, and to which topics.

A device's account is its UUID, its password its newest key; two lines in the broker's ACL file say for all devices
what they may do, so such an account needs no role. A source's account is the UUID of the source; its role may write the
topic filter of the source and nothing else. Accounts of our own (the manager, the Listener) have names that are no
UUIDs, so no device can have one of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from devices.control import BrokerAway, Command, Control
from devices.models import Source

__all__ = ["Accounts", "BrokerAway", "DynamicSecurity", "Report", "accounts", "verifier"]

ADMIN_ROLE, LISTENER_ROLE = "admin", "listener"  # the first one is made by the plugin itself
CONTROL_TOPICS, PROBE_TOPICS = "$CONTROL/dynamic-security/#", "platform/probe/#"
UP_TOPICS, DOWN_TOPICS = "devices/+/up/#", "devices/+/down/#"
DEFAULTS = ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe")
PBKDF2_ROUNDS = 101  # as few as Mosquitto itself takes: a key has 256 random bits, no dictionary holds it
FRESH = timedelta(minutes=1)  # an account this young may belong to a key that is being committed


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison with the database found."""

    removed: list[str]  # strangers, signed out and deleted
    missing: list[str]  # have a key but no account; we keep no secrets, so they need a new key or a rebuilt file


class Accounts(Protocol):
    """The broker's side of devices and sources. Every method may raise BrokerAway."""

    def setup(self) -> None:
        """Make roles and our own accounts; may be called again at any time."""

    def update_roles(self) -> None:
        """Bring what the Listener and the sources may do in step with the database."""

    def allow(self, username: str, secret: str, role: str | None = None) -> None:
        """Let this account sign in with this secret from now on; an older secret stops working."""

    def forbid(self, username: str) -> None:
        """Delete the account and cut its live session."""

    def reconcile(self, usernames: Collection[str]) -> Report:
        """Delete the accounts that nobody here knows, and tell which are missing."""


def accounts() -> Accounts:
    """The accounts of the broker that this installation runs with."""
    backend: Accounts = import_string(settings.BROKER_ACCOUNTS)()
    return backend


class CheckedAtConnect:
    """The embedded broker asks the database at each connect, so there is nothing to keep in step."""

    def setup(self) -> None:
        return

    def update_roles(self) -> None:
        return

    def allow(self, username: str, secret: str, role: str | None = None) -> None:
        return

    def forbid(self, username: str) -> None:
        return

    def reconcile(self, usernames: Collection[str]) -> Report:
        return Report(removed=[], missing=[])


class DynamicSecurity:
    """Mosquitto's dynamic security plugin. It answers at once and cuts live sessions itself."""

    def __init__(self) -> None:
        if not settings.MQTT_ADMIN_URL:
            raise ImproperlyConfigured("Set MQTT_ADMIN_URL to mqtt://name:password@host:port of the broker's manager.")
        self._control = Control(settings.MQTT_ADMIN_URL)
        self._listener = _Account.of(settings.MQTT_URL)

    def setup(self) -> None:
        closed = [{"acltype": kind, "allow": False} for kind in DEFAULTS]
        self._control.run([{"command": "setDefaultACLAccess", "acls": closed}])
        self.update_roles()
        if self._listener.username in self._usernames():
            # not deleted and made anew: its session holds what waits for the Listener
            self._control.run([{"command": "setClientPassword", **self._listener.credentials()}])
        else:
            self._control.run([_creation(self._listener, LISTENER_ROLE)])

    def update_roles(self) -> None:
        present = {
            role["rolename"]: {Permission(acl["acltype"], acl["topic"]) for acl in role["acls"]}
            for role in self._control.listed("listRoles", "roles")
        }
        if changes := _changes(present, roles()):
            self._control.run(changes)

    def allow(self, username: str, secret: str, role: str | None = None) -> None:
        # made anew rather than given another password: so it carries the time that `reconcile` looks at
        deletion = {"command": "deleteClient", "username": username}
        self._control.run([deletion, _creation(_Account(username, secret), role)])

    def forbid(self, username: str) -> None:
        self._control.run([{"command": "deleteClient", "username": username}])

    def reconcile(self, usernames: Collection[str]) -> Report:
        known = self._usernames()
        ours = {*usernames, self._control.username, self._listener.username}
        strangers = sorted(name for name, made_at in known.items() if name not in ours and not _is_fresh(made_at))
        self._control.run([{"command": "deleteClient", "username": name} for name in strangers])
        return Report(removed=strangers, missing=sorted(set(usernames) - known.keys()))

    def whole_file(self, passwords: Mapping[str, str]) -> str:
        """A `dynamic-security.json` made of what we keep of each account's password: the way back when the broker lost
        its own."""
        wanted = roles()
        clients = [
            _client(self._control.username, verifier(self._control.password), ADMIN_ROLE),
            _client(self._listener.username, verifier(self._listener.password), LISTENER_ROLE),
            *(_client(name, kept, name if name in wanted else None) for name, kept in passwords.items()),
        ]
        document = {
            "clients": clients,
            "roles": [
                {"rolename": name, "acls": [_acl(permission) for permission in sorted(permissions)]}
                for name, permissions in wanted.items()
            ],
            "defaultACLAccess": dict.fromkeys(DEFAULTS, False),
        }
        return json.dumps(document, indent=1)

    def _usernames(self) -> dict[str, str]:
        """Every account, with the time it was made at as far as we made it."""
        listed = self._control.listed("listClients", "clients")
        return {account["username"]: account.get("textdescription", "") for account in listed}


class Permission(NamedTuple):
    """One thing that a role may do; `kind` as Mosquitto names it."""

    kind: str
    topic: str


def _may_write(*topics: str) -> set[Permission]:
    return {Permission("publishClientSend", topic) for topic in topics}


def _may_read(*topics: str) -> set[Permission]:
    kinds = ("publishClientReceive", "subscribePattern", "unsubscribePattern")
    return {Permission(kind, topic) for topic in topics for kind in kinds}


def roles() -> dict[str, set[Permission]]:
    """Every role that the broker should have. A source that is switched off keeps a role that may do nothing."""
    sources = list(Source.objects.filter(device__deleted_at=None, organization__deleted_at=None))
    filters = [source.topic_filter for source in sources if source.is_enabled]
    return {
        ADMIN_ROLE: _may_write(CONTROL_TOPICS) | _may_read(CONTROL_TOPICS),
        LISTENER_ROLE: _may_read(UP_TOPICS, PROBE_TOPICS, *filters) | _may_write(DOWN_TOPICS, PROBE_TOPICS),
        **{str(source.uuid): _may_write(source.topic_filter) if source.is_enabled else set() for source in sources},
    }


def _changes(present: Mapping[str, set[Permission]], wanted: Mapping[str, set[Permission]]) -> list[Command]:
    """The commands that turn one set of roles into the other; none for what is right already, because each one makes
    the broker write its whole file."""
    commands: list[Command] = [{"command": "deleteRole", "rolename": name} for name in present.keys() - wanted.keys()]
    commands += [{"command": "createRole", "rolename": name} for name in wanted.keys() - present.keys()]
    for name, permissions in wanted.items():
        had = present.get(name, set())
        commands += [
            {"command": "addRoleACL", "rolename": name, **_acl(permission)} for permission in sorted(permissions - had)
        ]
        commands += [
            {"command": "removeRoleACL", "rolename": name, "acltype": permission.kind, "topic": permission.topic}
            for permission in sorted(had - permissions)
        ]
    return commands


def _acl(permission: Permission) -> Command:
    return {"acltype": permission.kind, "topic": permission.topic, "allow": True}


@dataclass(frozen=True, slots=True)
class _Account:
    username: str
    password: str

    @classmethod
    def of(cls, url: str) -> _Account:
        address = urlsplit(url)
        return cls(unquote(address.username or ""), unquote(address.password or ""))

    def credentials(self) -> dict[str, str]:
        return {"username": self.username, "password": self.password}


def _creation(account: _Account, role: str | None) -> Command:
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    roles = [{"rolename": role}] if role else []
    return {"command": "createClient", **account.credentials(), "textdescription": made_at, "roles": roles}


def _is_fresh(made_at: str) -> bool:
    try:
        return datetime.now(UTC) - datetime.fromisoformat(made_at) < FRESH
    except (ValueError, TypeError):  # a stranger's own words
        return False


def verifier(secret: str) -> str:
    """What Mosquitto keeps of a password: `$7$rounds$salt$hash`, PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, PBKDF2_ROUNDS)
    return f"$7${PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _client(username: str, kept: str, role: str | None) -> dict[str, Any]:
    _, _, rounds, salt, digest = kept.split("$")
    roles = [{"rolename": role}] if role else []
    return {"username": username, "password": digest, "salt": salt, "iterations": int(rounds), "roles": roles}
