"""The sample world: a small company whose devices are simulated, so that no page is empty at the first look."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from django.conf import settings
from django.db import transaction

from accounts.models import Organization
from alerts.models import Rule, Severity
from dashboards.models import Dashboard, Tile
from devices import keys
from devices.broker import accounts
from devices.models import Device, DeviceType, Sensor, SensorType, Source, Unit
from devices.simulation import Busy, Meter, Signal, SimulatedDevice, Wave
from readings import review
from readings.ingest import Message, ingest, now
from readings.models import Protocol, Reading

HISTORY = timedelta(days=14)
HISTORY_STEP = timedelta(minutes=10)
RECENT = timedelta(hours=1)
MESSAGES_A_BATCH = 1_000

UNITS = {
    "factory": ("Factory A - Production Floor", "Building 1, Floor 2"),
    "warehouse": ("Warehouse B - Storage Area", "Building 3, Ground Floor"),
    "office": ("Office Building C", "Building 2, All Floors"),
    "data-center": ("Data Center", "Building 4, Basement"),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One device of the sample world."""

    external_id: str
    name: str
    unit: str
    device_type: str
    interval_seconds: int
    signals: dict[str, Signal]

    @property
    def uuid(self) -> str:
        """Always the same, so that the examples of the documentation work as printed."""
        return str(uuid5(NAMESPACE_URL, f"https://sample.invalid/devices/{self.external_id}"))


def _climate(temperature: float, swing: float = 1.5, humidity: float = 45) -> dict[str, Signal]:
    return {
        "temperature": Wave(temperature, swing, 0.15),
        "humidity": Wave(humidity, -6, 0.6, digits=1),
        "pressure": Wave(101_325, 220, 25, digits=0),
    }


def _surroundings(temperature: float) -> dict[str, Signal]:
    return {
        **_climate(temperature, 2.5),
        "motion": Wave(6, 5, 2, digits=0, floor=0),
        "light": Wave(420, 260, 15, digits=0),
        "sound": Wave(58, 9, 3, digits=1),
    }


SAMPLES = [
    Sample("boiler-thermostat", "Boiler thermostat", "factory", "thermostat", 2, _climate(62, 3, 30)),
    Sample("line-1-climate", "Line 1 climate", "factory", "environment_sensor", 3, _surroundings(23)),
    Sample(
        "press-plug",
        "Press power plug",
        "factory",
        "smart_plug",
        10,
        {"power_on": Busy(0.9), "energy_usage": Meter(2.4)},
    ),
    Sample(
        "gate-camera",
        "Gate camera",
        "warehouse",
        "camera",
        10,
        {"motion_detected": Busy(0.35, 120), "brightness": Wave(52, 38, 3, digits=0)},
    ),
    Sample(
        "aisle-motion",
        "Aisle 4 motion sensor",
        "warehouse",
        "motion_sensor",
        15,
        {"motion_detected": Busy(0.5, 180), "sensitivity": Wave(75, 0, 0, digits=0)},
    ),
    Sample(
        "loading-lock",
        "Loading door lock",
        "warehouse",
        "door_lock",
        30,
        {"locked": Busy(0.7, 1800), "battery_level": Wave(64, 1.5, 0.4, digits=0)},
    ),
    Sample("meeting-thermostat", "Meeting room thermostat", "office", "thermostat", 10, _climate(21.5)),
    Sample(
        "coffee-plug",
        "Coffee machine plug",
        "office",
        "smart_plug",
        20,
        {"power_on": Busy(0.6), "energy_usage": Meter(0.3)},
    ),
    Sample(
        "entrance-lock",
        "Entrance lock",
        "office",
        "door_lock",
        30,
        {"locked": Busy(0.8, 900), "battery_level": Wave(88, 1, 0.4, digits=0)},
    ),
    Sample("rack-1-climate", "Rack 1 climate", "data-center", "environment_sensor", 5, _surroundings(24)),
    Sample("rack-2-thermostat", "Rack 2 thermostat", "data-center", "thermostat", 5, _climate(31, 0.6, 38)),
]

Progress = Callable[[str, int, int], None]  # what is being done, done so far, of how many


def build(organization: Organization, progress: Progress) -> None:
    """Make the sample world in an organization that has no devices. What exists already stays as it is."""
    with transaction.atomic():
        devices = _make_devices(organization)
        _make_rules(organization, devices)
        _make_dashboard(organization)
    accounts().update_roles()  # the Listener may read what the source writes
    for sample in SAMPLES:
        key_of(devices[sample.external_id])
    _write_history(progress)
    _review(organization)
    _let_speak()


def simulated() -> list[SimulatedDevice]:
    """The devices of the sample world that still exist, ready to publish with their own keys."""
    devices = {
        str(device.uuid): device
        for device in Device.objects.active().filter(uuid__in=[sample.uuid for sample in SAMPLES])
    }
    return [
        SimulatedDevice(sample.uuid, key_of(devices[sample.uuid]), sample.interval_seconds, sample.signals)
        for sample in SAMPLES
        if sample.uuid in devices
    ]


def key_file(external_id: str) -> Path:
    """Where a simulated device keeps its key, as a real one keeps it in its flash memory."""
    return settings.VAR_DIR / "keys" / external_id


