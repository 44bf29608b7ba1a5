"""Places, devices, sensors, sources and keys as the API shows and takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from accounts.permissions import Actor, actor_of
from accounts.tenancy import TenantSerializer
from devices import examples, topics
from devices.fields import NumberField, SensorTypeField, UnitField, ZonedTimeField
from devices.models import Device, DeviceKey, DeviceState, DeviceType, Sensor, SensorType, Source, Unit
from devices.quantities import UNITS

DEVICE_STATUSES = [*DeviceState.Status.values, Device.Mode.MAINTENANCE.value, Device.Mode.DISABLED.value]


@extend_schema_serializer(examples=examples.UNIT)
class UnitSerializer(TenantSerializer):
    class Meta:
        model = Unit
        fields = ("id", "name", "location", "description", "created_at")


@extend_schema_serializer(examples=examples.UNIT_STATISTICS)
class UnitStatisticsSerializer(serializers.Serializer):
    unit_id = serializers.IntegerField()
    unit_name = serializers.CharField()
    total_sensors = serializers.IntegerField()
    active_sensors = serializers.IntegerField()
    inactive_sensors = serializers.IntegerField()
    maintenance_sensors = serializers.IntegerField()


@extend_schema_serializer(examples=examples.SENSOR_TYPE)
class SensorTypeSerializer(serializers.ModelSerializer):
    unit_symbol = serializers.SerializerMethodField()

    class Meta:
        model = SensorType
        fields = ("code", "name", "kind", "unit", "unit_symbol", "minimum", "maximum")

    def get_unit_symbol(self, sensor_type: SensorType) -> str:
        return UNITS[sensor_type.unit].symbol if sensor_type.unit in UNITS else sensor_type.unit


@extend_schema_serializer(examples=examples.DEVICE_TYPE)
class DeviceTypeSerializer(serializers.ModelSerializer):
    sensor_types: serializers.SlugRelatedField[SensorType] = serializers.SlugRelatedField(
        slug_field="code", many=True, read_only=True
    )

    class Meta:
        model = DeviceType
        fields = ("code", "name", "sensor_types")


class NewSensorSerializer(serializers.ModelSerializer):
    """A sensor that is made with its device."""

    sensor_type = SensorTypeField()
    name = serializers.CharField(max_length=255, required=False)
    unit = UnitField(max_length=20, required=False, allow_blank=True)

    class Meta:
        model = Sensor
        fields = ("key", "sensor_type", "name", "unit")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs["unit"] = unit_of(attrs["sensor_type"], attrs.get("unit", ""))
        return {"name": attrs["sensor_type"].name, **attrs}


@extend_schema_serializer(examples=examples.SENSOR)
class SensorSerializer(TenantSerializer):
    """A sensor. Its readings were stored as one quantity in one unit, so neither these nor its device can change."""

    FIXED = ("device", "sensor_type", "unit")

    device = serializers.SlugRelatedField(slug_field="uuid", queryset=Device.objects.all())
    device_name = serializers.CharField(source="device.name", read_only=True)
    sensor_type = SensorTypeField()
    name = serializers.CharField(max_length=255, required=False)
    unit = UnitField(max_length=20, required=False, allow_blank=True)
    unit_symbol = serializers.CharField(read_only=True)
    minimum = NumberField(required=False, allow_null=True)
    maximum = NumberField(required=False, allow_null=True)

    class Meta:
        model = Sensor
        fields = (
            "id",
            "device",
            "device_name",
            "key",
            "name",
            "sensor_type",
            "unit",
            "unit_symbol",
            "status",
            "minimum",
            "maximum",
            "description",
            "created_at",
        )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is None:
            attrs = {"name": attrs["sensor_type"].name, **attrs}
            attrs["unit"] = unit_of(attrs["sensor_type"], attrs.get("unit", ""))
            _check_room(attrs["device"])
        else:
            self._check_unchanged(attrs)
        now = {name: attrs.get(name, getattr(self.instance, name, None)) for name in ("device", "key")}
        if Sensor.objects.filter(**now).exclude(pk=_id(self.instance)).exists():
            raise serializers.ValidationError({"key": "The device has another sensor of this key."}, code="unique")
        low, high = (attrs.get(name, getattr(self.instance, name, None)) for name in ("minimum", "maximum"))
        if low is not None and high is not None and low >= high:
            raise serializers.ValidationError({"maximum": "Must be greater than `minimum`."})
        return attrs

    def _check_unchanged(self, attrs: dict[str, Any]) -> None:
        changed = [name for name in self.FIXED if name in attrs and attrs[name] != getattr(self.instance, name)]
        if changed:
            refusal = "Cannot change: its readings were stored so. Make another sensor."
            raise serializers.ValidationError(dict.fromkeys(changed, refusal), code="fixed")


class SensorOfDeviceSerializer(serializers.ModelSerializer):
    """A sensor where its device is plain."""

    sensor_type = serializers.CharField(source="sensor_type.code")
    unit_symbol = serializers.CharField()

    class Meta:
        model = Sensor
        fields = ("id", "key", "name", "sensor_type", "unit", "unit_symbol", "status")


@extend_schema_serializer(examples=examples.DEVICE)
class DeviceSerializer(TenantSerializer):
    device_type = serializers.SlugRelatedField(slug_field="code", queryset=DeviceType.objects.all())
    unit_name = serializers.CharField(source="unit.name", read_only=True, allow_null=True)
    external_id = serializers.CharField(max_length=120, required=False, allow_null=True, allow_blank=True)
    last_maintenance_at = ZonedTimeField(required=False, allow_null=True)
    status = serializers.ChoiceField(choices=DEVICE_STATUSES, read_only=True)
    last_seen_at = serializers.DateTimeField(source="state.last_seen_at", read_only=True, allow_null=True)
    last_accepted_at = serializers.DateTimeField(source="state.last_accepted_at", read_only=True, allow_null=True)
    last_refused_at = serializers.DateTimeField(source="state.last_refused_at", read_only=True, allow_null=True)
    last_refused_reason = serializers.CharField(source="state.last_refused_reason", read_only=True, allow_null=True)
    sensors = SensorOfDeviceSerializer(many=True, read_only=True)

    class Meta:
        model = Device
        fields = (
            "uuid",
            "external_id",
            "name",
            "device_type",
            "unit",
            "unit_name",
            "location",
            "manufacturer",
            "model",
            "serial_number",
            "mac_address",
            "firmware_version",
            "reading_interval_seconds",
            "mode",
            "clock",
            "status",
            "last_seen_at",
            "last_accepted_at",
            "last_refused_at",
            "last_refused_reason",
            "last_maintenance_at",
            "sensors",
            "created_at",
        )

    def validate_external_id(self, external_id: str | None) -> str | None:
        if not external_id:
            return None
        actor = cast("Actor", actor_of(self.context["request"]))
        same = Device.objects.filter(organization=actor.organization_id, external_id=external_id)
        if same.exclude(pk=_id(self.instance)).exists():
            raise serializers.ValidationError("Another device has this external id.", code="unique")
        return external_id


@extend_schema_serializer(examples=examples.NEW_DEVICE)
class NewDeviceSerializer(DeviceSerializer):
    """A device with its sensors. Without `sensors` it gets those that a device of its type usually has."""

    sensors: serializers.ListSerializer = serializers.ListSerializer(  # type: ignore[assignment]  # more than is shown
        child=NewSensorSerializer(), required=False, max_length=settings.SENSORS_PER_DEVICE
    )

    def validate_sensors(self, sensors: list[dict[str, Any]]) -> list[dict[str, Any]]:
        keys = [sensor["key"] for sensor in sensors]
        if len(set(keys)) < len(keys):
            raise serializers.ValidationError("Each key may appear once.", code="unique")
        return sensors

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> Device:
        sensors = validated_data.pop("sensors", None)
        device = cast("Device", super().create(validated_data))
        if sensors is None:
            sensors = _usual(device.device_type.sensor_types.all())
        Sensor.objects.bulk_create(Sensor(device=device, **sensor) for sensor in sensors)
        return device

    def to_representation(self, instance: Device) -> dict[str, Any]:
        return cast("dict[str, Any]", DeviceSerializer(instance, context=self.context).data)


@extend_schema_serializer(examples=examples.REMOVAL)
class RemovalSerializer(serializers.Serializer):
    """What goes with a deleted device."""

    deleted = serializers.UUIDField()
    sensors = serializers.IntegerField()
    keys = serializers.IntegerField(help_text="Keys that worked until now.")


@extend_schema_serializer(examples=examples.KEY)
class DeviceKeySerializer(TenantSerializer):
    """A key, without its secret. `username` is who signs in with it at the MQTT broker."""

    username = serializers.CharField(read_only=True)
    created_by = serializers.CharField(source="created_by.username", read_only=True, allow_null=True)

    class Meta:
        model = DeviceKey
        fields = (
            "id",
            "name",
            "prefix",
            "source",
            "username",
            "created_by",
            "created_at",
            "last_used_at",
            "revoked_at",
        )

    def validate_source(self, source: Source | None) -> Source | None:
        if source is not None and source.device_id != self.context["device"].pk:
            raise serializers.ValidationError("This source brings readings to another device.")
        return source


@extend_schema_serializer(examples=examples.ISSUED_KEY)
class IssuedKeySerializer(DeviceKeySerializer):
    """A key with its secret, shown this once."""

    secret = serializers.CharField(read_only=True)

    class Meta(DeviceKeySerializer.Meta):
        fields = (*DeviceKeySerializer.Meta.fields, "secret")  # type: ignore[assignment]  # one longer


@extend_schema_serializer(examples=examples.SOURCE)
class SourceSerializer(TenantSerializer):
    """Traffic under a topic of its own. `uuid` is its user name at the MQTT broker."""

    device = serializers.SlugRelatedField(slug_field="uuid", queryset=Device.objects.all())
    topic_filter = serializers.CharField(max_length=120)

    class Meta:
        model = Source
        fields = ("id", "uuid", "name", "scheme", "topic_filter", "device", "is_enabled", "created_at")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        topic_filter, scheme = (
            attrs.get(name, getattr(self.instance, name, "")) for name in ("topic_filter", "scheme")
        )
        try:
            topics.check(topic_filter, scheme)
        except topics.BadFilter as error:
            raise serializers.ValidationError({"topic_filter": str(error)}) from error
        if topics.is_taken(topic_filter, but_for=_id(self.instance)):
            raise serializers.ValidationError({"topic_filter": "This topic filter is not free."}, code="unique")
        return attrs


def unit_of(sensor_type: SensorType, given: str) -> str:
    """The unit of a new sensor: the one given, or the type's. Raises ValidationError for another dimension."""
    if not (given and sensor_type.unit):
        return given or sensor_type.unit
    if UNITS[given].dimension != UNITS[sensor_type.unit].dimension:
        refusal = f"{given} is no unit of {sensor_type.name.lower()}, which is measured in {sensor_type.unit}."
        raise serializers.ValidationError({"unit": refusal}, code="unit_mismatch")
    return given


def _id(row: Any) -> int:
    """Its id; 0, which no row has, for one that is being made."""
    return row.pk if row else 0


def _check_room(device: Device) -> None:
    if device.sensors.count() >= settings.SENSORS_PER_DEVICE:
        raise serializers.ValidationError({"device": f"A device has {settings.SENSORS_PER_DEVICE} sensors at most."})


def _usual(sensor_types: Iterable[SensorType]) -> list[dict[str, Any]]:
    return [{"key": kind.code, "sensor_type": kind, "name": kind.name, "unit": kind.unit} for kind in sensor_types]
