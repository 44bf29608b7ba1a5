"""`manage.py serve`: from an empty folder to a running platform, in one process."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import Organization
from accounts.ownership import first_owner, has_owner
from devices.models import Device
from iot_platform import running, sample_world


class Command(BaseCommand):
    help = "Run the whole platform in this one process, with SQLite and a broker of its own."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.EMBEDDED:
            raise CommandError(
                "DATABASE_URL, REDIS_URL or MQTT_URL is set: run daphne, celery worker --mqtt and celery beat instead."
            )
        from iot_platform.embedded import Platform, free_port  # imports the server's reactor, which only this needs

        os.umask(0o077)  # what lies under var/ is this user's alone
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us with it ignored
        self.lock()
        self.migrate()
        login = self.login()
        devices = self.sample_world() if settings.DEMO else []
        host = "0.0.0.0" if settings.LAN else settings.HOST  # noqa: S104  only when asked to
        port = self.settled("Port", settings.PORT, free_port(host, settings.PORT))
        mqtt_port = self.settled("MQTT port", settings.MQTT_PORT, free_port(host, settings.MQTT_PORT))
        if settings.LAN:
            settings.ALLOWED_HOSTS.append(lan_address())
        running.remember(
            self.lock_file, running.Address(lan_address() if settings.LAN else "127.0.0.1", port, mqtt_port)
        )
        platform = Platform(host, port, mqtt_port, devices)
        platform.run(ready=lambda: self.welcome(port, mqtt_port, login))
        running.file().unlink()
        self.say("Stopped.")

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def lock(self) -> None:
        """One process a folder: SQLite and the broker's messages are its own."""
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        self.lock_file = running.file().open("a+")
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CommandError(f"The platform is running already: {running.address().url}") from None

    def migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.say("Preparing the database …")
            call_command("migrate", verbosity=0, interactive=False)

    def login(self) -> str:
        """How to sign in: with the password that was just made, or the one that somebody knows already."""
        if has_owner() and (owner := first_owner()):
            return f"Sign in as {owner.username} with your password (`make password` gives a new one)"
        made = StringIO()
        call_command("create_owner", stdout=made)
        return made.getvalue().strip()

    def sample_world(self) -> list[Any]:
        organization = Organization.objects.active().order_by("pk").first()
        if organization and not Device.objects.exists():
            self.say("Making the sample world: 4 units, 11 devices, 14 days of history …")
            sample_world.build(organization, self.progress)
        return sample_world.simulated()

    def progress(self, what: str, done: int, total: int) -> None:
        if sys.stdout.isatty():
            bar = "█" * (30 * done // total)
            self.stdout.write(f"\r{what} {bar:<30} {100 * done // total:3d} %", ending="\n" if done >= total else "")
            self.stdout.flush()
        elif done >= total:
            self.say(f"{what}: done")

    def settled(self, what: str, wanted: int, found: int) -> int:
        if found != wanted:
            self.say(f"{what} {wanted} is taken, using {found}.")
        return found

    def welcome(self, port: int, mqtt_port: int, login: str) -> None:
        address = lan_address() if settings.LAN else "127.0.0.1"
        self.say("")
        self.say(f"Open      http://{address}:{port}/")
        if settings.LAN:
            self.say(
                f"Devices   MQTT {address}:{mqtt_port}, HTTP http://{address}:{port}/api/v1/devices/<uuid>/readings"
            )
            self.say("          a device's user name is its UUID, its password its key")
        else:
            self.say(f"MQTT      127.0.0.1:{mqtt_port}   (LAN=1 opens both to your network)")
        if (port, mqtt_port) != (settings.PORT, settings.MQTT_PORT):
            self.say("          not the usual ports: those were taken, so the examples of the README need these")
        self.say(f"{login}")
        self.say("Stop with Ctrl-C.")


def lan_address() -> str:
    """The address under which other machines of the local network reach this one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it only chooses the outgoing interface
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
