"""What is wrong with the settings, said at boot."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

OLDER_NAMES = {
    "APP_ENV": "DEBUG and HTTPS",
    "BACKEND_HOST": "HOST",
    "BACKEND_PORT": "PORT",
    "CORS_ORIGINS": "ALLOWED_ORIGINS",
    "DATABASE_HOST": "DATABASE_URL",
    "DATABASE_NAME": "DATABASE_URL",
    "DATABASE_PASSWORD": "DATABASE_URL",
    "DATABASE_PORT": "DATABASE_URL",
    "DATABASE_USER": "DATABASE_URL",
    "DEMO_PASSWORD": "ADMIN_PASSWORD",
    "DEMO_USERNAME": "ADMIN_EMAIL",
    "JWT_EXPIRATION_HOURS": "ACCESS_TOKEN_EXPIRE_MINUTES",
    "JWT_SECRET": "JWT_SIGNING_KEY",
    "MQTT_BROKER": "MQTT_URL",
    "MQTT_HOST": "MQTT_URL",
    "MQTT_PASSWORD": "MQTT_URL",
    "MQTT_TOPIC": "a source, made under /api/v1/sources",
    "MQTT_USERNAME": "MQTT_URL",
    "POSTGRES_DB": "DATABASE_URL",
    "POSTGRES_HOST": "DATABASE_URL",
    "POSTGRES_PORT": "DATABASE_URL",
    "POSTGRES_USER": "DATABASE_URL",
}


@register()
def separate_processes_share_redis(**_: Any) -> list[CheckMessage]:
    if settings.EMBEDDED or settings.REDIS_URL:
        return []
    return [
        Error(
            "DATABASE_URL or MQTT_URL is set without REDIS_URL.",
            hint="Separate processes reach each other over Redis. Set REDIS_URL, or none of the three for one process.",
            id="iot_platform.E001",
        )
    ]


@register()
def no_older_names(**_: Any) -> list[CheckMessage]:
    """Settings of other systems that people bring along do nothing here, and should not look as if they did."""
    return [
        Warning(f"{name} is set, and nothing reads it.", hint=f"Use {instead}.", id="iot_platform.W001")
        for name, instead in OLDER_NAMES.items()
        if name in os.environ
    ]
