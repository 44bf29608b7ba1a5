"""What was measured, what is known of each sensor now, and what was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.utils import timezone

from accounts.models import Organization, TenantQuerySet
from devices.models import Device, Sensor

if TYPE_CHECKING:
    from accounts.permissions import Actor


class Origin(models.IntegerChoices):
    """Who measured."""

    EDGE = 1, "edge"
    FOG = 2, "fog"
    COAP = 3, "coap"
    MANUAL = 4, "manual"
    IMPORT = 5, "import"


class Protocol(models.IntegerChoices):
    """Which door a reading came through."""

    MQTT = 1, "mqtt"
    HTTP = 2, "http"
    COAP = 3, "coap"
    IMPORT = 4, "import"


class Status(models.IntegerChoices):
    """The review of a reading by people; `invalid` ones leave charts and statistics."""

    PENDING = 1, "pending"
    VALIDATED = 2, "validated"
    ARCHIVED = 3, "archived"
    INVALID = 4, "invalid"


class ReadingQuerySet(models.QuerySet):
    """Readings are found by sensor: `visible_to` resolves the sensors first, so that each query stays on them."""

    def visible_to(self, actor: Actor) -> Self:
        return self.filter(sensor__in=Sensor.objects.visible_to(actor).values("pk"))

    def counted(self) -> Self:
        """Those that charts and statistics show."""
        return self.exclude(status=Status.INVALID)


class Reading(models.Model):
    """One value of one sensor at one time. Written by `store.write` alone; never saved one by one."""

    sensor = models.ForeignKey(
        Sensor, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="readings"
    )  # the corridor authorises and the purge deletes; a constraint costs 40 % of each insert
    time = models.DateTimeField()
    received_at = models.DateTimeField()
    value = models.FloatField()
    origin = models.PositiveSmallIntegerField(choices=Origin)
    protocol = models.PositiveSmallIntegerField(choices=Protocol)
    status = models.PositiveSmallIntegerField(choices=Status, default=Status.PENDING)
    is_anomaly = models.BooleanField(default=False)
    anomaly_details = models.JSONField(null=True)
    reading_count = models.PositiveIntegerField(null=True, help_text="How many raw samples the sender folded into it.")

    objects = ReadingQuerySet.as_manager()

    class Meta:
        ordering = ("-time", "-pk")
        constraints = (models.UniqueConstraint("sensor", "time", name="reading_once"),)

    def __str__(self) -> str:
        return f"{self.value} at {self.time:%Y-%m-%d %H:%M:%S}"


class SensorStateQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor) -> Self:
        return self.filter(sensor__in=Sensor.objects.visible_to(actor).values("pk"))


class SensorState(models.Model):
    """The newest reading of a sensor and its counts, so that no page scans readings. Written by `store` alone."""

    sensor = models.OneToOneField(
        Sensor, models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="reading_state"
    )
    reading_id = models.BigIntegerField()
    time = models.DateTimeField()
    received_at = models.DateTimeField()
    value = models.FloatField()
    origin = models.PositiveSmallIntegerField(choices=Origin)
    is_anomaly = models.BooleanField()
    earliest_time = models.DateTimeField()
    count = models.BigIntegerField()
    anomaly_count = models.BigIntegerField()
    pending_count = models.BigIntegerField()
    validated_count = models.BigIntegerField()
    archived_count = models.BigIntegerField()
    invalid_count = models.BigIntegerField()

    objects = SensorStateQuerySet.as_manager()

    class Meta:
        ordering = ("sensor",)

    def __str__(self) -> str:
        return f"{self.value} at {self.time:%Y-%m-%d %H:%M:%S}"


class Reason(models.TextChoices):
    """Why something was refused. Every refusal has one of these."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    BAD_JSON = "bad_json"
    TOO_DEEP = "too_deep"
    TOO_MANY_KEYS = "too_many_keys"
    DUPLICATE_KEY = "duplicate_key"
    BAD_TEXT = "bad_text"
    BAD_SHAPE = "bad_shape"
    BAD_NAME = "bad_name"
    TOO_MANY_READINGS = "too_many_readings"
    NOT_A_NUMBER = "not_a_number"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    BAD_TIME = "bad_time"
    CLOCK_AHEAD = "clock_ahead"
    TOO_OLD = "too_old"
    UNKNOWN_UNIT = "unknown_unit"
    UNIT_MISMATCH = "unit_mismatch"
    UNKNOWN_TOPIC = "unknown_topic"
    UNKNOWN_DEVICE = "unknown_device"
    DEVICE_DISABLED = "device_disabled"
    UNKNOWN_SENSOR = "unknown_sensor"
    SENSOR_INACTIVE = "sensor_inactive"
    TOO_MANY_SENSORS = "too_many_sensors"
    NOT_STORABLE = "not_storable"
    CONFLICT = "conflict"


class Rejection(models.Model):
    """Something that was refused, with the reason and as much of it as is needed to see why."""

    organization = models.ForeignKey(Organization, models.CASCADE, null=True, related_name="rejections")
    device = models.ForeignKey(Device, models.CASCADE, null=True, related_name="rejections")
    received_at = models.DateTimeField(default=timezone.now)
    protocol = models.PositiveSmallIntegerField(choices=Protocol)
    topic = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=24, choices=Reason)
    detail = models.CharField(max_length=300, blank=True)
    item = models.PositiveIntegerField(null=True, help_text="Its place in a batch, from 0; empty: all of the message.")
    payload = models.BinaryField(help_text="The message as it came, or its beginning.")
    payload_bytes = models.PositiveIntegerField(help_text="Size of the whole message.")

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ("-received_at", "-pk")
        indexes = (models.Index(fields=["organization", "-received_at"], name="rejection_newest_first"),)

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
