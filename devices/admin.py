"""Places, devices, their sensors, keys and sources, for the staff of the platform."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from accounts.models import User
from devices import keys, topics
from devices.broker import BrokerAway, accounts
from devices.models import (
    BrokerLink,
    Device,
    DeviceKey,
    DeviceState,
    DeviceType,
    Sensor,
    SensorType,
    Source,
    Unit,
)
from devices.removal import remove

STATUS_COLOURS = {
    "online": "success",
    "offline": "danger",
    "registered": "info",
    "maintenance": "warning",
    "disabled": "warning",
}


class OnlyToLookAt(ModelAdmin):
    """Written by the platform itself."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class IssuesKeys(ModelAdmin):
    """Devices and sources sign in with keys; whoever issues one sees its secret in a message, once."""

    def has_issue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("devices.add_devicekey")

    @action(description="Issue a key", permissions=["issue"])
    def issue_key(self, request: HttpRequest, queryset: QuerySet[Device] | QuerySet[Source]) -> None:
        try:
            for row in queryset:
                device, source = (row.device, row) if isinstance(row, Source) else (row, None)
                _, secret = keys.issue(device, created_by=cast(User, request.user), source=source)
                self.message_user(request, f"Key of {row}, shown only now: {secret}", messages.WARNING)
        except BrokerAway as error:
            self.message_user(request, str(error.detail), messages.ERROR)


