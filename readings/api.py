"""Readings over HTTP: lists, charts, statistics and review. What devices send enters through `intake`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, ClassVar, cast
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, PolymorphicProxySerializer, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from accounts.models import Role
from accounts.permissions import Access, Actor, actor_of
from accounts.tenancy import TenantGenericViewSet
from devices.models import Device, Sensor
from readings import history, review
from readings.buckets import SECOND, Columns, Spread
from readings.history import Place, Wanted
from readings.intake import take_by_hand, take_from_device
from readings.models import Origin, Reading, Reason, Rejection
from readings.questions import (
    MAX_SENSORS,
    Cursor,
    DevicePageQuestion,
    DeviceStatisticsQuestion,
    HistoryQuestion,
    Paged,
    PageQuestion,
    ReviewQuestion,
    TotalsQuestion,
)
from readings.review import Review
from readings.serializers import (
    CHART,
    HISTORY,
    LATEST,
    MEASUREMENT,
    AppliedSerializer,
    ChartSerializer,
    DeviceLatestSerializer,
    DeviceStatisticsSerializer,
    HistorySerializer,
    LatestSerializer,
    MeasurementSerializer,
    ReadingPageSerializer,
    ReadingSerializer,
    ReceiptSerializer,
    RejectionSerializer,
    ReviewSerializer,
    StatisticsSerializer,
    example,
)

Move = Callable[[Collection[int], QuerySet[Reading]], Review]


SENT: dict[str, Any] = {
    "request": MeasurementSerializer,
    "responses": {201: ReceiptSerializer, 207: ReceiptSerializer, 400: ReceiptSerializer},
    "examples": [
        OpenApiExample("One", MEASUREMENT, request_only=True),
        OpenApiExample("Several", {"readings": [MEASUREMENT, {"sensor": "humidity", "value": 48}]}, request_only=True),
    ],
}
REVIEWED = {200: ReadingSerializer, 409: OpenApiResponse(description="Its status does not lead there.")}


class NotReviewable(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class ReadingView(APIView):
    """An endpoint about readings of the caller's organization, or of the device that calls."""

    access: ClassVar[Access] = Access(device_reads=True)

    @cached_property
    def actor(self) -> Actor:
        return cast("Actor", actor_of(self.request))

    def device(self, uuid: UUID) -> Device:
        return get_object_or_404(Device.objects.visible_to(self.actor), uuid=uuid)


# -- the present and the totals, from sensor states -----------------------------------------------------------
class Latest(ReadingView):
    @extend_schema(
        summary="The newest reading of each sensor type",
        description="An object keyed by sensor type, and `total_readings`.",
        parameters=[TotalsQuestion],
        responses={200: OpenApiResponse(OpenApiTypes.OBJECT)},
        examples=[example({"temperature": LATEST, "total_readings": 48211})],
    )
    def get(self, request: Request) -> Response:
        wanted, _ = TotalsQuestion.asked(request)
        states = wanted.states(self.actor)
        totals = history.totals_by_type(states)
        latest = history.latest_by_type(states, totals)
        answer: dict[str, Any] = {code: LatestSerializer(state).data for code, state in latest.items()}
        return Response({**answer, "total_readings": sum(one.total for one in totals)})


class Stats(ReadingView):
    @extend_schema(
        summary="Totals, anomaly rate and range of all readings",
        parameters=[TotalsQuestion],
        responses=StatisticsSerializer,
    )
    def get(self, request: Request) -> Response:
        wanted, _ = TotalsQuestion.asked(request)
        return Response(StatisticsSerializer(history.statistics(wanted.states(self.actor))).data)


class DeviceLatest(ReadingView):
    @extend_schema(summary="The newest reading of each sensor of a device", responses=DeviceLatestSerializer)
    def get(self, request: Request, device_uuid: UUID) -> Response:
        device = self.device(device_uuid)
        states = Wanted(device=device.uuid).states(self.actor)
        readings = states.select_related("sensor__device", "sensor__sensor_type").order_by("sensor__key")
        total = sum(state.count - state.invalid_count for state in readings)
        answer = {"uuid": device.uuid, "readings": readings, "total_readings": total}
        return Response(DeviceLatestSerializer(answer).data)


