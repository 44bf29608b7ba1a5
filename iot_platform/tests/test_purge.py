"""What is deleted vanishes at once; the clock removes it in bites, and removes nothing else."""

import json
from types import SimpleNamespace

import pytest

from accounts.models import Organization
from accounts.ownership import close_organizations
from devices import keys, removal
from devices.models import Device, Sensor
from iot_platform import purge
from readings.ingest import Message, ingest, now
from readings.models import Protocol, Reading, SensorState

pytestmark = pytest.mark.django_db


@pytest.fixture
def measured(cast: SimpleNamespace) -> SimpleNamespace:
    """Five readings of each organization's sensor."""
    for device in (cast.boiler, cast.theirs):
        readings = [{"sensor": "temperature", "value": value} for value in range(5)]
        ingest([Message(str(device.uuid), json.dumps(readings).encode(), now(), Protocol.MQTT)])
    return cast


def kept(cast: SimpleNamespace) -> tuple[int, int]:
    return (
        Reading.objects.filter(sensor=cast.temperature).count(),
        Reading.objects.filter(sensor=cast.their_temperature).count(),
    )


def test_a_deleted_device_is_removed_with_its_readings_and_no_others(measured: SimpleNamespace):
    removal.remove(measured.boiler)
    assert kept(measured) == (5, 5)
    assert purge.purge() is False
    assert kept(measured) == (0, 5)
    assert not Device.objects.filter(pk=measured.boiler.pk).exists()
    assert list(SensorState.objects.values_list("sensor", flat=True)) == [measured.their_temperature.pk]


def test_a_deleted_sensor_is_removed_and_its_key_is_free_at_once(measured: SimpleNamespace):
    measured.temperature.remove()
    again = json.dumps({"sensor": "temperature", "value": 9}).encode()
    assert ingest([Message(str(measured.boiler.uuid), again, now(), Protocol.MQTT)])[0].accepted == 1
    purge.purge()
    assert kept(measured) == (0, 5)
    assert Sensor.objects.get(device=measured.boiler).readings.get().value == 9


def test_a_deleted_organization_is_removed_with_all_it_had(measured: SimpleNamespace):
    _, secret = keys.issue(measured.boiler)
    close_organizations([measured.acme])
    assert keys.find(secret) is None
    purge.purge()
    assert not Organization.objects.filter(pk=measured.acme.pk).exists()
    assert kept(measured) == (0, 5)


def test_a_tick_takes_a_bounded_bite_and_says_that_work_remains(measured: SimpleNamespace, monkeypatch):
    monkeypatch.setattr(purge, "BITE", 2)
    monkeypatch.setattr(purge, "BITES_A_TICK", 1)
    removal.remove(measured.boiler)
    assert purge.purge() is True
    assert kept(measured) == (3, 5)
    while purge.purge():
        pass
    assert kept(measured) == (0, 5)
    assert Device.objects.filter(pk=measured.theirs.pk).exists()