class SameOrganizationForm(forms.ModelForm):
    """What belongs to one organization cannot lead to another one's."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        own = cleaned.get("organization") or getattr(self.instance, "organization", None)
        for name in ("unit", "device"):
            other = cleaned.get(name)
            if other is not None and own is not None and other.organization_id != own.pk:
                self.add_error(name, f"This {name} belongs to another organization.")
        return cleaned


@admin.register(Unit)
class UnitAdmin(ModelAdmin):
    list_display = ("name", "location", "organization", "created_at")
    list_filter = ("organization",)
    list_select_related = ("organization",)
    search_fields = ("name", "location", "organization__name")
    autocomplete_fields = ("organization",)
    readonly_fields = ("created_at",)


@admin.register(SensorType)
class SensorTypeAdmin(ModelAdmin):
    list_display = ("code", "name", "kind", "unit", "minimum", "maximum")
    list_filter = ("kind",)
    search_fields = ("code", "name")


@admin.register(DeviceType)
class DeviceTypeAdmin(ModelAdmin):
    list_display = ("code", "name", "usual_sensors")
    search_fields = ("code", "name")
    autocomplete_fields = ("sensor_types",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeviceType]:
        return super().get_queryset(request).prefetch_related("sensor_types")

    @display(description="usual sensors")
    def usual_sensors(self, device_type: DeviceType) -> str:
        return ", ".join(sensor_type.code for sensor_type in device_type.sensor_types.all())


class SensorInline(TabularInline):
    model = Sensor
    extra = max_num = 0
    fields = ("key", "sensor_type", "unit", "name", "status", "minimum", "maximum")
    readonly_fields = ("key", "sensor_type", "unit")
    can_delete = False
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Sensor]:
        return super().get_queryset(request).select_related("sensor_type")


@admin.register(Device)
class DeviceAdmin(IssuesKeys):
    form = SameOrganizationForm
    list_display = ("name", "status_label", "unit", "organization", "device_type", "last_seen_at", "uuid")
    list_filter = ("mode", "state__status", "device_type", "organization")
    list_select_related = ("state", "unit", "organization", "device_type")
    search_fields = ("name", "uuid", "external_id", "serial_number", "location")
    autocomplete_fields = ("organization", "unit", "device_type")
    readonly_fields = ("uuid", "status_label", "last_seen_at", "created_at")
    inlines = (SensorInline,)
    actions = ("issue_key", "delete_devices")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Device]:
        return super().get_queryset(request).filter(deleted_at=None)

    def get_readonly_fields(self, request: HttpRequest, obj: Device | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "organization") if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Device | None = None) -> bool:
        return False  # its readings do not go in one request: see the action

    @display(description="status", label=STATUS_COLOURS)
    def status_label(self, device: Device) -> str:
        return device.status

    @display(description="last seen", ordering="state__last_seen_at")
    def last_seen_at(self, device: Device) -> Any:
        state = getattr(device, "state", None)
        return state and state.last_seen_at

    @action(description="Delete: gone at once, purged by the clock", permissions=["change"])
    def delete_devices(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        try:
            gone = [remove(device) for device in queryset]
        except BrokerAway as error:
            self.message_user(request, str(error.detail), messages.ERROR)
        else:
            self.message_user(request, f"{len(gone)} deleted, with {sum(one.sensors for one in gone)} sensors.")


@admin.register(DeviceState)
class DeviceStateAdmin(OnlyToLookAt):
    list_display = ("device", "status", "status_since", "last_seen_at", "last_accepted_at", "last_refused_reason")
    list_filter = ("status", "last_refused_reason")
    list_select_related = ("device",)
    search_fields = ("device__name", "device__uuid")


@admin.register(Sensor)
class SensorAdmin(ModelAdmin):
    list_display = ("name", "key", "device", "sensor_type", "unit", "status")
    list_filter = ("status", "sensor_type", "device__organization")
    list_select_related = ("device", "sensor_type")
    search_fields = ("name", "key", "device__name", "device__uuid")
    autocomplete_fields = ("device", "sensor_type")
    readonly_fields = ("created_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Sensor]:
        return super().get_queryset(request).filter(device__deleted_at=None)

    def get_readonly_fields(self, request: HttpRequest, obj: Sensor | None = None) -> tuple[str, ...]:
        """What its readings were stored as stays."""
        return (*self.readonly_fields, "device", "sensor_type", "unit") if obj else self.readonly_fields


class SourceForm(SameOrganizationForm):
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        topic_filter, scheme = cleaned.get("topic_filter"), cleaned.get("scheme")
        if not topic_filter or not scheme:
            return cleaned
        try:
            topics.check(topic_filter, scheme)
        except topics.BadFilter as error:
            self.add_error("topic_filter", str(error))
        else:
            if topics.is_taken(topic_filter, but_for=self.instance.pk or 0):
                self.add_error("topic_filter", "Some topic under this filter belongs to another source.")
        return cleaned


@admin.register(Source)
class SourceAdmin(IssuesKeys):
    form = SourceForm
    list_display = ("name", "scheme", "topic_filter", "device", "organization", "is_enabled")
    list_filter = ("scheme", "is_enabled", "organization")
    list_select_related = ("device", "organization")
    search_fields = ("name", "topic_filter", "uuid", "device__name")
    autocomplete_fields = ("organization", "device")
    readonly_fields = ("uuid", "created_at")
    actions = ("issue_key",)

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Source, form: forms.ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self._tell_broker(request)

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Source) -> None:
        super().delete_model(request, obj)
        self._tell_broker(request)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Source]) -> None:
        super().delete_queryset(request, queryset)
        self._tell_broker(request)

    def _tell_broker(self, request: HttpRequest) -> None:
        """Roles follow at once, accounts without a source at the next reconciliation; without a role they can do
        nothing."""
        try:
            accounts().update_roles()
        except BrokerAway:
            self.message_user(request, "Saved. The MQTT broker is away and follows within the hour.", messages.WARNING)


@admin.register(DeviceKey)
class DeviceKeyAdmin(OnlyToLookAt):
    """Keys are issued from the device or the source; here they are revoked."""

    list_display = ("prefix", "device", "source", "name", "created_by", "created_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "device__organization")
    list_select_related = ("device", "source", "created_by")
    search_fields = ("prefix", "name", "device__name", "device__uuid")
    fields = list_display
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("devices.change_devicekey")

    @action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[DeviceKey]) -> None:
        try:
            for key in queryset:
                keys.revoke(key)
        except BrokerAway as error:
            self.message_user(request, str(error.detail), messages.ERROR)
        else:
            self.message_user(request, f"{len(queryset)} revoked.")


@admin.register(BrokerLink)
class BrokerLinkAdmin(OnlyToLookAt):
    list_display = ("name", "connected_at", "echoed_at", "received", "waiting")
