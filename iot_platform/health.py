"""How the platform is doing: for a load balancer, for people, and for the page."""

from __future__ import annotations

import platform
import time
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Max, Sum
from drf_spectacular.utils import OpenApiExample, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.live import hub, now_text
from accounts.permissions import Access, Actor, actor_of
from devices.models import Sensor
from iot_platform import mqtt
from readings.models import SensorState

STARTED = time.monotonic()

Fields = dict[str, serializers.Field]
HEALTH_FIELDS: Fields = {
    "status": serializers.ChoiceField(["healthy", "degraded"]),
    "mqtt_connected": serializers.BooleanField(),
    "checks": serializers.DictField(child=serializers.CharField()),
    "timestamp": serializers.DateTimeField(),
    "active_websockets": serializers.IntegerField(required=False),
    "total_readings": serializers.IntegerField(required=False),
}
STATUS_FIELDS: Fields = {
    "mqtt_connected": serializers.BooleanField(),
    "database_connected": serializers.BooleanField(),
    "total_readings": serializers.IntegerField(),
    "active_sensors": serializers.ListField(child=serializers.CharField()),
    "uptime_seconds": serializers.IntegerField(),
    "last_reading_time": serializers.DateTimeField(allow_null=True),
}
VERSION_FIELDS: Fields = {"version": serializers.CharField(), "python": serializers.CharField()}


def database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def health() -> dict[str, Any]:
    """What anyone may know: whether each part works."""
    database = database_answers()
    listening = database and mqtt.is_connected()
    return {
        "status": "healthy" if listening else "degraded",
        "mqtt_connected": listening,
        "checks": {
            "api": "ok",
            "database": "ok" if database else "unavailable",
            "mqtt": "ok" if listening else "unavailable",
            "live": "ok" if get_channel_layer() is not None else "unavailable",
        },
        "timestamp": now_text(),
    }


def system_status(actor: Actor) -> dict[str, Any]:
    """What a member may know of the organization's readings; answered from the sensors' states."""
    sensors = Sensor.objects.visible_to(actor)
    totals = SensorState.objects.visible_to(actor).aggregate(readings=Sum("count"), latest=Max("time"))
    active = sensors.filter(status=Sensor.Status.ACTIVE, pk__in=SensorState.objects.visible_to(actor).values("pk"))
    return {
        "mqtt_connected": mqtt.is_connected(),
        "database_connected": True,
        "total_readings": totals["readings"] or 0,
        "active_sensors": list(active.values_list("key", flat=True).distinct().order_by("key")),
        "uptime_seconds": int(time.monotonic() - STARTED),
        "last_reading_time": totals["latest"],
    }


class Health(APIView):
    """Open to anyone, so that a monitor needs no account; totals only for those who are signed in."""

    access = Access(anyone=True)

    @extend_schema(
        summary="Is everything working?",
        responses=inline_serializer("Health", HEALTH_FIELDS),
        examples=[
            OpenApiExample(
                "All is well",
                {
                    "status": "healthy",
                    "mqtt_connected": True,
                    "checks": {"api": "ok", "database": "ok", "mqtt": "ok", "live": "ok"},
                    "timestamp": "2026-01-01T12:00:00.000Z",
                },
            )
        ],
    )
    def get(self, request: Request) -> Response:
        answer = health()
        if answer["checks"]["database"] == "ok" and (actor := actor_of(request)) and actor.organization_id:
            answer["active_websockets"] = hub.active_of(actor.organization_id)
            answer["total_readings"] = system_status(actor)["total_readings"]
        return Response(answer)


class SystemStatus(APIView):
    access = Access()

    @extend_schema(
        summary="The state of your organization's data",
        responses=inline_serializer("SystemStatus", STATUS_FIELDS),
        examples=[
            OpenApiExample(
                "Running",
                {
                    "mqtt_connected": True,
                    "database_connected": True,
                    "total_readings": 2048,
                    "active_sensors": ["humidity", "temperature"],
                    "uptime_seconds": 3600,
                    "last_reading_time": "2026-01-01T12:00:00Z",
                },
            )
        ],
    )
    def get(self, request: Request) -> Response:
        actor = actor_of(request)
        assert actor is not None  # noqa: S101  `access` lets nobody in without one
        return Response(system_status(actor))


class Version(APIView):
    access = Access(without_organization=True)

    @extend_schema(
        summary="Which version runs here",
        responses=inline_serializer("Version", VERSION_FIELDS),
        examples=[OpenApiExample("Now", {"version": "0.1.0", "python": "3.13.1"})],
    )
    def get(self, request: Request) -> Response:
        return Response({"version": settings.VERSION, "python": platform.python_version()})
