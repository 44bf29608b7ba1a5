"""The HTML pages. They draw what is true now; the scripts of the page keep it moving."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any, ClassVar, cast
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.generic import DetailView, ListView, TemplateView
from django.views.generic.base import ContextMixin
from rest_framework.exceptions import NotFound

from accounts.models import Organization, Role, User
from accounts.permissions import ORGANIZATION_SESSION_KEY, Actor, actor_for
from alerts.models import Alert, Severity
from dashboards import overview
from dashboards.models import Dashboard
from dashboards.sending import KEY_PLACE, curl_line, mosquitto_line
from dashboards.serializers import LayoutSerializer
from dashboards.tiles import RANGES, drawn
from devices.models import Device, DeviceState, DeviceType, Sensor, SensorType, Unit

STATUSES = (*DeviceState.Status.values, Device.Mode.MAINTENANCE.value, Device.Mode.DISABLED.value)
ALERT_STATUSES = ("open", *Alert.Status.values, "all")


class SignIn(LoginView):
    """By username or e-mail; the limits of failed attempts are those of the API."""

    template_name = "dashboards/sign_in.html"
    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = 429 if form.has_error(NON_FIELD_ERRORS, "throttled") else 200
        return response


class SignOut(LogoutView):
    """By POST alone, so that no link signs anybody out."""


class MemberPage(LoginRequiredMixin, ContextMixin):
    """A page of the organization that this person looks at; whoever is in none is told so."""

    request: HttpRequest
    tab: ClassVar[str] = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated and self.actor.organization_id is None:
            return render(request, "dashboards/no_organization.html", {"actor": self.actor})
        return super().dispatch(request, *args, **kwargs)

    @cached_property
    def actor(self) -> Actor:
        user = cast("User", self.request.user)
        try:
            return actor_for(user, self.request.session.get(ORGANIZATION_SESSION_KEY))
        except NotFound:  # no longer a member of what was chosen
            del self.request.session[ORGANIZATION_SESSION_KEY]
            return actor_for(user)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        organizations = list(Organization.objects.visible_to(self.actor))
        return super().get_context_data(**kwargs) | {
            "tab": self.tab,
            "actor": self.actor,
            "may_operate": self.actor.has_role(Role.OPERATOR),
            "may_administer": self.actor.has_role(Role.ADMIN),
            "organization": next(each for each in organizations if each.pk == self.actor.organization_id),
            "organizations": organizations,
            "open_alert_count": Alert.objects.visible_to(self.actor).open().count(),
        }


class ChooseOrganization(MemberPage, TemplateView):
    template_name = "dashboards/organizations.html"

    def post(self, request: HttpRequest) -> HttpResponse:
        chosen = request.POST.get("organization", "")
        mine = {str(organization.pk): organization.pk for organization in Organization.objects.visible_to(self.actor)}
        if chosen not in mine:
            raise Http404
        request.session[ORGANIZATION_SESSION_KEY] = mine[chosen]
        return redirect("overview")


class Overview(MemberPage, TemplateView):
    template_name = "dashboards/overview.html"
    tab = "overview"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {
            "attention": overview.attention(self.actor),
            "alerts": overview.worst_alerts(self.actor),
            "sensors": overview.newest_readings(self.actor),
            "changes": overview.newest_changes(self.actor),
        }


class Listing(MemberPage, ListView):
    """Rows, fifty at a time; the query string says which."""

    paginate_by = 50

    def asked(self, name: str, choices: Collection[str]) -> str:
        """What the query string asks for, if that is a thing to ask for."""
        value = self.request.GET.get(name, "")
        return value if value in choices else ""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        kept = self.request.GET.copy()
        kept.pop("page", None)
        return super().get_context_data(**kwargs) | {"kept_query": kept.urlencode()}


class Devices(Listing):
    template_name = "dashboards/devices.html"
    context_object_name = "devices"
    tab = "devices"

    @cached_property
    def filters(self) -> dict[str, str]:
        units = {str(pk) for pk in Unit.objects.visible_to(self.actor).values_list("pk", flat=True)}
        return {
            "text": self.request.GET.get("text", "").replace("\0", "").strip()[:120],
            "status": self.asked("status", STATUSES),
            "unit": self.asked("unit", units),
        }

    def get_queryset(self) -> QuerySet[Device]:
        return overview.devices_found(self.actor, **self.filters)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {
            "filters": self.filters,
            "statuses": STATUSES,
            "units": Unit.objects.visible_to(self.actor),
            "device_types": DeviceType.objects.all(),
        }


class DeviceDetail(MemberPage, DetailView):
    template_name = "dashboards/device.html"
    context_object_name = "device"
    slug_field = slug_url_kwarg = "uuid"
    tab = "devices"

    def get_queryset(self) -> QuerySet[Device]:
        return Device.objects.visible_to(self.actor).select_related("unit", "device_type", "state")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        sensors = list(overview.with_reading(self.object.sensors.order_by("pk")))
        return super().get_context_data(**kwargs) | {
            "sensors": sensors,
            "alerts": overview.alerts_found(self.actor, "all", device=self.object)[: overview.NEWEST_ALERTS],
            "ranges": RANGES,
            "first_range": RANGES["1 h"],
            "key_place": KEY_PLACE,
            "has_key": self.object.keys.filter(revoked_at=None, source=None).exists(),
            **self.lines(sensors[0] if sensors else None),
        }

    def lines(self, sensor: Sensor | None) -> dict[str, str]:
        """How to send a reading, addressed as this page was."""
        address = urlsplit(self.request.build_absolute_uri())
        return {
            "mosquitto_line": mosquitto_line(self.object, sensor, address.hostname or "", settings.MQTT_PORT),
            "curl_line": curl_line(self.object, sensor, f"{address.scheme}://{address.netloc}"),
        }


class Dashboards(Listing):
    template_name = "dashboards/dashboards.html"
    context_object_name = "dashboards"
    tab = "dashboards"

    def get_queryset(self) -> QuerySet[Dashboard]:
        dashboards = Dashboard.objects.visible_to(self.actor).annotate(tile_count=Count("tiles"))
        return dashboards.order_by("name", "pk")


class DashboardDetail(MemberPage, DetailView):
    template_name = "dashboards/dashboard.html"
    context_object_name = "dashboard"
    tab = "dashboards"

    def get_queryset(self) -> QuerySet[Dashboard]:
        return Dashboard.objects.visible_to(self.actor)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        sensors = Sensor.objects.visible_to(self.actor)
        return super().get_context_data(**kwargs) | {
            "tiles": drawn(self.actor, self.object),
            "layout": LayoutSerializer(self.object).data,
            "sensor_types": SensorType.objects.filter(pk__in=sensors.values("sensor_type")),
            "devices": Device.objects.visible_to(self.actor)[:500],
            "ranges": RANGES,
        }


class Alerts(Listing):
    template_name = "dashboards/alerts.html"
    context_object_name = "alerts"
    tab = "alerts"

    @cached_property
    def device(self) -> Device | None:
        """The one device whose alerts are asked for."""
        wanted = self.request.GET.get("device")
        if not wanted:
            return None
        try:
            return get_object_or_404(Device.objects.visible_to(self.actor), uuid=UUID(wanted))
        except ValueError as error:
            raise Http404 from error

    @cached_property
    def filters(self) -> dict[str, str]:
        return {
            "status": self.asked("status", ALERT_STATUSES) or ALERT_STATUSES[0],
            "severity": self.asked("severity", Severity.labels),
        }

    def get_queryset(self) -> QuerySet[Alert]:
        return overview.alerts_found(self.actor, **self.filters, device=self.device)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {
            "filters": self.filters,
            "device": self.device,
            "statuses": ALERT_STATUSES,
            "severities": Severity.labels[::-1],
        }