# -- lists and charts -----------------------------------------------------------------------------------------
def page_of(request: Request, actor: Actor, wanted: Wanted, question: Paged) -> Response:
    """Readings newest first. A page begins behind the last reading of the one before, whatever has arrived since."""
    limit, after = question.validated_data["limit"], question.validated_data.get("cursor")
    found = history.newest(wanted.states(actor), wanted.readings(after), limit + 1)
    shown, following = found[:limit], None
    if len(found) > limit:
        cursor = Cursor().to_representation(Place(shown[-1].time, shown[-1].pk))
        following = replace_query_param(request.build_absolute_uri(), "cursor", cursor)
    return Response({"next": following, "results": ReadingSerializer(shown, many=True).data})


class History(ReadingView):
    @extend_schema(
        summary="The newest readings, or series for a chart",
        description="With `points` it answers columns: readings as they are while they are few enough, else buckets "
        "with minimum, maximum and average, so that no spike is lost.",
        parameters=[HistoryQuestion],
        responses=PolymorphicProxySerializer("HistoryOrChart", [HistorySerializer, ChartSerializer], None),
        examples=[example(HISTORY, "Readings"), example(CHART, "Series for a chart")],
    )
    def get(self, request: Request) -> Response:
        wanted, question = HistoryQuestion.asked(request)
        asked = question.validated_data
        return self.chart(wanted, asked["points"]) if "points" in asked else self.newest(wanted, asked["limit"])

    def newest(self, wanted: Wanted, limit: int) -> Response:
        readings = history.newest(wanted.states(self.actor), wanted.readings(), limit)
        return Response(
            {
                "readings": ReadingSerializer(readings, many=True).data,
                "total_count": len(readings),
                "filters_applied": {**AppliedSerializer(wanted).data, "limit": limit},
            }
        )

    def chart(self, wanted: Wanted, points: int) -> Response:
        sensors = list(wanted.sensors(self.actor)[: MAX_SENSORS + 1])
        if len(sensors) > MAX_SENSORS:
            raise ValidationError({"sensor_id": f"A chart shows at most {MAX_SENSORS} sensors; name fewer."})
        found = history.series(sensors, wanted, points)
        return Response(
            {
                "series": [columns_of(sensor, found.get(sensor.pk, Columns())) for sensor in sensors],
                "resolution_seconds": max((columns.width for columns in found.values()), default=0) / SECOND,
                "total_count": sum(columns.count for columns in found.values()),
                "filters_applied": {**AppliedSerializer(wanted).data, "points": points},
            }
        )


def columns_of(sensor: Sensor, columns: Columns) -> dict[str, Any]:
    return {
        "sensor_id": sensor.pk,
        "sensor_key": sensor.key,
        "unit": sensor.unit,
        "unit_symbol": sensor.unit_symbol,
        "resolution_seconds": columns.width / SECOND,
        "times": columns.times,
        "min": columns.low,
        "max": columns.high,
        "avg": columns.mean,
    }


# -- one device -----------------------------------------------------------------------------------------------
class DeviceReadings(ReadingView):
    access = Access(device_reads=True, device_writes=True)

    @extend_schema(
        summary="Readings of a device, newest first", parameters=[DevicePageQuestion], responses=ReadingPageSerializer
    )
    def get(self, request: Request, device_uuid: UUID) -> Response:
        wanted, question = DevicePageQuestion.asked(request, device=self.device(device_uuid).uuid)
        return page_of(request, self.actor, wanted, question)

    @extend_schema(summary="Send readings of a device", **SENT)
    def post(self, request: Request, device_uuid: UUID) -> Response:
        origin = Origin.MANUAL if self.actor.device_id is None else Origin.EDGE
        return take_from_device(request, self.device(device_uuid), origin)


class DeviceStats(ReadingView):
    @extend_schema(
        summary="Statistics of a device's sensors within a window",
        parameters=[DeviceStatisticsQuestion],
        responses=DeviceStatisticsSerializer,
    )
    def get(self, request: Request, device_uuid: UUID) -> Response:
        device = self.device(device_uuid)
        wanted, _ = DeviceStatisticsQuestion.asked(request, device=device.uuid)
        sensors = list(wanted.sensors(self.actor))
        found = history.spreads(sensors, wanted)
        answer = {
            "device": device.uuid,
            "sensors": [spread_of(sensor, found.get(sensor.pk)) for sensor in sensors],
            "total_count": sum(spread.count for spread in found.values()),
            "filters_applied": wanted,
        }
        return Response(DeviceStatisticsSerializer(answer).data)


