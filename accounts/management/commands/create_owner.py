"""Make the first owner of an installation, unless there is one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.ownership import create_owner, has_owner, one_at_a_time

DEFAULT_EMAIL = "admin@localhost"


class Command(BaseCommand):
    help = "Make the first owner, with ADMIN_EMAIL and ADMIN_PASSWORD or a random password; prints the login."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        one_at_a_time()
        if has_owner():
            self.stdout.write("There is an owner already. `manage.py password` gives a new password.")
            return
        try:
            user, password = create_owner(settings.ADMIN_EMAIL or DEFAULT_EMAIL, settings.ADMIN_PASSWORD or None)
        except ValidationError as error:
            raise CommandError(f"ADMIN_EMAIL or ADMIN_PASSWORD: {' '.join(error.messages)}") from error
        self.stdout.write(f"Sign in as {user.username} with {password or 'the password of ADMIN_PASSWORD'}")
