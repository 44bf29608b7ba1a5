"""Alerts, rules, channels and deliveries as the API shows and takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from accounts.tenancy import TenantSerializer
from alerts import webhooks
from alerts.live import describe
from alerts.models import Alert, Channel, Delivery, Rule, Severity
from devices.fields import NumberField, SensorTypeField
from devices.models import Device


class SeverityField(serializers.ChoiceField):
    """A severity by its word."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=Severity.labels, **options)

    def to_internal_value(self, data: Any) -> Any:
        return Severity[super().to_internal_value(data).upper()]

    def to_representation(self, value: Any) -> str:
        return Severity(value).label


class RuleSerializer(TenantSerializer):
    sensor_type = SensorTypeField(required=False, allow_null=True)
    device = serializers.SlugRelatedField(
        slug_field="uuid", queryset=Device.objects.all(), required=False, allow_null=True
    )
    threshold = NumberField()
    severity = SeverityField(default=Severity.MEDIUM)

    class Meta:
        model = Rule
        fields = (
            "id",
            "name",
            "sensor",
            "sensor_type",
            "device",
            "unit",
            "operator",
            "threshold",
            "severity",
            "is_enabled",
            "created_at",
        )
        read_only_fields = ("created_at",)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        known = {name: getattr(self.instance, name, None) for name in ("sensor", "sensor_type", "device", "unit")}
        problems = contradictions({**known, **attrs})
        if problems:
            raise serializers.ValidationError(problems)
        return attrs


def contradictions(rule: Mapping[str, Any]) -> dict[str, str]:
    """What keeps a rule from ever watching a sensor, by field."""
    sensor, device, unit = rule.get("sensor"), rule.get("device"), rule.get("unit")
    sensor_type = rule.get("sensor_type")
    problems = {}
    if sensor is None and sensor_type is None:
        problems["sensor"] = "Name a sensor or a sensor type to watch."
    if sensor and sensor_type and sensor.sensor_type_id != sensor_type.pk:
        problems["sensor_type"] = "The sensor is of another type."
    if sensor and device and sensor.device_id != device.pk:
        problems["device"] = "The sensor belongs to another device."
    device = sensor.device if sensor else device
    if device and unit and device.unit_id != unit.pk:
        problems["unit"] = "The device stands in another unit."
    return problems


class AlertSerializer(serializers.Serializer):
    """An alert, as `describe` tells it everywhere."""

    id = serializers.IntegerField()
    rule = serializers.IntegerField(allow_null=True)
    rule_name = serializers.CharField(allow_null=True)
    device = serializers.UUIDField()
    device_name = serializers.CharField()
    sensor_id = serializers.IntegerField()
    sensor_key = serializers.CharField()
    sensor_name = serializers.CharField()
    unit_symbol = serializers.CharField()
    severity = SeverityField()
    status = serializers.ChoiceField(choices=Alert.Status.choices)
    message = serializers.CharField()
    value = serializers.FloatField()
    threshold = serializers.FloatField()
    time = serializers.DateTimeField()
    opened_at = serializers.DateTimeField()
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolved_by = serializers.CharField(allow_null=True)

    def to_representation(self, instance: Alert) -> dict[str, Any]:
        return describe(instance)


class ChannelSerializer(TenantSerializer):
    minimum_severity = SeverityField(default=Severity.INFO)

    class Meta:
        model = Channel
        fields = ("id", "name", "kind", "url", "minimum_severity", "is_enabled", "created_at")
        read_only_fields = ("created_at",)

    def validate_url(self, url: str) -> str:
        try:
            webhooks.check(url)
        except webhooks.Refused as refusal:
            raise serializers.ValidationError(str(refusal)) from refusal
        return url


class DeliverySerializer(TenantSerializer):
    channel_name = serializers.CharField(source="channel.name")

    class Meta:
        model = Delivery
        fields = (
            "id",
            "uuid",
            "alert",
            "channel",
            "channel_name",
            "event",
            "status",
            "attempts",
            "due_at",
            "sent_at",
            "response_status",
            "error",
        )
        read_only_fields = fields
