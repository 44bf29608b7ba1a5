from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from devices import keys
from devices.broker import CheckedAtConnect, accounts, verifier
from devices.management.commands import broker_accounts
from devices.models import Source
from devices.tests.clients import Client
from iot_platform.tests.services import Mosquitto


@pytest.mark.services
def test_it_sets_an_empty_broker_up(cast: SimpleNamespace, mosquitto: Mosquitto, capsys: pytest.CaptureFixture) -> None:
    call_command("broker_accounts")
    assert "set up" in capsys.readouterr().out
    listener = Client(mosquitto, mosquitto.LISTENER, mosquitto.listener_password)
    assert listener.connected == 0
    listener.close()


@pytest.mark.services
def test_it_names_the_accounts_that_the_broker_has_lost(
    cast: SimpleNamespace, mosquitto: Mosquitto, capsys: pytest.CaptureFixture
) -> None:
    call_command("broker_accounts")
    keys.issue(cast.boiler)
    accounts().forbid(str(cast.boiler.uuid))
    call_command("broker_accounts")
    assert str(cast.boiler.uuid) in capsys.readouterr().err


@pytest.mark.services
def test_it_waits_for_a_broker_and_gives_up(
    cast: SimpleNamespace, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    mosquitto.stop()
    monkeypatch.setattr(broker_accounts, "WAIT_SECONDS", 0.6)
    with pytest.raises(CommandError, match="did not answer"):
        call_command("broker_accounts")


@pytest.mark.services
def test_a_rebuilt_file_lets_the_same_keys_in(cast: SimpleNamespace, broker: Mosquitto, tmp_path: Path) -> None:
    source = Source.objects.create(
        organization=cast.acme, name="x", scheme="typed_topic", topic_filter="sensors/+/+", device=cast.boiler
    )
    accounts().update_roles()
    _, secret = keys.issue(cast.boiler)
    _, source_secret = keys.issue(cast.boiler, source=source)
    revoked, revoked_secret = keys.issue(cast.theirs)
    keys.revoke(revoked)

    call_command("broker_accounts", rebuild=tmp_path / "rebuilt.json")
    assert (tmp_path / "rebuilt.json").stat().st_mode & 0o077 == 0
    assert secret not in (tmp_path / "rebuilt.json").read_text()
    broker.stop()
    broker.account_file.write_bytes((tmp_path / "rebuilt.json").read_bytes())
    broker.start()

    device = Client(broker, str(cast.boiler.uuid), secret)
    assert device.publish(f"devices/{cast.boiler.uuid}/up/readings") < 128
    board = Client(broker, str(source.uuid), source_secret)
    assert board.publish("sensors/temperature/kitchen") < 128
    assert board.publish("sensor/data") == 135
    refused = Client(broker, str(cast.theirs.uuid), revoked_secret)
    assert refused.connected == 135
    accounts().update_roles()  # the manager is the same, too
    for client in (device, board, refused):
        client.close()


def test_without_a_manager_there_are_no_accounts_to_keep(settings: Settings) -> None:
    settings.BROKER_ACCOUNTS, settings.MQTT_ADMIN_URL = "devices.broker.DynamicSecurity", ""
    with pytest.raises(ImproperlyConfigured, match="MQTT_ADMIN_URL"):
        accounts()


def test_the_embedded_broker_has_nothing_to_keep_in_step(db: None, capsys: pytest.CaptureFixture) -> None:
    assert isinstance(accounts(), CheckedAtConnect)
    call_command("broker_accounts")
    assert "0 unknown accounts" in capsys.readouterr().out


def test_what_is_kept_of_a_password_is_salted() -> None:
    assert verifier("secret") != verifier("secret")
    assert verifier("secret").startswith("$7$101$")
