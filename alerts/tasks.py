"""What the clock does for alerts."""

from __future__ import annotations

from celery import shared_task

from alerts.notifications import send_due


@shared_task
def send_deliveries() -> int:
    """Send the messages that are due."""
    return send_due()
