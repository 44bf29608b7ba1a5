"""What the clock does for devices."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.utils import timezone

from accounts.live import publisher
from devices import keys, presence
from devices.broker import accounts

log = structlog.get_logger(__name__)


@shared_task
def watch_presence() -> None:
    """Notice the devices that have gone silent."""
    publisher.offer(presence.silent(timezone.now()))


@shared_task
def reconcile_broker() -> None:
    """Bring the broker's accounts in step with the database, whatever was missed while one of them was away."""
    accounts().update_roles()
    report = accounts().reconcile(keys.broker_passwords())
    if report.removed or report.missing:
        log.warning("broker accounts were out of step", removed=report.removed, missing=report.missing)