def key_of(device: Device) -> str:
    """The device's key; a new one when it has none here, or when that one was revoked."""
    path = key_file(device.external_id or str(device.uuid))
    if path.exists() and keys.find(secret := path.read_text().strip()):
        return secret
    _, secret = keys.issue(device, name="simulation")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_text(secret)
    return secret


def _make_devices(organization: Organization) -> dict[str, Device]:
    units = {
        code: Unit.objects.create(organization=organization, name=name, location=location)
        for code, (name, location) in UNITS.items()
    }
    types = DeviceType.objects.in_bulk(field_name="code")
    sensor_types = SensorType.objects.in_bulk(field_name="code")
    devices = {}
    for sample in SAMPLES:
        device = Device.objects.create(
            uuid=sample.uuid,
            organization=organization,
            unit=units[sample.unit],
            device_type=types[sample.device_type],
            external_id=sample.external_id,
            name=sample.name,
            location=UNITS[sample.unit][1],
            manufacturer="Simulated",
            firmware_version="1.0.0",
            reading_interval_seconds=sample.interval_seconds,
        )
        for key in sample.signals:
            kind = sensor_types[key]
            Sensor.objects.create(device=device, key=key, name=kind.name, sensor_type=kind, unit=kind.unit)
        devices[sample.external_id] = device
    Source.objects.get_or_create(
        topic_filter="sensor/data",
        defaults={
            "organization": organization,
            "name": "Older boards on one topic",
            "scheme": Source.Scheme.SHARED_TOPIC,
            "device": devices["line-1-climate"],
        },
    )
    return devices


def _make_rules(organization: Organization, devices: dict[str, Device]) -> None:
    types = SensorType.objects.in_bulk(field_name="code")
    Rule.objects.create(
        organization=organization,
        name="Rack too warm",
        sensor=Sensor.objects.get(device=devices["rack-2-thermostat"], key="temperature"),
        operator=Rule.Operator.ABOVE,
        threshold=27,
        severity=Severity.HIGH,
    )
    Rule.objects.create(
        organization=organization,
        name="Battery nearly empty",
        sensor_type=types["battery_level"],
        operator=Rule.Operator.BELOW,
        threshold=20,
        severity=Severity.MEDIUM,
    )
    Rule.objects.create(
        organization=organization,
        name="Boiler overheating",
        sensor=Sensor.objects.get(device=devices["boiler-thermostat"], key="temperature"),
        operator=Rule.Operator.ABOVE,
        threshold=80,
        severity=Severity.CRITICAL,
    )


def _make_dashboard(organization: Organization) -> None:
    dashboard = Dashboard.objects.create(organization=organization, name="Sites at a glance")
    places = [
        ("temperature", "Temperatures", 0, 0, 8, 4, "chart"),
        ("humidity", "Humidity", 8, 0, 4, 4, "value"),
        ("battery_level", "Batteries", 0, 4, 4, 3, "value"),
        ("energy_usage", "Energy", 4, 4, 4, 3, "value"),
        ("sound", "Sound", 8, 4, 4, 3, "chart"),
    ]
    Tile.objects.bulk_create(
        Tile(
            dashboard=dashboard,
            key=f"tile-{code}",
            title=title,
            sensor_type=code,
            x=x,
            y=y,
            w=w,
            h=h,
            options={"kind": kind, "range": 86_400},
        )
        for code, title, x, y, w, h, kind in places
    )


def _write_history(progress: Progress) -> None:
    end = now().replace(microsecond=0)
    moments = {sample.external_id: _moments(sample, end) for sample in SAMPLES}
    total, done = sum(map(len, moments.values())), 0
    messages = (_spoken(sample, when) for sample in SAMPLES for when in moments[sample.external_id])
    while batch := list(itertools.islice(messages, MESSAGES_A_BATCH)):
        ingest(batch, history=True)
        done += len(batch)
        progress("Writing 14 days of history", done, total)


def _moments(sample: Sample, end: datetime) -> list[datetime]:
    """When the device spoke: every ten minutes, and within the last hour as often as it does from now on."""
    recent = end - RECENT
    before = [recent - HISTORY_STEP * step for step in range((HISTORY - RECENT) // HISTORY_STEP, 0, -1)]
    interval = timedelta(seconds=sample.interval_seconds)
    return before + [recent + interval * step for step in range(RECENT // interval)]


def _spoken(sample: Sample, when: datetime) -> Message:
    """What the device said at that time."""
    device = SimulatedDevice(sample.uuid, "", sample.interval_seconds, sample.signals)
    payload = json.dumps(device.readings(when)).encode()
    return Message(sample.uuid, payload, when, Protocol.MQTT, f"devices/{sample.uuid}/up/readings")


def _review(organization: Organization) -> None:
    """Some readings have been looked at by people, so that the data review shows every status."""
    ids = list(
        Reading.objects.filter(sensor__device__organization=organization)
        .order_by("time")
        .values_list("pk", flat=True)[:600]
    )
    review.validate(ids[:400], Reading.objects.all())
    review.archive(ids[:200], Reading.objects.all())


def _let_speak() -> None:
    """Each device says something now, through the same corridor; the rack that is too warm opens an alert."""
    when = now()
    ingest([_spoken(sample, when) for sample in SAMPLES])
