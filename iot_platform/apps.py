"""Registers the checks that every command and every worker runs when it boots."""

from django.apps import AppConfig


class PlatformConfig(AppConfig):
    name = "iot_platform"

    def ready(self) -> None:
        from iot_platform import checks  # noqa: F401  registers itself
