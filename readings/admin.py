"""Readings, sensor states and refusals for staff. Nothing here counts or sorts the table of readings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import action, display
from unfold.paginator import InfinitePaginator

from devices.models import Device, Sensor
from readings import review
from readings.models import Reading, Rejection, SensorState

MOST_AT_ONCE = 1000


class ReadOnly(ModelAdmin):
    """Written by the corridor alone; staff look at it."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SensorFilter(TextFilter):
    """By sensor id or key, or the UUID of a device; readings are indexed by sensor."""

    title = "sensor id, sensor key or device UUID"
    parameter_name = "sensor"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Reading]) -> QuerySet[Reading]:
        name = (self.value() or "").strip()
        if not name:
            return queryset
        return queryset.filter(sensor__in=list(Sensor.objects.filter(_named(name)).values_list("pk", flat=True)))


def _named(name: str) -> Q:
    if name.isascii() and name.isdigit() and len(name) < 10:
        return Q(pk=name)
    try:
        return Q(key=name) | Q(device__uuid=Device.uuid.field.to_python(name))
    except ValidationError:  # no UUID, so it is a key
        return Q(key=name)


class WithinFilter(admin.SimpleListFilter):
    """Of the last hours or days: asks only the sensors that sent something since, each by its index."""

    title = "time"
    parameter_name = "within"
    spans: ClassVar = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, f"last {name}") for name in self.spans]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Reading]) -> QuerySet[Reading]:
        span = self.spans.get(self.value() or "")
        if span is None:
            return queryset
        since = timezone.now() - span
        sensors = SensorState.objects.filter(time__gte=since).values("pk")
        return queryset.filter(sensor__in=sensors, time__gte=since)


@admin.register(Reading)
class ReadingAdmin(ReadOnly):
    list_display = (
        "time",
        "device",
        "sensor",
        "measured",
        "reviewed",
        "is_anomaly",
        "origin",
        "protocol",
        "received_at",
    )
    list_display_links = ("time",)
    list_filter = (SensorFilter, WithinFilter)
    list_select_related = ("sensor__device", "sensor__sensor_type")
    paginator = InfinitePaginator
    actions = ("validate", "archive")
    list_disable_select_all = True  # of readings there are always too many

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """By the index that the filter leaves: of sensors by time, else in the order of storing."""
        return ("-sensor_id", "-time") if request.GET.get("sensor") else ("-pk",)

    @display(description="device")
    def device(self, reading: Reading) -> str:
        return str(reading.sensor.device)

    @display(description="value")
    def measured(self, reading: Reading) -> str:
        return f"{reading.value:g} {reading.sensor.unit_symbol}"

    @display(description="status", label={"pending": "info", "validated": "success", "invalid": "danger"})
    def reviewed(self, reading: Reading) -> str:
        return reading.get_status_display()

    def has_review_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("readings.change_reading")

    @action(description="Validate", permissions=["review"])
    def validate(self, request: HttpRequest, queryset: QuerySet[Reading]) -> None:
        self._review(request, queryset, review.validate)

    @action(description="Archive", permissions=["review"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Reading]) -> None:
        self._review(request, queryset, review.archive)

    def _review(self, request: HttpRequest, queryset: QuerySet[Reading], move: Any) -> None:
        ids = list(queryset.values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
        if len(ids) > MOST_AT_ONCE:
            self.message_user(request, f"At most {MOST_AT_ONCE} readings at once.", messages.ERROR)
            return
        outcome = move(ids, Reading.objects.all())
        self.message_user(request, f"Changed {outcome.changed} readings.")
        if outcome.refused:
            self.message_user(request, f"{len(outcome.refused)} have a status that stays.", messages.WARNING)

    def delete_model(self, request: HttpRequest, obj: Reading) -> None:
        review.remove([obj.pk], Reading.objects.all())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Reading]) -> None:
        review.remove(list(queryset.values_list("pk", flat=True)), Reading.objects.all())


@admin.register(SensorState)
class SensorStateAdmin(ReadOnly):
    list_display = ("sensor", "device", "measured", "time", "is_anomaly", "count", "anomaly_count", "readings")
    list_select_related = ("sensor__device", "sensor__sensor_type")
    list_filter = ("is_anomaly", "sensor__sensor_type")
    search_fields = ("sensor__key", "sensor__name", "sensor__device__name")
    ordering = ("-time",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="device")
    def device(self, state: SensorState) -> str:
        return str(state.sensor.device)

    @display(description="value")
    def measured(self, state: SensorState) -> str:
        return f"{state.value:g} {state.sensor.unit_symbol}"

    @display(description="readings")
    def readings(self, state: SensorState) -> SafeString:
        return format_html('<a href="{}?sensor={}">show</a>', reverse("admin:readings_reading_changelist"), state.pk)


@admin.register(Rejection)
class RejectionAdmin(ReadOnly):
    list_display = ("received_at", "organization", "device", "reason", "detail", "protocol", "payload_bytes")
    list_filter = ("reason", "protocol")
    list_select_related = ("organization", "device")
    ordering = ("-pk",)
    paginator = InfinitePaginator
    exclude = ("payload",)
    readonly_fields = ("message",)

    @display(description="payload")
    def message(self, rejection: Rejection) -> SafeString:
        text = bytes(rejection.payload).decode(errors="replace")
        return format_html('<pre class="whitespace-pre-wrap break-all">{}</pre>', text)
