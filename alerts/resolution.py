"""What people do about an alert: acknowledge it, resolve it. Each change happens once, whoever asks how often."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts.live import publisher
from alerts.live import event
from alerts.models import Alert, Delivery
from alerts.notifications import notify

ALERTS = Alert.objects.select_related("rule", "device", "sensor", "acknowledged_by", "resolved_by")


def acknowledge(alert: Alert, user_id: int | None) -> Alert:
    """Say that someone looks after it. An alert that is acknowledged or resolved already stays as it is."""
    active = Alert.objects.filter(pk=alert.pk, status=Alert.Status.ACTIVE)
    changed = active.update(status=Alert.Status.ACKNOWLEDGED, acknowledged_at=timezone.now(), acknowledged_by=user_id)
    alert = ALERTS.get(pk=alert.pk)
    if changed:
        publisher.offer([event(alert, "acknowledged")])
    return alert


def resolve(alert: Alert, user_id: int | None) -> Alert:
    """Close it by hand. It does not open anew before the value has been good once."""
    with transaction.atomic():
        changed = (
            Alert.objects.open()
            .filter(pk=alert.pk)
            .update(status=Alert.Status.RESOLVED, resolved_at=timezone.now(), resolved_by=user_id)
        )
        alert = ALERTS.get(pk=alert.pk)
        if changed:
            notify([(alert, Delivery.Event.RESOLVED)])
    if changed:
        publisher.offer([event(alert, "resolved")])
    return alert
