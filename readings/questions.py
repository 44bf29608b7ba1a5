"""What the API can be asked about readings, parsed at the door into `Wanted`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request

from readings.history import EPOCH, Place, Wanted
from readings.models import Status
from readings.serializers import Instant

DAY = timedelta(days=1)
LONGEST_WINDOW = 3653 * DAY  # of what is folded into points or statistics; a list takes any window
MICROSECOND = timedelta(microseconds=1)
FIRST_YEAR, LAST_YEAR = 1900, 9000
MAX_SENSORS = 50  # in one question
MAX_POINTS = 5000
MAX_ID = 2**63 - 1


class QueryInstant(Instant):
    """A time in a URL, where a plus sign that nobody escaped has become a space."""

    def to_internal_value(self, value: Any) -> datetime:
        time = super().to_internal_value(re.sub(r" (\d\d:?\d\d)$", r"+\1", str(value)))
        if not FIRST_YEAR <= time.year <= LAST_YEAR:
            self.fail("overflow")
        return time


@extend_schema_field(str)
class Cursor(serializers.Field):
    """Where a list goes on: microseconds and id of the last reading shown. Clients follow `next`, they make none."""

    default_error_messages: ClassVar = {"invalid": "This is no cursor. Follow `next` of the page before."}
    pattern = re.compile(r"(\d{1,18})_(\d{1,19})", re.ASCII)

    def to_internal_value(self, data: Any) -> Place:
        match = self.pattern.fullmatch(str(data))
        if match is None or int(match[2]) > MAX_ID:
            self.fail("invalid")
        try:
            return Place(EPOCH + int(match[1]) * MICROSECOND, int(match[2]))
        except OverflowError:
            self.fail("invalid")

    def to_representation(self, value: Place) -> str:
        return f"{(value.time - EPOCH) // MICROSECOND}_{value.id}"


class Question(serializers.Serializer):
    """The query string of a request."""

    @classmethod
    def asked(cls, request: Request, **fixed: Any) -> tuple[Wanted, Self]:
        """What is wanted, and the rest of the question. Raises ValidationError (400)."""
        question = cls(data=request.query_params)
        question.is_valid(raise_exception=True)
        given = {name: value for name, value in question.validated_data.items() if name in Wanted.__slots__}
        return Wanted(**given, **fixed), question


class AnyDevice(Question):
    device = serializers.UUIDField(required=False)


class SensorQuestion(Question):
    sensor_id = serializers.ListField(
        child=serializers.CharField(max_length=50),
        required=False,
        max_length=MAX_SENSORS,
        help_text="Id or key of a sensor; may be repeated.",
    )
    sensor_type = serializers.CharField(required=False, max_length=50, help_text="A type or one of its other names.")

    def validate_sensor_id(self, names: list[str]) -> tuple[str, ...]:
        return tuple(names)


class TotalsQuestion(AnyDevice, SensorQuestion):
    """Of the present and the totals."""


class ReadingQuestion(SensorQuestion):
    status = serializers.ListField(
        child=serializers.ChoiceField(Status.labels),
        required=False,
        allow_empty=False,
        help_text="May be repeated. Readings that were marked `invalid` are shown only when asked for.",
    )
    anomalies_only = serializers.BooleanField(required=False)
    start = QueryInstant(required=False, help_text="From this time on.")
    end = QueryInstant(required=False, help_text="Before this time.")
    min_value = serializers.FloatField(required=False)
    max_value = serializers.FloatField(required=False)

    def validate_status(self, words: list[str]) -> tuple[Status, ...]:
        return tuple(status for status in Status if status.label in words)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "start" in attrs and "end" in attrs and attrs["start"] >= attrs["end"]:
            raise serializers.ValidationError({"start": "`start` must be before `end`."})
        return attrs


class HistoryQuestion(AnyDevice, ReadingQuestion):
    limit = serializers.IntegerField(default=100, min_value=1, max_value=1000)
    points = serializers.IntegerField(
        required=False,
        min_value=2,
        max_value=MAX_POINTS,
        help_text="Answer series for a chart instead, of at most so many points each; the last 24 hours by default.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return super().validate(_in_window(attrs) if "points" in attrs else attrs)


class Paged(Question):
    limit = serializers.IntegerField(default=50, min_value=1, max_value=500)
    cursor = Cursor(required=False, help_text="From `next` of the page before.")
    page = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=1,
        error_messages={"max_value": "Readings have no page numbers, because new ones arrive: follow `next`."},
    )


class PageQuestion(Paged, AnyDevice, ReadingQuestion):
    """Of a page of readings."""


class DeviceQuestion(ReadingQuestion):
    """Of the device that stands in the path."""

    start_time = QueryInstant(source="start", required=False, help_text="The same as `start`.")
    end_time = QueryInstant(source="end", required=False, help_text="The same as `end`.")


class DevicePageQuestion(Paged, DeviceQuestion):
    """Of a page of one device's readings."""


class DeviceStatisticsQuestion(DeviceQuestion):
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return super().validate(_in_window(attrs))


@extend_schema_serializer(examples=[OpenApiExample("Request", {"ids": [48211, 48212, 90001]}, request_only=True)])
class ReviewQuestion(serializers.Serializer):
    """The readings that a bulk action is for."""

    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_ID), min_length=1, max_length=1000
    )


def _in_window(attrs: dict[str, Any]) -> dict[str, Any]:
    """A window that is open ends now, and spans 24 hours; none spans more than ten years."""
    end = attrs.setdefault("end", timezone.now())
    start = attrs.setdefault("start", end - DAY)
    if end - start > LONGEST_WINDOW:
        raise serializers.ValidationError({"start": "A window spans at most ten years."})
    return attrs
