"""The landing page of the admin: the figures that staff look for first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count, Sum
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Organization
from alerts.models import Alert, Delivery
from devices.models import Device, DeviceState
from iot_platform.health import health
from readings.models import Rejection, SensorState


def landing(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds `figures` and `health` to the admin's index page."""
    status = dict(
        DeviceState.objects.filter(device__deleted_at=None)
        .values_list("status")
        .annotate(devices=Count("pk"))
        .order_by()
    )
    yesterday = timezone.now() - timedelta(days=1)
    figures = [
        ("Organizations", Organization.objects.active().count(), "admin:accounts_organization_changelist"),
        ("Devices", Device.objects.active().count(), "admin:devices_device_changelist"),
        ("Online", status.get(DeviceState.Status.ONLINE, 0), "admin:devices_device_changelist"),
        ("Offline", status.get(DeviceState.Status.OFFLINE, 0), "admin:devices_device_changelist"),
        ("Readings", SensorState.objects.aggregate(n=Sum("count"))["n"] or 0, "admin:readings_reading_changelist"),
        ("Open alerts", Alert.objects.open().count(), "admin:alerts_alert_changelist"),
        (
            "Refused in 24 h",
            Rejection.objects.filter(received_at__gte=yesterday).count(),
            "admin:readings_rejection_changelist",
        ),
        (
            "Dead deliveries",
            Delivery.objects.filter(status=Delivery.Status.DEAD).count(),
            "admin:alerts_delivery_changelist",
        ),
    ]
    return {**context, "figures": figures, "health": health()}
