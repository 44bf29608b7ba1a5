"""Readings as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from accounts.live import text_of
from accounts.tenancy import TenantSerializer
from readings.formats import Refused
from readings.formats.times import instant
from readings.history import COUNTED, Wanted
from readings.models import Origin, Protocol, Rejection, Status


class Instant(serializers.DateTimeField):
    """UTC with `Z` and at least milliseconds going out; coming in, any time that has a zone, or epoch seconds."""

    def to_representation(self, value: datetime) -> str:
        precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
        return text_of(value, precision)

    def to_internal_value(self, value: Any) -> datetime:
        is_epoch = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16
        try:
            return instant(int(value) if is_epoch else value)
        except Refused as refused:
            raise serializers.ValidationError(refused.detail, code=refused.reason) from None


LATEST = {
    "id": 48211,
    "timestamp": "2026-03-01T09:30:00.000Z",
    "sensor_type": "temperature",
    "sensor_id": 7,
    "sensor_key": "temperature",
    "device": "5f0c2f6e-6a55-4d2c-9a4e-0d7c6b1f3a10",
    "value": 21.4,
    "unit": "celsius",
    "unit_symbol": "°C",
    "origin": "edge",
    "anomaly": False,
    "created_at": "2026-03-01T09:30:00.412Z",
}
READING = {**LATEST, "protocol": "mqtt", "status": "pending", "anomaly_details": None, "reading_count": None}
APPLIED = {
    "sensor_id": ["7"],
    "sensor_type": None,
    "device": None,
    "status": [status.label for status in COUNTED],
    "anomalies_only": False,
    "start": None,
    "end": None,
    "min_value": None,
    "max_value": None,
}
WINDOW = {"start": "2026-02-28T09:30:00.000Z", "end": "2026-03-01T09:30:00.000Z"}


def example(value: Any, name: str = "Example") -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True)


@extend_schema_serializer(examples=[example(LATEST)])
class LatestSerializer(serializers.Serializer):
    """The newest reading of a sensor, from its state."""

    id = serializers.IntegerField(source="reading_id")
    timestamp = Instant(source="time", help_text="When it was measured.")
    sensor_type = serializers.CharField(source="sensor.sensor_type.code")
    sensor_id = serializers.IntegerField()
    sensor_key = serializers.CharField(source="sensor.key")
    device = serializers.UUIDField(source="sensor.device.uuid")
    value = serializers.FloatField()
    unit = serializers.CharField(source="sensor.unit")
    unit_symbol = serializers.CharField(source="sensor.unit_symbol")
    origin = serializers.ChoiceField(Origin.labels, source="get_origin_display")
    anomaly = serializers.BooleanField(source="is_anomaly")
    created_at = Instant(source="received_at", help_text="When it arrived.")


@extend_schema_serializer(examples=[example(READING)])
class ReadingSerializer(LatestSerializer):
    """One stored reading."""

    id = serializers.IntegerField()
    protocol = serializers.ChoiceField(Protocol.labels, source="get_protocol_display")
    status = serializers.ChoiceField(Status.labels, source="get_status_display")
    anomaly_details = serializers.DictField(allow_null=True)
    reading_count = serializers.IntegerField(allow_null=True)


@extend_schema_serializer(examples=[example({"next": None, "results": [READING]})])
class ReadingPageSerializer(serializers.Serializer):
    """Newest first. Nothing is counted; `next` leads on and is null at the end."""

    next = serializers.URLField(allow_null=True)
    results = ReadingSerializer(many=True)


class AppliedSerializer(serializers.Serializer):
    """Every bound of the answer, those that were applied by default too."""

    sensor_id = serializers.ListField(child=serializers.CharField(), allow_empty=True)
    sensor_type = serializers.CharField(allow_null=True)
    device = serializers.UUIDField(allow_null=True)
    status = serializers.SerializerMethodField()
    anomalies_only = serializers.BooleanField()
    start = Instant(allow_null=True)
    end = Instant(allow_null=True)
    min_value = serializers.FloatField(allow_null=True)
    max_value = serializers.FloatField(allow_null=True)

    def get_status(self, wanted: Wanted) -> list[str]:
        return [status.label for status in wanted.status]


HISTORY = {"readings": [READING], "total_count": 1, "filters_applied": {**APPLIED, "limit": 100}}


@extend_schema_serializer(examples=[example(HISTORY)])
class HistorySerializer(serializers.Serializer):
    """The newest readings; `total_count` is how many this answer holds."""

    readings = ReadingSerializer(many=True)
    total_count = serializers.IntegerField()
    filters_applied = AppliedSerializer()


class SeriesSerializer(serializers.Serializer):
    """Columns of equal length: readings where `resolution_seconds` is 0, else buckets that begin at `times`."""

    sensor_id = serializers.IntegerField()
    sensor_key = serializers.CharField()
    unit = serializers.CharField()
    unit_symbol = serializers.CharField()
    resolution_seconds = serializers.FloatField()
    times = serializers.ListField(child=serializers.IntegerField(), help_text="Milliseconds since 1970.")
    min = serializers.ListField(child=serializers.FloatField())
    max = serializers.ListField(child=serializers.FloatField())
    avg = serializers.ListField(child=serializers.FloatField())


CHART = {
    "series": [
        {
            "sensor_id": 7,
            "sensor_key": "temperature",
            "unit": "celsius",
            "unit_symbol": "°C",
            "resolution_seconds": 300,
            "times": [1772357100000, 1772357400000],
            "min": [21.2, 21.3],
            "max": [21.6, 21.5],
            "avg": [21.41, 21.39],
        }
    ],
    "resolution_seconds": 300,
    "total_count": 60,
    "filters_applied": {**APPLIED, **WINDOW, "points": 600},
}


@extend_schema_serializer(examples=[example(CHART)])
class ChartSerializer(serializers.Serializer):
    """A series for each sensor; `total_count` is how many readings they stand for."""

    series = SeriesSerializer(many=True)
    resolution_seconds = serializers.FloatField(help_text="The coarsest of the series.")
    total_count = serializers.IntegerField()
    filters_applied = AppliedSerializer()


class TypeStatisticsSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    anomalies = serializers.IntegerField()
    latest_value = serializers.FloatField()


class TimeRangeSerializer(serializers.Serializer):
    earliest = Instant(allow_null=True)
    latest = Instant(allow_null=True)


@extend_schema_serializer(
    examples=[
        example(
            {
                "total_readings": 48211,
                "anomalous_readings": 12,
                "anomaly_rate": 0.02,
                "sensor_types": ["humidity", "temperature"],
                "active_sensors": [7, 8],
                "readings_by_type": {"temperature": {"count": 24106, "anomalies": 12, "latest_value": 21.4}},
                "time_range": {"earliest": "2026-02-15T00:00:00.000Z", "latest": "2026-03-01T09:30:00.000Z"},
            }
        )
    ]
)
class StatisticsSerializer(serializers.Serializer):
    """Totals of all time. Readings that were marked invalid do not count."""

    total_readings = serializers.IntegerField()
    anomalous_readings = serializers.IntegerField()
    anomaly_rate = serializers.FloatField(help_text="In percent.")
    sensor_types = serializers.ListField(child=serializers.CharField())
    active_sensors = serializers.ListField(child=serializers.IntegerField())
    readings_by_type = serializers.DictField(child=TypeStatisticsSerializer())
    time_range = TimeRangeSerializer()


DEVICE = {"device": LATEST["device"]}


@extend_schema_serializer(examples=[example({**DEVICE, "readings": [LATEST], "total_readings": 24106})])
class DeviceLatestSerializer(serializers.Serializer):
    """The newest reading of each sensor of a device."""

    device = serializers.UUIDField(source="uuid")
    readings = LatestSerializer(many=True)
    total_readings = serializers.IntegerField()


class SpreadSerializer(serializers.Serializer):
    """How the readings of a sensor lie; without readings only the count is given."""

    sensor_id = serializers.IntegerField()
    sensor_key = serializers.CharField()
    sensor_type = serializers.CharField()
    unit = serializers.CharField()
    unit_symbol = serializers.CharField()
    count = serializers.IntegerField()
    min = serializers.FloatField(allow_null=True)
    max = serializers.FloatField(allow_null=True)
    avg = serializers.FloatField(allow_null=True)
    std_dev = serializers.FloatField(allow_null=True, help_text="Of the whole population.")


@extend_schema_serializer(
    examples=[
        example(
            {
                **DEVICE,
                "sensors": [
                    {
                        "sensor_id": 7,
                        "sensor_key": "temperature",
                        "sensor_type": "temperature",
                        "unit": "celsius",
                        "unit_symbol": "°C",
                        "count": 288,
                        "min": 19.8,
                        "max": 23.1,
                        "avg": 21.37,
                        "std_dev": 0.64,
                    }
                ],
                "total_count": 288,
                "filters_applied": {**APPLIED, **WINDOW},
            }
        )
    ]
)
class DeviceStatisticsSerializer(serializers.Serializer):
    """Statistics of each sensor of a device within a window; the last 24 hours when none is named."""

    device = serializers.UUIDField()
    sensors = SpreadSerializer(many=True)
    total_count = serializers.IntegerField()
    filters_applied = AppliedSerializer()


MEASUREMENT = {"sensor": "temperature", "value": 21.4, "unit": "°C", "time": "2026-03-01T09:30:00Z"}
RECEIPT = {"accepted": 1, "duplicates": 0, "rejected": []}


class MeasurementSerializer(serializers.Serializer):
    """A reading as it is sent. A list of them, or `{"readings": [...]}`, does as well."""

    sensor = serializers.CharField(required=False, help_text="Its key; may be left out where the type is enough.")
    sensor_type = serializers.CharField(required=False, help_text="A known type makes a new sensor.")
    sensor_id = serializers.IntegerField(required=False, help_text="A person's way to name the sensor.")
    device = serializers.UUIDField(required=False, help_text="A person's way to name the device.")
    value = serializers.FloatField()
    unit = serializers.CharField(required=False, help_text="Converted to the unit of the sensor.")
    time = serializers.DateTimeField(required=False, help_text="With a zone, or epoch seconds; absent: on arrival.")
    anomaly = serializers.BooleanField(required=False)
    anomaly_details = serializers.DictField(required=False)
    origin = serializers.CharField(required=False, help_text="edge, fog or coap")
    reading_count = serializers.IntegerField(required=False, min_value=0)


class RefusalSerializer(serializers.Serializer):
    index = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()


@extend_schema_serializer(examples=[example(RECEIPT)])
class ReceiptSerializer(serializers.Serializer):
    """What became of a body: 201 all of it is stored, 207 some, 400 nothing. What is accepted is committed."""

    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    rejected = RefusalSerializer(many=True)


@extend_schema_serializer(examples=[example({"changed": 2, "not_found": [90001], "refused": []})])
class ReviewSerializer(serializers.Serializer):
    """What became of the readings that were named; those that had the status already are in no list."""

    changed = serializers.IntegerField()
    not_found = serializers.ListField(child=serializers.IntegerField())
    refused = serializers.ListField(child=serializers.IntegerField(), help_text="Their status does not lead there.")


@extend_schema_serializer(
    examples=[
        example(
            {
                "id": 31,
                "received_at": "2026-03-01T09:30:00.412Z",
                **DEVICE,
                "protocol": "mqtt",
                "topic": "devices/5f0c2f6e-6a55-4d2c-9a4e-0d7c6b1f3a10/up/readings",
                "reason": "not_a_number",
                "detail": "'warm' is no number.",
                "item": None,
                "payload": '{"sensor": "temperature", "value": "warm"}',
                "payload_bytes": 42,
            }
        )
    ]
)
class RejectionSerializer(TenantSerializer):
    """Something that was refused, and why. Bytes that are no UTF-8 are shown as replacement characters."""

    received_at = Instant()
    device = serializers.UUIDField(source="device.uuid", allow_null=True)
    protocol = serializers.ChoiceField(Protocol.labels, source="get_protocol_display")
    payload = serializers.SerializerMethodField()

    class Meta:
        model = Rejection
        fields = (
            "id",
            "received_at",
            "device",
            "protocol",
            "topic",
            "reason",
            "detail",
            "item",
            "payload",
            "payload_bytes",
        )
        read_only_fields = fields

    def get_payload(self, rejection: Rejection) -> str:
        return bytes(rejection.payload).decode(errors="replace")
