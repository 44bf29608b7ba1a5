"""How an alert is told: one shape for the API, for live frames and for webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from accounts.live import Event, OrganizationConsumer, text_of
from alerts.models import Alert


class AlertsConsumer(OrganizationConsumer):
    """`/ws/alerts`: an alert as soon as it is opened, acknowledged or resolved."""

    kinds = frozenset({"alert"})
    features = ("alerts",)
    greeting = "Connected to the alert stream"


def describe(alert: Alert) -> dict[str, Any]:
    """The alert as everyone outside sees it. Reads its rule, device, sensor and people: select them with it."""
    return {
        "id": alert.pk,
        "rule": alert.rule_id,
        "rule_name": alert.rule.name if alert.rule else None,
        "device": str(alert.device.uuid),
        "device_name": alert.device.name,
        "sensor_id": alert.sensor_id,
        "sensor_key": alert.sensor.key,
        "sensor_name": alert.sensor.name,
        "unit_symbol": alert.sensor.unit_symbol,
        "severity": alert.get_severity_display(),
        "status": alert.status,
        "message": alert.message,
        "value": alert.value,
        "threshold": alert.threshold,
        "time": instant(alert.time),
        "opened_at": instant(alert.opened_at),
        "acknowledged_at": instant(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by.username if alert.acknowledged_by else None,
        "resolved_at": instant(alert.resolved_at),
        "resolved_by": alert.resolved_by.username if alert.resolved_by else None,
    }


def event(alert: Alert, name: str) -> Event:
    """What happened to an alert (`opened`, `acknowledged`, `resolved`), for whoever looks at its organization."""
    return alert.organization_id, "alert", {**describe(alert), "event": name}


def instant(time: datetime | None) -> str | None:
    return text_of(time) if time else None
