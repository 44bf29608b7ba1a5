"""HTTP endpoints of places, devices, their sensors and keys, and the sources of older traffic."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.models import Role, User
from accounts.permissions import Access
from accounts.tenancy import TenantGenericViewSet, TenantViewSet
from devices import keys
from devices import serializers as shapes
from devices.broker import accounts
from devices.models import Device, DeviceKey, DeviceState, DeviceType, Sensor, SensorType, Source, Unit
from devices.quantities import type_code
from devices.removal import remove


def _described(noun: str, **answers: Any) -> Any:
    """Summaries for the six endpoints of a noun."""
    return extend_schema_view(
        list=extend_schema(summary=f"List {noun}s"),
        create=extend_schema(summary=f"Make a {noun}"),
        retrieve=extend_schema(summary=f"Read a {noun}"),
        update=extend_schema(summary=f"Replace a {noun}"),
        partial_update=extend_schema(summary=f"Change a {noun}"),
        destroy=extend_schema(summary=f"Delete a {noun}", **answers),
    )


@_described("unit")
class UnitViewSet(TenantViewSet):
    """Places that devices belong to. Devices of a deleted unit stay, without a place."""

    queryset = Unit.objects.all()
    serializer_class = shapes.UnitSerializer

    @extend_schema(summary="Count what a unit holds", responses=shapes.UnitStatisticsSerializer)
    @action(detail=True)
    def statistics(self, request: Request, pk: str) -> Response:
        unit = self.get_object()
        return Response({"unit_id": unit.pk, "unit_name": unit.name, **count_sensors(unit)})


def count_sensors(unit: Unit) -> dict[str, int]:
    """How many sensors stand in a unit: all of them, and by status."""
    by_status = {f"{status}_sensors": Count("pk", filter=Q(status=status)) for status in Sensor.Status.values}
    sensors = Sensor.objects.filter(device__unit=unit, device__deleted_at=None)
    return sensors.aggregate(total_sensors=Count("pk"), **by_status)


@extend_schema_view(
    list=extend_schema(summary="List sensor types"), retrieve=extend_schema(summary="Read a sensor type")
)
class SensorTypeViewSet(viewsets.ReadOnlyModelViewSet):
    """Kinds of quantities, the same for every organization."""

    access = Access()
    queryset = SensorType.objects.all()
    serializer_class = shapes.SensorTypeSerializer
    lookup_field = "code"


@extend_schema_view(
    list=extend_schema(summary="List device types"), retrieve=extend_schema(summary="Read a device type")
)
class DeviceTypeViewSet(viewsets.ReadOnlyModelViewSet):
    """Kinds of devices and the sensors they usually have, the same for every organization."""

    access = Access()
    queryset = DeviceType.objects.prefetch_related("sensor_types")
    serializer_class = shapes.DeviceTypeSerializer
    lookup_field = "code"


class DeviceFilter(django_filters.FilterSet):
    unit = django_filters.NumberFilter(field_name="unit_id", help_text="Id of a unit.")
    device_type = django_filters.CharFilter(field_name="device_type__code", help_text="Code of a device type.")
    status = django_filters.ChoiceFilter(choices=[(name, name) for name in shapes.DEVICE_STATUSES], method="of_status")
    search = django_filters.CharFilter(
        method="mentioning", help_text="Part of the name, location, external id or serial number."
    )

    def of_status(self, devices: QuerySet[Device], name: str, status: str) -> QuerySet[Device]:
        if status in (Device.Mode.MAINTENANCE, Device.Mode.DISABLED):
            return devices.filter(mode=status)
        heard = Q(state__status=status)
        if status == DeviceState.Status.REGISTERED:
            heard |= Q(state=None)
        return devices.filter(heard, mode=Device.Mode.ACTIVE)

    def mentioning(self, devices: QuerySet[Device], name: str, text: str) -> QuerySet[Device]:
        fields = ("name", "location", "external_id", "serial_number")
        mentioned = Q()
        for field in fields:
            mentioned |= Q(**{f"{field}__icontains": text})
        return devices.filter(mentioned)


@_described("device", responses=shapes.RemovalSerializer)
class DeviceViewSet(TenantViewSet):
    """Devices, addressed by their UUID. A device may read itself with its own key."""

    access = Access(device_reads=True)
    queryset = Device.objects.select_related("device_type", "unit", "state").prefetch_related("sensors__sensor_type")
    serializer_class = shapes.DeviceSerializer
    filterset_class = DeviceFilter
    lookup_field = "uuid"

    def get_serializer_class(self) -> type[BaseSerializer]:
        return shapes.NewDeviceSerializer if self.action == "create" else shapes.DeviceSerializer

    @extend_schema(summary="Make a device", responses={201: shapes.DeviceSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().create(request, *args, **kwargs)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(asdict(remove(self.get_object())))


class SensorFilter(django_filters.FilterSet):
    device = django_filters.UUIDFilter(field_name="device__uuid", help_text="UUID of a device.")
    unit = django_filters.NumberFilter(field_name="device__unit_id", help_text="Id of the unit its device is in.")
    status = django_filters.ChoiceFilter(choices=Sensor.Status.choices)
    sensor_type = django_filters.CharFilter(method="of_type", help_text="Code of a sensor type, or another name of it.")

    def of_type(self, sensors: QuerySet[Sensor], name: str, sensor_type: str) -> QuerySet[Sensor]:
        return sensors.filter(sensor_type__code=type_code(sensor_type))


@_described("sensor")
class SensorViewSet(TenantViewSet):
    """Sensors of all devices. The filters `device` and `unit` name where the sensor is."""

    queryset = Sensor.objects.select_related("device", "sensor_type")
    serializer_class = shapes.SensorSerializer
    filterset_class = SensorFilter

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.save()

    def perform_destroy(self, sensor: Sensor) -> None:
        sensor.remove()


@extend_schema_view(
    list=extend_schema(summary="List the keys of a device"),
    create=extend_schema(
        summary="Issue a key",
        description="The answer holds the secret, which nobody can read again. Over MQTT it takes the place of the "
        "key before; over HTTP that one works until it is revoked. With `source` it is the key of that source.",
        request=shapes.DeviceKeySerializer,
        responses={201: shapes.IssuedKeySerializer},
    ),
    destroy=extend_schema(summary="Revoke a key", description="It stops working at once and stays in the list."),
)
@extend_schema(parameters=[OpenApiParameter("device_uuid", OpenApiTypes.UUID, location=OpenApiParameter.PATH)])
class DeviceKeyViewSet(mixins.ListModelMixin, TenantGenericViewSet):
    """Keys that a device, and the sources it takes, sign in with."""

    access = Access(read=Role.OPERATOR, write=Role.ADMIN, delete=Role.ADMIN)
    queryset = DeviceKey.objects.select_related("device", "source", "created_by")
    serializer_class = shapes.DeviceKeySerializer

    @cached_property
    def device(self) -> Device:
        return get_object_or_404(Device.objects.visible_to(self.actor), uuid=self.kwargs["device_uuid"])

    def get_queryset(self) -> QuerySet[DeviceKey]:
        queryset: QuerySet[DeviceKey] = super().get_queryset()
        return queryset if getattr(self, "swagger_fake_view", False) else queryset.filter(device=self.device)

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = shapes.DeviceKeySerializer(
            data=request.data, context={**self.get_serializer_context(), "device": self.device}
        )
        serializer.is_valid(raise_exception=True)
        issuer = request.user if isinstance(request.user, User) else None
        key, secret = keys.issue(self.device, created_by=issuer, **serializer.validated_data)
        answer = {**self.get_serializer(key).data, "secret": secret}
        return Response(answer, status=201, headers={"Cache-Control": "no-store"})

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        keys.revoke(self.get_object())
        return Response(status=204)


@_described("source")
class SourceViewSet(TenantViewSet):
    """Traffic that does not come under `devices/{uuid}`, and the device that takes its readings.

    Each sender signs in at the broker as a source of its own (`uuid`), with a key issued for it under its device.
    """

    queryset = Source.objects.select_related("device")
    serializer_class = shapes.SourceSerializer

    @transaction.atomic
    def perform_create(self, serializer: BaseSerializer) -> None:
        super().perform_create(serializer)
        accounts().update_roles()

    @transaction.atomic
    def perform_update(self, serializer: BaseSerializer) -> None:
        super().perform_update(serializer)
        accounts().update_roles()

    @transaction.atomic
    def perform_destroy(self, instance: Source) -> None:
        username = str(instance.uuid)
        super().perform_destroy(instance)
        accounts().update_roles()
        accounts().forbid(username)