def spread_of(sensor: Sensor, spread: Spread | None) -> dict[str, Any]:
    return {
        "sensor_id": sensor.pk,
        "sensor_key": sensor.key,
        "sensor_type": sensor.sensor_type.code,
        "unit": sensor.unit,
        "unit_symbol": sensor.unit_symbol,
        "count": spread.count if spread else 0,
        "min": spread and spread.low,
        "max": spread and spread.high,
        "avg": spread and spread.mean,
        "std_dev": spread and spread.deviation,
    }


# -- single readings and their review -------------------------------------------------------------------------
class ReadingViewSet(mixins.RetrieveModelMixin, TenantGenericViewSet):
    access = Access(device_reads=True, device_writes=True)
    queryset = Reading.objects.select_related("sensor__device", "sensor__sensor_type")
    serializer_class = ReadingSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(
        summary="Readings, newest first",
        parameters=[PageQuestion],
        responses=forced_singular_serializer(ReadingPageSerializer),
    )
    def list(self, request: Request) -> Response:
        wanted, question = PageQuestion.asked(request)
        return page_of(request, self.actor, wanted, question)

    @extend_schema(
        summary="Write readings down, or send them as a device",
        description="A person names `sensor_id` or `device`; a device key stands for its device. The answer to a "
        "single reading that was written down holds its fields too.",
        **SENT,
    )
    def create(self, request: Request) -> Response:
        if self.actor.device_id is not None:
            return take_from_device(request, Device.objects.get(pk=self.actor.device_id))
        outcome, answer = take_by_hand(request, self.actor)
        if len(outcome.readings) == 1 and not outcome.refusals:
            sensor_id, time = outcome.readings[0]
            stored = self.get_queryset().get(sensor=sensor_id, time=time)
            answer.data |= self.get_serializer(stored).data
        return answer

    @extend_schema(summary="One reading")
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(summary="Delete a reading", responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        review.remove([self.get_object().pk], self.get_queryset())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Confirm a reading", request=None, responses=REVIEWED)
    @action(detail=True, methods=["post", "put"], access=Access())
    def validate(self, request: Request, pk: str) -> Response:
        return self.moved(review.validate)

    @extend_schema(summary="Put a reading away; charts still show it", request=None, responses=REVIEWED)
    @action(detail=True, methods=["post", "put"], access=Access())
    def archive(self, request: Request, pk: str) -> Response:
        return self.moved(review.archive)

    @extend_schema(
        summary="Confirm readings",
        operation_id="readings_validate_many",
        request=ReviewQuestion,
        responses=ReviewSerializer,
    )
    @action(detail=False, methods=["post"], access=Access(), url_path="validate")
    def validate_many(self, request: Request) -> Response:
        return self.moved_many(review.validate)

    @extend_schema(
        summary="Put readings away",
        operation_id="readings_archive_many",
        request=ReviewQuestion,
        responses=ReviewSerializer,
    )
    @action(detail=False, methods=["post"], access=Access(), url_path="archive")
    def archive_many(self, request: Request) -> Response:
        return self.moved_many(review.archive)

    def moved(self, move: Move) -> Response:
        reading = self.get_object()
        if move([reading.pk], self.get_queryset()).refused:
            raise NotReviewable(f"A reading that is {reading.get_status_display()} stays so.")
        return Response(self.get_serializer(self.get_object()).data)

    def moved_many(self, move: Move) -> Response:
        question = ReviewQuestion(data=self.request.data)
        question.is_valid(raise_exception=True)
        return Response(ReviewSerializer(move(question.validated_data["ids"], self.get_queryset())).data)


class RejectionFilter(django_filters.FilterSet):
    reason = django_filters.ChoiceFilter(choices=Reason)
    device = django_filters.UUIDFilter(field_name="device__uuid")

    class Meta:
        model = Rejection
        fields = ("reason", "device")


class RejectionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantGenericViewSet):
    access = Access(read=Role.OPERATOR, write=None, delete=None)
    queryset = Rejection.objects.select_related("device")
    serializer_class = RejectionSerializer
    filterset_class = RejectionFilter

    @extend_schema(summary="What was refused, newest first")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(summary="One refused message or item")
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().retrieve(request, *args, **kwargs)
