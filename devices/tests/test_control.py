"""How commands get through to a real Mosquitto, or do not."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest
from pytest_django.fixtures import Settings

from devices import keys
from devices.broker import BrokerAway, accounts
from devices.models import Device, DeviceKey, Source
from iot_platform.tests.services import Mosquitto, program

pytestmark = pytest.mark.services


def test_reconcile_reads_every_page(cast: SimpleNamespace, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.control.PAGE", 2)
    devices = [
        Device.objects.create(organization=cast.acme, name=f"number {n}", device_type=cast.boiler.device_type)
        for n in range(5)
    ]
    for device in devices:
        keys.issue(device)
    report = accounts().reconcile(keys.broker_passwords())
    assert (report.removed, report.missing) == ([], [])


def test_many_commands_travel_in_several_messages(cast: SimpleNamespace, broker: Mosquitto) -> None:
    Source.objects.bulk_create(
        Source(organization=cast.acme, name="x", scheme="typed_topic", topic_filter=f"{n}/+/+", device=cast.boiler)
        for n in range(60)
    )
    accounts().update_roles()
    assert len(json.loads(broker.account_file.read_text())["roles"]) == 62


def test_several_processes_may_change_accounts_at_the_same_time(cast: SimpleNamespace, broker: Mosquitto) -> None:
    """They share one account at the broker, which lets only one of them be connected."""
    command = [program("mosquitto_ctrl"), "-h", "127.0.0.1", "-p", str(broker.port), "-u", broker.ADMIN]
    command += ["-P", broker.admin_password, "dynsec", "listClients"]
    stopping = threading.Event()

    def disturb() -> None:
        while not stopping.is_set():
            subprocess.run(command, capture_output=True, check=False)

    rival = threading.Thread(target=disturb)
    rival.start()
    try:
        for n in range(6):
            accounts().allow(f"device-{n}", "secret")
    finally:
        stopping.set()
        rival.join()
    known = {client["username"] for client in json.loads(broker.account_file.read_text())["clients"]}
    assert known >= {f"device-{n}" for n in range(6)}


def test_a_broker_that_is_away_is_said_so_at_once_and_no_key_is_left(cast: SimpleNamespace, broker: Mosquitto) -> None:
    broker.stop()
    started = time.monotonic()
    with pytest.raises(BrokerAway):
        keys.issue(cast.boiler)
    assert time.monotonic() - started < 1
    assert not DeviceKey.objects.exists()


def test_a_wrong_password_of_the_manager_is_a_broker_that_is_away(
    cast: SimpleNamespace, broker: Mosquitto, settings: Settings
) -> None:
    settings.MQTT_ADMIN_URL = broker.admin_url.replace(broker.admin_password, "guess")
    with pytest.raises(BrokerAway):
        keys.issue(cast.boiler)


def test_a_broker_that_keeps_silent_is_away(
    cast: SimpleNamespace, broker: Mosquitto, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.control.TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.MQTT_ADMIN_URL = f"mqtt://admin:x@127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BrokerAway):
            accounts().forbid("anyone")


def test_a_command_that_the_broker_refuses_is_no_success(cast: SimpleNamespace, broker: Mosquitto) -> None:
    with pytest.raises(BrokerAway, match="Role not found"):
        accounts().allow("somebody", "secret", role="no-such-role")
