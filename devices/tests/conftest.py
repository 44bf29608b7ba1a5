"""A Mosquitto of its own for a test, as this installation's broker."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from devices.broker import DynamicSecurity
from devices.tests.mosquitto import Mosquitto, running_mosquitto


@pytest.fixture
def mosquitto(settings: Settings) -> Iterator[Mosquitto]:
    """Running, set up, and told of by the settings."""
    folder = Path(tempfile.mkdtemp(prefix="mosquitto-"))
    folder.chmod(0o711)  # the broker drops root; its own folder inside is closed
    try:
        with running_mosquitto(folder) as broker:
            settings.MQTT_URL, settings.MQTT_ADMIN_URL = broker.listener_url, broker.admin_url
            settings.BROKER_ACCOUNTS = "devices.broker.DynamicSecurity"
            yield broker
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def broker(mosquitto: Mosquitto, db: None) -> Mosquitto:
    """A Mosquitto that has its roles and our own accounts."""
    DynamicSecurity().setup()
    return mosquitto
