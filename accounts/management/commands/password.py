"""Give somebody a new random password."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.authentication import find_person
from accounts.ownership import first_owner, random_password


class Command(BaseCommand):
    help = "Set and print a new random password, and end every session of that person."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("who", nargs="?", help="username or e-mail; the first owner when left out")

    def handle(self, *args: Any, **options: Any) -> None:
        who = options["who"]
        user = find_person(who) if who else first_owner()
        if user is None:
            raise CommandError(
                f"There is nobody called {who}." if who else "There is no owner: `manage.py create_owner`."
            )
        password = random_password()
        user.set_password(password)
        user.save(update_fields=["password"])  # which ends the sessions
        self.stdout.write(f"Sign in as {user.username} with {password}")
        if not user.is_active:
            self.stdout.write("This person is not active and cannot sign in.")
