"""What is out there: places, devices, their sensors and the keys they speak with."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Self

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from accounts.models import Organization, TenantQuerySet, User
from devices.quantities import UNITS

if TYPE_CHECKING:
    from accounts.permissions import Actor

KEY_PATTERN = r"^[a-zA-Z0-9_-]{1,50}$"


class Unit(models.Model):
    """A place that devices belong to: a production floor, a warehouse, an office."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="units")
    name = models.CharField(max_length=255)
    location = models.CharField(max_length=500)
    description = models.TextField(blank=True, max_length=5000)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name


class SensorType(models.Model):
    """A kind of quantity that sensors measure, with its canonical unit and the range that is plausible."""

    class Kind(models.TextChoices):
        NUMBER = "number"
        BOOLEAN = "boolean"

    code = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.NUMBER)
    unit = models.CharField(max_length=20, blank=True, choices=[(code, unit.symbol) for code, unit in UNITS.items()])
    minimum = models.FloatField(null=True, blank=True, help_text="A lower value is marked as an anomaly.")
    maximum = models.FloatField(null=True, blank=True, help_text="A higher value is marked as an anomaly.")

    class Meta:
        ordering = ("code",)

    def __str__(self) -> str:
        return self.name


class DeviceType(models.Model):
    """A kind of device and the sensors that one usually has."""

    code = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    sensor_types = models.ManyToManyField(SensorType, blank=True, related_name="device_types")

    class Meta:
        ordering = ("code",)

    def __str__(self) -> str:
        return self.name


class DeviceQuerySet(TenantQuerySet):
    device_path = "pk"

    def active(self) -> Self:
        return self.filter(deleted_at=None)

    def visible_to(self, actor: Actor) -> Self:
        return super().visible_to(actor).active()


