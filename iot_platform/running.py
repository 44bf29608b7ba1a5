"""Where the platform of this folder listens, for the commands that talk to it from another process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int
    mqtt_port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/"


def file() -> Path:
    return settings.VAR_DIR / "running.json"


def remember(opened: TextIO, address: Address) -> None:
    """Written into the file that the serving process keeps locked."""
    opened.truncate(0)
    opened.write(json.dumps(asdict(address)))
    opened.flush()


def address() -> Address:
    """Where to reach the platform: what MQTT_URL says, else what the running process wrote down, else the defaults."""
    if settings.MQTT_URL:
        broker = urlsplit(settings.MQTT_URL)
        return Address(settings.HOST, settings.PORT, broker.port or 1883)
    try:
        return Address(**json.loads(file().read_text()))
    except (OSError, ValueError, TypeError):
        return Address(settings.HOST, settings.PORT, settings.MQTT_PORT)
