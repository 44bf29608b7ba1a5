"""What pages ask of the present: what needs attention, what is newest. Each answer is a constant number of queries."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Case, CharField, Count, F, Prefetch, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce

from accounts.permissions import Actor
from alerts.models import Alert, Severity
from devices.models import Device, DeviceState, Sensor
from readings.models import SensorState

NEWEST_READINGS = 16
NEWEST_CHANGES = 6
NEWEST_ALERTS = 5
SENSORS_IN_A_ROW = 3

# Device.status, as the database says it
STATUS = Case(
    When(mode=Device.Mode.ACTIVE, then=Coalesce("state__status", Value(DeviceState.Status.REGISTERED))),
    default=F("mode"),
    output_field=CharField(),
)


@dataclass(frozen=True, slots=True)
class Attention:
    """How many open alerts of each severity, the worst first, and how many devices of each status."""

    alerts: dict[str, int]
    devices: dict[str, int]

    @property
    def alert_count(self) -> int:
        return sum(self.alerts.values())

    @property
    def device_count(self) -> int:
        return sum(self.devices.values())

    @property
    def silent(self) -> int:
        return self.devices.get(DeviceState.Status.OFFLINE, 0)

    @property
    def tone(self) -> str:
        """How loud the first line of the overview is."""
        if self.alerts.keys() & {Severity.HIGH.label, Severity.CRITICAL.label}:
            return "critical"
        return "attention" if self.alerts or self.silent else "good"


def attention(actor: Actor) -> Attention:
    """What the first line of the overview says."""
    alerts = Alert.objects.visible_to(actor).open().order_by("-severity").values_list("severity")
    devices = Device.objects.visible_to(actor).order_by().annotate(word=STATUS).values_list("word")
    return Attention(
        alerts={Severity(severity).label: count for severity, count in alerts.annotate(count=Count("pk"))},
        devices=dict(devices.annotate(count=Count("pk")).order_by("-count", "word")),
    )


def alerts_found(actor: Actor, status: str, severity: str = "", device: Device | None = None) -> QuerySet[Alert]:
    """Alerts by status (`open`, one of Alert.Status, or `all`), severity and device; the open ones first."""
    alerts = Alert.objects.visible_to(actor)
    if status == "open":
        alerts = alerts.open()
    elif status != "all":
        alerts = alerts.filter(status=status)
    if severity:
        alerts = alerts.filter(severity=Severity[severity.upper()])
    if device:
        alerts = alerts.filter(device=device)
    return with_names(alerts.annotate(is_over=Q(status=Alert.Status.RESOLVED)).order_by("is_over", "-opened_at", "-pk"))


def with_names(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """Alerts with all that a row of them shows."""
    return alerts.select_related(
        "device",
        "rule",
        "sensor__device",
        "sensor__sensor_type",
        "sensor__reading_state",
        "acknowledged_by",
        "resolved_by",
    )


def worst_alerts(actor: Actor) -> QuerySet[Alert]:
    """The few open alerts that the overview names."""
    return with_names(Alert.objects.visible_to(actor).open()).order_by("-severity", "-opened_at")[:NEWEST_ALERTS]


def newest_readings(actor: Actor) -> list[Sensor]:
    """The sensors heard of last, each with its newest reading."""
    newest = SensorState.objects.visible_to(actor).order_by("-time").values_list("sensor_id", flat=True)
    sensors = with_reading(Sensor.objects.filter(pk__in=list(newest[:NEWEST_READINGS])))
    return list(sensors.order_by("device__name", "key"))


def newest_changes(actor: Actor) -> QuerySet[Device]:
    """Devices that came or went last."""
    heard_of = Device.objects.visible_to(actor).filter(mode=Device.Mode.ACTIVE, state__isnull=False)
    known = heard_of.exclude(state__status=DeviceState.Status.REGISTERED).select_related("state")
    return known.order_by("-state__status_since")[:NEWEST_CHANGES]


def with_reading(sensors: QuerySet[Sensor]) -> QuerySet[Sensor]:
    """Sensors with all that a reading on a page shows."""
    return sensors.select_related("device__unit", "sensor_type", "reading_state")


def with_sensors(devices: QuerySet[Device]) -> QuerySet[Device]:
    """Devices with all that a row of them shows."""
    sensors = Prefetch("sensors", with_reading(Sensor.objects.order_by("pk"))[:SENSORS_IN_A_ROW], "first_sensors")
    return devices.select_related("unit", "device_type", "state").prefetch_related(sensors)


def devices_found(actor: Actor, text: str = "", status: str = "", unit: str = "") -> QuerySet[Device]:
    """Devices by a piece of a name, by status and by unit."""
    devices = with_sensors(Device.objects.visible_to(actor)).annotate(word=STATUS)
    if text:
        devices = devices.filter(_named(text))
    if status:
        devices = devices.filter(word=status)
    if unit:
        devices = devices.filter(unit=int(unit))
    return devices


def _named(text: str) -> Q:
    """Whose name, place, unit, serial number or external id holds this text, or whose UUID it is."""
    columns = ("name", "location", "unit__name", "serial_number", "external_id")
    found = Q()
    for column in columns:
        found |= Q(**{f"{column}__icontains": text})
    with suppress(ValueError):
        found |= Q(uuid=UUID(text))
    return found
