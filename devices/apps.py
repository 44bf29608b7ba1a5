"""Fills the catalogue after each migration, so that an upgrade brings its new types along."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class DevicesConfig(AppConfig):
    name = "devices"

    def ready(self) -> None:
        from devices.catalogue import fill  # needs the models, which are loaded by now

        post_migrate.connect(fill, sender=self)
