"""What the clock does for the whole platform."""

from __future__ import annotations

from celery import shared_task

from accounts.live import publish, text_of
from accounts.models import Organization
from accounts.permissions import Actor
from iot_platform.health import system_status
from iot_platform.purge import purge


@shared_task
def publish_status() -> None:
    """Tell each organization's sockets how the platform is doing."""
    for organization_id in Organization.objects.active().values_list("pk", flat=True):
        status = system_status(Actor(organization_id=organization_id))
        latest = status["last_reading_time"]
        status["last_reading_time"] = latest and text_of(latest)
        publish(organization_id, "system_status", status)


@shared_task
def purge_deleted() -> None:
    """Remove what was deleted, a bite at a time; the next tick goes on where this one stopped."""
    purge()
