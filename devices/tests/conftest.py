"""A Mosquitto of its own for a test, as this installation's broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from devices.broker import DynamicSecurity
from devices.tests.clients import Client, Connect
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


@pytest.fixture
def connect(broker: Mosquitto) -> Iterator[Connect]:
    clients: list[Client] = []

    def connect(username: object, password: str, client_id: str = "any") -> Client:
        clients.append(Client(broker, None if username is None else str(username), password, client_id))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def listener(broker: Mosquitto, connect: Connect) -> Client:
    return connect(broker.LISTENER, broker.listener_password)
