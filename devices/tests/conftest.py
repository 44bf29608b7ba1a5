"""A Mosquitto of its own for a test, as this installation's broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from devices.broker import DynamicSecurity
from iot_platform.tests.services import Mosquitto, started


@pytest.fixture
def mosquitto(settings: Settings) -> Iterator[Mosquitto]:
    """Running, told of by the settings, and knowing nobody but its manager."""
    for broker in started(Mosquitto):
        settings.MQTT_URL, settings.MQTT_ADMIN_URL = broker.listener_url, broker.admin_url
        settings.BROKER_ACCOUNTS = "devices.broker.DynamicSecurity"
        yield broker


@pytest.fixture
def broker(mosquitto: Mosquitto, db: None) -> Mosquitto:
    """A Mosquitto that has its roles and our own accounts."""
    DynamicSecurity().setup()
    return mosquitto
