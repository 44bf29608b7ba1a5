"""HTTP endpoints of rules, alerts, notification channels and deliveries."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Role
from accounts.permissions import Access
from accounts.tenancy import TenantGenericViewSet, TenantViewSet
from alerts import serializers as shapes
from alerts.models import Alert, Channel, Delivery, Rule, Severity
from alerts.resolution import ALERTS, acknowledge, resolve

RULE = {
    "id": 3,
    "name": "Boiler too hot",
    "sensor": 7,
    "sensor_type": None,
    "device": None,
    "unit": None,
    "operator": "gt",
    "threshold": 80.0,
    "severity": "high",
    "is_enabled": True,
    "created_at": "2026-03-01T08:00:00Z",
}
NEW_RULE = {"name": "Boiler too hot", "sensor": 7, "operator": "gt", "threshold": 80.0, "severity": "high"}
ALERT = {
    "id": 12,
    "rule": 3,
    "rule_name": "Boiler too hot",
    "device": "5f0c2f6e-6a55-4d2c-9a4e-0d7c6b1f3a10",
    "device_name": "Boiler",
    "sensor_id": 7,
    "sensor_key": "temperature",
    "sensor_name": "Boiler temperature",
    "unit_symbol": "°C",
    "severity": "high",
    "status": "active",
    "message": "Boiler temperature 82.4 °C is above 80 °C",
    "value": 82.4,
    "threshold": 80.0,
    "time": "2026-03-01T09:30:00Z",
    "opened_at": "2026-03-01T09:30:00.412000Z",
    "acknowledged_at": None,
    "acknowledged_by": None,
    "resolved_at": None,
    "resolved_by": None,
}
ACKNOWLEDGED = ALERT | {
    "status": "acknowledged",
    "acknowledged_at": "2026-03-01T09:32:10.250000Z",
    "acknowledged_by": "olga",
}
RESOLVED = ACKNOWLEDGED | {
    "status": "resolved",
    "resolved_at": "2026-03-01T09:41:03.981000Z",
    "resolved_by": "olga",
}
CHANNEL = {
    "id": 2,
    "name": "On-call",
    "kind": "webhook",
    "url": "https://hooks.example.org/alerts",
    "minimum_severity": "medium",
    "is_enabled": True,
    "created_at": "2026-03-01T08:00:00Z",
}
NEW_CHANNEL = {"name": "On-call", "url": "https://hooks.example.org/alerts", "minimum_severity": "medium"}
DELIVERY = {
    "id": 41,
    "uuid": "0b6f0a52-0c3e-4a55-8a53-2f5f3b0d9c11",
    "alert": 12,
    "channel": 2,
    "channel_name": "On-call",
    "event": "opened",
    "status": "sent",
    "attempts": 1,
    "due_at": "2026-03-01T09:30:00.413000Z",
    "sent_at": "2026-03-01T09:30:01.870000Z",
    "response_status": 204,
    "error": "",
}


def example(value: Any, *, request: bool = False) -> OpenApiExample:
    return OpenApiExample("Request" if request else "Answer", value, request_only=request, response_only=not request)


@extend_schema_view(
    list=extend_schema(summary="Alert rules", examples=[example(RULE)]),
    retrieve=extend_schema(summary="One alert rule", examples=[example(RULE)]),
    create=extend_schema(
        summary="Make an alert rule",
        description="A rule watches one `sensor`, or all of a `sensor_type`: anywhere, on a `device` or in a `unit`.",
        examples=[example(NEW_RULE, request=True), example(RULE)],
    ),
    update=extend_schema(summary="Replace an alert rule", examples=[example(NEW_RULE, request=True), example(RULE)]),
    partial_update=extend_schema(
        summary="Change an alert rule", examples=[example({"threshold": 80.0}, request=True), example(RULE)]
    ),
    destroy=extend_schema(
        summary="Delete an alert rule", description="Its alerts stay, and an open one waits for someone to resolve it."
    ),
)
class RuleViewSet(TenantViewSet):
    queryset = Rule.objects.select_related("sensor_type", "device")
    serializer_class = shapes.RuleSerializer


@extend_schema_field({"type": "string", "enum": Severity.labels})
class SeverityFilter(django_filters.TypedMultipleChoiceFilter):
    """Severities by their words."""

    def __init__(self, **options: Any) -> None:
        words = [(word, word) for word in Severity.labels]
        super().__init__(choices=words, coerce=lambda word: Severity[word.upper()], **options)


class AlertFilter(django_filters.FilterSet):
    status = django_filters.MultipleChoiceFilter(choices=Alert.Status.choices)
    severity = SeverityFilter()
    rule = django_filters.NumberFilter(field_name="rule_id")
    device = django_filters.UUIDFilter(field_name="device__uuid")
    sensor = django_filters.NumberFilter(field_name="sensor_id")

    class Meta:
        model = Alert
        fields: ClassVar[list[str]] = []


@extend_schema_view(
    list=extend_schema(
        summary="Alerts, the newest first",
        description="`?status=active&status=acknowledged` are the open ones.",
        examples=[example(ALERT)],
    ),
    retrieve=extend_schema(summary="One alert", examples=[example(ALERT)]),
)
class AlertViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantGenericViewSet):
    queryset = ALERTS
    serializer_class = shapes.AlertSerializer
    filterset_class = AlertFilter

    @extend_schema(
        summary="Acknowledge an alert: someone looks after it",
        description="Asking again changes nothing. An alert that is resolved stays so.",
        request=None,
        examples=[example(ACKNOWLEDGED)],
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def acknowledge(self, request: Request, pk: str) -> Response:
        return Response(self.get_serializer(acknowledge(self.get_object(), self.actor.user_id)).data)

    @extend_schema(
        summary="Resolve an alert",
        description="Asking again changes nothing. The rule opens no new alert before the value has been good once.",
        request=None,
        examples=[example(RESOLVED)],
    )
    @action(detail=True, methods=["post"], filterset_class=None)
    def resolve(self, request: Request, pk: str) -> Response:
        return Response(self.get_serializer(resolve(self.get_object(), self.actor.user_id)).data)


@extend_schema_view(
    list=extend_schema(summary="Notification channels", examples=[example(CHANNEL)]),
    retrieve=extend_schema(summary="One notification channel", examples=[example(CHANNEL)]),
    create=extend_schema(
        summary="Add a notification channel",
        description="A webhook goes over https to a public address; the installation's setting `WEBHOOK_ALLOWED` "
        "permits others. Each message carries an `Idempotency-Key`: it stays the same when the message is repeated.",
        examples=[example(NEW_CHANNEL, request=True), example(CHANNEL)],
    ),
    update=extend_schema(
        summary="Replace a notification channel", examples=[example(NEW_CHANNEL, request=True), example(CHANNEL)]
    ),
    partial_update=extend_schema(
        summary="Change a notification channel",
        examples=[example({"is_enabled": True}, request=True), example(CHANNEL)],
    ),
    destroy=extend_schema(
        summary="Delete a notification channel", description="What was still to be sent to it goes with it."
    ),
)
class ChannelViewSet(TenantViewSet):
    access = Access(read=Role.OPERATOR, write=Role.ADMIN, delete=Role.ADMIN)
    queryset = Channel.objects.all()
    serializer_class = shapes.ChannelSerializer


class DeliveryFilter(django_filters.FilterSet):
    status = django_filters.MultipleChoiceFilter(choices=Delivery.Status.choices)
    alert = django_filters.NumberFilter(field_name="alert_id")

    class Meta:
        model = Delivery
        fields: ClassVar[list[str]] = []


@extend_schema_view(
    list=extend_schema(
        summary="Messages to channels, and how they went",
        description="A `dead` one was tried five times within an hour; `error` says why it did not arrive.",
        examples=[example(DELIVERY)],
    ),
)
class DeliveryViewSet(mixins.ListModelMixin, TenantGenericViewSet):
    access = Access(read=Role.OPERATOR, write=None, delete=None)
    queryset = Delivery.objects.select_related("channel")
    serializer_class = shapes.DeliverySerializer
    filterset_class = DeliveryFilter
