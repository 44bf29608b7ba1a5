"""When to worry: rules, what they found, and who is told."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Self

from django.db import models
from django.utils import timezone

from accounts.models import Organization, TenantQuerySet, User
from devices.models import Device, Sensor, SensorType, Unit

if TYPE_CHECKING:
    from accounts.permissions import Actor


class Severity(models.IntegerChoices):
    INFO = 1, "info"
    LOW = 2, "low"
    MEDIUM = 3, "medium"
    HIGH = 4, "high"
    CRITICAL = 5, "critical"


class RuleQuerySet(TenantQuerySet):
    def visible_to(self, actor: Actor) -> Self:
        """A deleted device takes the rules that watch it alone with it."""
        return super().visible_to(actor).filter(device__deleted_at=None, sensor__device__deleted_at=None)


class Rule(models.Model):
    """A threshold, and the sensors it watches: one sensor, or every one of a type on a device, in a unit, anywhere."""

    class Operator(models.TextChoices):
        ABOVE = "gt", "above"
        AT_LEAST = "gte", "at least"
        BELOW = "lt", "below"
        AT_MOST = "lte", "at most"
        EQUAL = "eq", "equal to"
        UNEQUAL = "ne", "other than"

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="alert_rules")
    name = models.CharField(max_length=120)
    sensor = models.ForeignKey(Sensor, models.CASCADE, null=True, blank=True, related_name="rules")
    sensor_type = models.ForeignKey(SensorType, models.PROTECT, null=True, blank=True, related_name="rules")
    device = models.ForeignKey(Device, models.CASCADE, null=True, blank=True, related_name="rules")
    unit = models.ForeignKey(Unit, models.CASCADE, null=True, blank=True, related_name="rules")
    operator = models.CharField(max_length=4, choices=Operator)
    threshold = models.FloatField()
    severity = models.PositiveSmallIntegerField(choices=Severity, default=Severity.MEDIUM)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = RuleQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(sensor__isnull=False) | models.Q(sensor_type__isnull=False),
                name="rule_watches_something",
            ),
        )

    def __str__(self) -> str:
        return self.name


class AlertQuerySet(TenantQuerySet):
    def visible_to(self, actor: Actor) -> Self:
        return super().visible_to(actor).filter(device__deleted_at=None)

    def open(self) -> Self:
        return self.filter(status__in=(Alert.Status.ACTIVE, Alert.Status.ACKNOWLEDGED))


class Alert(models.Model):
    """A rule that was broken. It copies value and time, because readings are purged and alerts are kept."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        ACKNOWLEDGED = "acknowledged"
        RESOLVED = "resolved"

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="alerts")
    rule = models.ForeignKey(Rule, models.SET_NULL, null=True, related_name="alerts")
    device = models.ForeignKey(Device, models.CASCADE, related_name="alerts")
    sensor = models.ForeignKey(Sensor, models.CASCADE, related_name="alerts")
    severity = models.PositiveSmallIntegerField(choices=Severity)
    status = models.CharField(max_length=12, choices=Status, default=Status.ACTIVE)
    message = models.CharField(max_length=400)
    value = models.FloatField()
    threshold = models.FloatField()
    time = models.DateTimeField(help_text="When the value was measured.")
    opened_at = models.DateTimeField(default=timezone.now)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="+", help_text="Empty: the value went back."
    )

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ("-opened_at", "-pk")
        indexes = (
            models.Index(fields=["organization", "-opened_at"], name="alert_newest_first"),
            models.Index(fields=["organization", "status"], name="alert_by_status"),
        )

    def __str__(self) -> str:
        return self.message


class RuleState(models.Model):
    """Where a rule stands with one sensor: its one open alert, and the newest value it has judged."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="states")
    sensor = models.ForeignKey(Sensor, models.CASCADE, related_name="rule_states")
    alert = models.ForeignKey(Alert, models.SET_NULL, null=True, related_name="+")
    judged_at = models.DateTimeField(help_text="Time of the newest value judged; older values change nothing.")

    class Meta:
        ordering = ("rule", "sensor")
        constraints = (models.UniqueConstraint("rule", "sensor", name="rule_state_once"),)

    def __str__(self) -> str:
        return f"{self.rule} at {self.sensor}"


class Channel(models.Model):
    """Where an organization is told of its alerts: a webhook."""

    class Kind(models.TextChoices):
        WEBHOOK = "webhook"

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="notification_channels")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.WEBHOOK)
    url = models.CharField(max_length=500)
    minimum_severity = models.PositiveSmallIntegerField(choices=Severity, default=Severity.INFO)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name


class DeliveryQuerySet(TenantQuerySet):
    organization_path = "channel__organization"

    def visible_to(self, actor: Actor) -> Self:
        return super().visible_to(actor).filter(alert__device__deleted_at=None)


class Delivery(models.Model):
    """One message to one channel. A row until it is sent, so that a crash loses none; claimed before it is sent."""

    class Event(models.TextChoices):
        OPENED = "opened"
        RESOLVED = "resolved"

    class Status(models.TextChoices):
        PENDING = "pending"
        SENDING = "sending"
        SENT = "sent"
        DEAD = "dead"

    uuid = models.UUIDField(
        default=uuid.uuid4, unique=True, editable=False, help_text="The receiver's key to see it once."
    )
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=8, choices=Event)
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    response_status = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-due_at", "-pk")
        indexes = (models.Index(fields=["status", "due_at"], name="delivery_due"),)
        constraints = (models.UniqueConstraint("alert", "channel", "event", name="delivery_once"),)

    def __str__(self) -> str:
        return f"{self.event} to {self.channel}"