class Device(models.Model):
    """A thing that sends readings with keys of its own. From outside it is addressed by its UUID."""

    class Mode(models.TextChoices):
        ACTIVE = "active"
        MAINTENANCE = "maintenance"
        DISABLED = "disabled"

    class Clock(models.TextChoices):
        DEVICE = "device"
        ARRIVAL = "arrival"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="devices")
    unit = models.ForeignKey(Unit, models.SET_NULL, null=True, blank=True, related_name="devices")
    device_type = models.ForeignKey(DeviceType, models.PROTECT, related_name="devices")
    # null, not "": unique where it is given
    external_id = models.CharField(max_length=120, null=True, blank=True)  # noqa: DJ001
    name = models.CharField(max_length=120)
    location = models.CharField(max_length=255, blank=True)
    manufacturer = models.CharField(max_length=120, blank=True)
    model = models.CharField(max_length=120, blank=True)
    serial_number = models.CharField(max_length=120, blank=True)
    mac_address = models.CharField(
        max_length=17, blank=True, validators=[RegexValidator(r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")]
    )
    firmware_version = models.CharField(max_length=60, blank=True)
    reading_interval_seconds = models.PositiveIntegerField(
        default=300,
        validators=[MinValueValidator(1)],
        help_text="How often it sends. After three intervals of silence, five minutes at least, it counts as offline.",
    )
    mode = models.CharField(max_length=12, choices=Mode, default=Mode.ACTIVE)
    clock = models.CharField(
        max_length=8, choices=Clock, default=Clock.DEVICE, help_text="`arrival` ignores the time that the device sends."
    )
    last_maintenance_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = DeviceQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")
        constraints = (models.UniqueConstraint("organization", "external_id", name="device_external_id_once"),)

    def __str__(self) -> str:
        return self.name

    @property
    def status(self) -> str:
        """maintenance or disabled when a person set it so, else what its messages say: registered, online, offline."""
        if self.mode != self.Mode.ACTIVE:
            return self.mode
        state = getattr(self, "state", None)
        return state.status if state else DeviceState.Status.REGISTERED


class DeviceState(models.Model):
    """What is known of a device right now. Written by `presence` alone."""

    class Status(models.TextChoices):
        REGISTERED = "registered"  # never heard of yet
        ONLINE = "online"
        OFFLINE = "offline"

    device = models.OneToOneField(Device, models.CASCADE, primary_key=True, related_name="state")
    status = models.CharField(max_length=10, choices=Status, default=Status.REGISTERED)
    status_since = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(null=True)
    last_accepted_at = models.DateTimeField(null=True)
    last_refused_at = models.DateTimeField(null=True)
    last_refused_reason = models.CharField(max_length=24, blank=True)

    class Meta:
        ordering = ("device",)

    def __str__(self) -> str:
        return f"{self.device}: {self.status}"


class SensorQuerySet(TenantQuerySet):
    organization_path = "device__organization"
    device_path = "device"

    def visible_to(self, actor: Actor) -> Self:
        return super().visible_to(actor).filter(device__deleted_at=None)


class PresentSensors(models.Manager):
    """Sensors that were not deleted."""

    def get_queryset(self) -> SensorQuerySet:
        return SensorQuerySet(self.model, using=self._db).filter(deleted_at=None)

    def visible_to(self, actor: Actor) -> SensorQuerySet:
        return self.get_queryset().visible_to(actor)


class Sensor(models.Model):
    """One quantity of one device. `key` is its name on the wire, unique on the device."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        INACTIVE = "inactive"
        MAINTENANCE = "maintenance"

    id = models.AutoField(primary_key=True)  # int4: every reading carries it
    device = models.ForeignKey(Device, models.CASCADE, related_name="sensors")
    sensor_type = models.ForeignKey(SensorType, models.PROTECT, related_name="sensors")
    key = models.CharField(max_length=50, validators=[RegexValidator(KEY_PATTERN)])
    name = models.CharField(max_length=255)
    unit = models.CharField(max_length=20, blank=True, choices=[(code, unit.symbol) for code, unit in UNITS.items()])
    status = models.CharField(max_length=12, choices=Status, default=Status.ACTIVE)
    minimum = models.FloatField(null=True, blank=True, help_text="Narrows the plausible range of the sensor type.")
    maximum = models.FloatField(null=True, blank=True, help_text="Narrows the plausible range of the sensor type.")
    description = models.TextField(blank=True, max_length=5000)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = PresentSensors()
    with_deleted = SensorQuerySet.as_manager()  # for the clock, which removes them

    class Meta:
        ordering = ("device", "key")
        constraints = (models.UniqueConstraint("device", "key", name="sensor_key_once"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.key})"

    @property
    def unit_symbol(self) -> str:
        return UNITS[self.unit].symbol if self.unit in UNITS else self.unit

    def remove(self) -> None:
        """Vanish from every door at once, leaving the key free for another; the clock removes the readings."""
        self.deleted_at, self.key = timezone.now(), f"deleted-{self.pk}"
        self.save(update_fields=["deleted_at", "key"])


class Source(models.Model):
    """Traffic that does not come under `devices/{uuid}`: whose it is, and which device takes it.

    A source owns one topic filter; the account of that name at the broker may write just there.
    """

    class Scheme(models.TextChoices):
        TYPED_TOPIC = "typed_topic", "sensors/{type}/{sensor_id}"
        SHARED_TOPIC = "shared_topic", "one topic, the sensor type in the body"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="sources")
    name = models.CharField(max_length=120)
    scheme = models.CharField(max_length=12, choices=Scheme)
    topic_filter = models.CharField(max_length=120, unique=True)
    device = models.ForeignKey(Device, models.CASCADE, related_name="sources", help_text="Readings become this one's.")
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name


class DeviceKeyQuerySet(TenantQuerySet):
    organization_path = "device__organization"

    def usable(self) -> Self:
        return self.filter(revoked_at=None, device__deleted_at=None, device__organization__deleted_at=None)


class DeviceKey(models.Model):
    """A device's secret: shown once when it is issued, kept as a hash. It is also its password at the broker."""

    device = models.ForeignKey(Device, models.CASCADE, related_name="keys")
    source = models.ForeignKey(
        Source, models.CASCADE, null=True, blank=True, related_name="keys", help_text="Over MQTT it opens just this."
    )
    name = models.CharField(max_length=120, blank=True)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)  # SHA-256: the secret has 256 random bits
    broker_verifier = models.CharField(max_length=200, blank=True, editable=False)  # what Mosquitto keeps of it
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = DeviceKeyQuerySet.as_manager()

    class Meta:
        ordering = ("device", "-created_at")

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.device}"

    @property
    def username(self) -> str:
        """Who signs in with it at the broker: the source it was issued for, or else the device."""
        return str((self.source or self.device).uuid)


class BrokerLink(models.Model):
    """The Listener's own word on its connection, so that every process can tell whether MQTT works."""

    name = models.CharField(max_length=60, primary_key=True)
    connected_at = models.DateTimeField(null=True)
    echoed_at = models.DateTimeField(null=True, help_text="When a probe sent by the Listener last came back to it.")
    received = models.BigIntegerField(default=0)
    waiting = models.IntegerField(default=0)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
