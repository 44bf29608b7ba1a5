"""`manage.py broker_accounts`: who may sign in at the MQTT broker, as the database has it."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from devices import keys
from devices.broker import BrokerAway, DynamicSecurity, accounts

WAIT_SECONDS = 30


class Command(BaseCommand):
    help = "Set up roles and accounts at the MQTT broker and bring them in step with the database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rebuild",
            metavar="FILE",
            type=Path,
            help="Write a whole dynamic-security.json instead; put it in the stopped broker's folder, then start it.",
        )

    def handle(self, *args: Any, rebuild: Path | None, **options: Any) -> None:
        if rebuild is not None:
            self.rebuild(rebuild)
        else:
            self.bring_in_step()

    def rebuild(self, path: Path) -> None:
        passwords = keys.broker_passwords()
        content = DynamicSecurity().whole_file(passwords)
        path.touch()
        path.chmod(0o600)
        path.write_text(content)
        self.stdout.write(f"Wrote {path} with {len(passwords)} accounts of devices and sources.")

    def bring_in_step(self) -> None:
        wait_and_set_up()
        report = accounts().reconcile(keys.broker_passwords())
        self.stdout.write(f"The broker is set up; {len(report.removed)} unknown accounts removed.")
        if report.missing:
            names = "\n".join(f"  {name}" for name in report.missing)
            self.stderr.write(
                f"These have a key but no account at the broker; issue a new one, or use --rebuild:\n{names}"
            )


def wait_and_set_up() -> None:
    """The broker may still be starting, as when everything is started at once."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return accounts().setup()
        except BrokerAway as error:
            if time.monotonic() > deadline:
                raise CommandError(f"The broker did not answer within {WAIT_SECONDS} seconds.") from error
            time.sleep(0.5)
