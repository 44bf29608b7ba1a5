"""Tell an organization's channels of its alerts: a row for each message, sent by the clock.

A row is claimed by a conditional UPDATE and holds a lease while it is being sent. A sender that dies leaves the
lease to run out; the message then goes again under the same key, so the receiver can tell. Every claim counts as
a try, and the count says whose claim it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Min, QuerySet
from django.utils import timezone

from alerts import webhooks
from alerts.live import describe, instant
from alerts.models import Alert, Channel, Delivery

log = structlog.get_logger(__name__)

SENDERS = 16
ROUND_SECONDS = 20  # then the next tick of the clock goes on
LEASE = timedelta(seconds=60)  # far longer than a send may take
RETRY_AFTER = [timedelta(seconds=seconds) for seconds in (30, 120, 600, 2700)]
TRIES = len(RETRY_AFTER) + 1  # within the hour
PAUSE = timedelta(seconds=30)  # for what else waits for a target that gives no answer

PENDING, SENDING, SENT, DEAD = (
    Delivery.Status.PENDING,
    Delivery.Status.SENDING,
    Delivery.Status.SENT,
    Delivery.Status.DEAD,
)

RELATED = (
    "channel__organization",
    "alert__rule",
    "alert__device",
    "alert__sensor",
    "alert__acknowledged_by",
    "alert__resolved_by",
)


def notify(changes: Iterable[tuple[Alert, Delivery.Event]]) -> None:
    """Leave a message for every channel that wants to hear, in the transaction that made the change."""
    changes = list(changes)
    organizations = {alert.organization_id for alert, _ in changes}
    channels = list(Channel.objects.filter(organization__in=organizations, is_enabled=True))
    Delivery.objects.bulk_create(
        Delivery(alert=alert, channel=channel, event=event)
        for alert, event in changes
        for channel in channels
        if channel.organization_id == alert.organization_id and channel.minimum_severity <= alert.severity
    )


def send_due() -> int:
    """Send what is due, each channel's messages one after another; answers how many arrived.

    Only the network work is done by threads, so a target that hangs holds up one of them and no database connection.
    """
    stop_at = time.monotonic() + ROUND_SECONDS
    running: dict[Future[int], Delivery] = {}
    arrived = 0
    with ThreadPoolExecutor(SENDERS, thread_name_prefix="webhook") as pool:
        while True:
            if time.monotonic() < stop_at:
                for delivery in claim_due(SENDERS - len(running)):
                    running[pool.submit(send, request_for(delivery))] = delivery
            if not running:
                return arrived
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                arrived += record(running.pop(done), done)


def send_again(deliveries: QuerySet[Delivery]) -> int:
    """Give messages all their tries anew, under the key they always had; answers how many."""
    settled = deliveries.filter(status__in=(PENDING, SENT, DEAD))
    return settled.update(status=PENDING, attempts=0, due_at=timezone.now(), error="")


def claim_due(limit: int) -> list[Delivery]:
    """Take up to `limit` messages that are due: the oldest of each channel that has none under way."""
    now = timezone.now()
    busy = Delivery.objects.filter(status=SENDING, due_at__gt=now).values("channel")
    due = Delivery.objects.filter(status__in=(PENDING, SENDING), due_at__lte=now).exclude(channel__in=busy)
    oldest = due.order_by().values("channel").annotate(first=Min("pk")).order_by("first")[:limit]
    deliveries = Delivery.objects.filter(pk__in=[row["first"] for row in oldest]).order_by("pk")
    return [delivery for delivery in deliveries.select_related(*RELATED) if _claim(delivery, now)]


def _claim(delivery: Delivery, now: datetime) -> bool:
    """Make a message ours, unless another sender was quicker; bury it if it must not go any more."""
    obstacle = _obstacle(delivery)
    if obstacle:
        _settle(delivery, status=DEAD, error=obstacle)
        return False
    return _settle(delivery, status=SENDING, attempts=delivery.attempts + 1, due_at=now + LEASE)


def _obstacle(delivery: Delivery) -> str:
    if delivery.attempts >= TRIES:
        return "Sending broke off at the last try."
    if delivery.channel.organization.deleted_at:
        return "The organization was deleted."
    return "" if delivery.channel.is_enabled else "The channel is switched off."


def _settle(delivery: Delivery, **fields: Any) -> bool:
    """Change a message if it is still as we know it; answers whether it was."""
    known = Delivery.objects.filter(pk=delivery.pk, status=delivery.status, attempts=delivery.attempts)
    changed = known.update(**fields) == 1
    for name, value in fields.items():
        setattr(delivery, name, value)
    return changed


Request = tuple[str, dict[str, Any], dict[str, str]]  # address, content, headers


def request_for(delivery: Delivery) -> Request:
    """Where a message goes, what it says, and its headers. It tells the alert as it is now."""
    organization = delivery.channel.organization
    body = {
        "event": delivery.event,
        "alert": describe(delivery.alert),
        "organization": {"id": organization.pk, "name": organization.name},
        "sent_at": instant(timezone.now()),
    }
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": str(delivery.uuid),
        "User-Agent": f"iot-platform/{settings.VERSION}",
    }
    return delivery.channel.url, body, headers


def send(request: Request) -> int:
    """In a thread of the pool: what cannot be written down fails this message and no other."""
    url, body, headers = request
    return webhooks.post(url, json.dumps(body, allow_nan=False).encode(), headers)


def record(delivery: Delivery, done: Future[int]) -> bool:
    """Keep how a try ended; answers whether the message arrived."""
    now = timezone.now()
    error = done.exception()
    if error is None:
        return _settle(delivery, status=SENT, sent_at=now, response_status=done.result(), error="")
    answered = error.status if isinstance(error, webhooks.Failed) else None
    text = str(error) if isinstance(error, webhooks.Failed) else repr(error)
    log.warning("webhook failed", channel=delivery.channel_id, delivery=delivery.pk, reason=text)
    if answered is None:
        waiting = Delivery.objects.filter(channel=delivery.channel_id, status=PENDING, due_at__lt=now + PAUSE)
        waiting.update(due_at=now + PAUSE)
    outcome = {"response_status": answered, "error": text[:300]}
    if delivery.attempts >= TRIES:
        _settle(delivery, status=DEAD, **outcome)
    else:
        _settle(delivery, status=PENDING, due_at=now + RETRY_AFTER[delivery.attempts - 1], **outcome)
    return False
