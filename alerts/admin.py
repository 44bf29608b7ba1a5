"""Alerts for the staff of the platform."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from alerts import webhooks
from alerts.models import Alert, Channel, Delivery, Rule, RuleState, Severity
from alerts.notifications import send_again
from alerts.resolution import acknowledge, resolve
from alerts.serializers import contradictions

SEVERITY_COLOURS = {"info": "info", "low": "info", "medium": "warning", "high": "danger", "critical": "danger"}
ALERT_COLOURS = {"active": "danger", "acknowledged": "warning", "resolved": "success"}
DELIVERY_COLOURS = {"pending": "info", "sending": "warning", "sent": "success", "dead": "danger"}


class ReadOnlyAdmin(ModelAdmin):
    """Rows that the platform writes itself. Who has the right to change them may do so by the actions alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)


class SeverityColumn:
    @display(description="severity", ordering="severity", label=SEVERITY_COLOURS)
    def severity_label(self, row: Rule | Alert) -> str:
        return Severity(row.severity).label


class RuleForm(forms.ModelForm):
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for field, problem in contradictions(cleaned).items():
            self.add_error(field, problem)
        organization = cleaned.get("organization")
        for field in ("sensor", "device", "unit"):
            row = cleaned.get(field)
            owner = row.device if field == "sensor" and row else row
            if owner and organization and owner.organization_id != organization.pk:
                self.add_error(field, "It belongs to another organization.")
        return cleaned


@admin.register(Rule)
class RuleAdmin(SeverityColumn, ModelAdmin):
    form = RuleForm
    list_display = ("name", "organization", "operator", "threshold", "sensor_type", "severity_label", "is_enabled")
    list_filter = ("is_enabled", "severity", "sensor_type")
    list_select_related = ("organization", "sensor_type")
    search_fields = ("name", "organization__name", "device__name", "sensor__name")
    autocomplete_fields = ("organization", "sensor", "device", "unit")


@admin.register(RuleState)
class RuleStateAdmin(ReadOnlyAdmin):
    list_display = ("rule", "sensor", "alert", "judged_at")
    list_select_related = ("rule", "sensor", "alert")
    search_fields = ("rule__name", "sensor__name")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Alert)
class AlertAdmin(SeverityColumn, ReadOnlyAdmin):
    list_display = ("message", "organization", "device", "severity_label", "status_label", "opened_at", "resolved_at")
    list_filter = ("status", "severity", "opened_at")
    list_select_related = ("organization", "device")
    search_fields = ("message", "organization__name", "device__name")
    date_hierarchy = "opened_at"
    actions = ("acknowledge_alerts", "resolve_alerts")

    @display(description="status", ordering="status", label=ALERT_COLOURS)
    def status_label(self, alert: Alert) -> str:
        return alert.status

    @action(permissions=("act",), description="Acknowledge")
    def acknowledge_alerts(self, request: HttpRequest, alerts: QuerySet[Alert]) -> None:
        for alert in alerts:
            acknowledge(alert, request.user.pk)
        self.message_user(request, f"{len(alerts)} acknowledged.", messages.SUCCESS)

    @action(permissions=("act",), description="Resolve")
    def resolve_alerts(self, request: HttpRequest, alerts: QuerySet[Alert]) -> None:
        for alert in alerts:
            resolve(alert, request.user.pk)
        self.message_user(request, f"{len(alerts)} resolved.", messages.SUCCESS)


class ChannelForm(forms.ModelForm):
    def clean_url(self) -> str:
        try:
            webhooks.check(self.cleaned_data["url"])
        except webhooks.Refused as refusal:
            raise forms.ValidationError(str(refusal)) from refusal
        return self.cleaned_data["url"]


@admin.register(Channel)
class ChannelAdmin(ModelAdmin):
    form = ChannelForm
    list_display = ("name", "organization", "url", "minimum_severity", "is_enabled")
    list_filter = ("is_enabled", "minimum_severity")
    list_select_related = ("organization",)
    search_fields = ("name", "url", "organization__name")
    autocomplete_fields = ("organization",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("event", "alert", "channel", "status_label", "attempts", "response_status", "due_at", "error")
    list_filter = ("status", "event", "due_at")
    list_select_related = ("alert", "channel")
    search_fields = ("alert__message", "channel__name", "error", "uuid")
    actions = ("send_deliveries_again",)

    @display(description="status", ordering="status", label=DELIVERY_COLOURS)
    def status_label(self, delivery: Delivery) -> str:
        return delivery.status

    @action(permissions=("act",), description="Send again")
    def send_deliveries_again(self, request: HttpRequest, deliveries: QuerySet[Delivery]) -> None:
        count = send_again(deliveries)
        self.message_user(request, f"{count} will be sent again within seconds.", messages.SUCCESS)
