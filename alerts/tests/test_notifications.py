from __future__ import annotations

import time
from concurrent.futures import Future
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from alerts import notifications, webhooks
from alerts.models import Delivery, Rule
from alerts.notifications import LEASE, RETRY_AFTER, TRIES, claim_due, record, send_again, send_due
from alerts.tasks import send_deliveries
from alerts.tests.conftest import Receiver, alert_of, channel_to, delivery_to, receiving


@pytest.fixture
def pending(cast: SimpleNamespace, hot: Rule, receiver: Receiver) -> Delivery:
    return delivery_to(channel_to(receiver.url, cast.acme), alert_of(cast.temperature, rule=hot))


def let_time_pass(by: timedelta) -> None:
    for delivery in Delivery.objects.all():
        delivery.due_at -= by
        delivery.save()


def test_a_message_tells_the_alert_and_carries_its_key(
    cast: SimpleNamespace, pending: Delivery, receiver: Receiver
) -> None:
    assert send_deliveries() == 1

    [request] = receiver.requests
    assert request.path == "/hook"
    assert request.headers["Idempotency-Key"] == str(pending.uuid)
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"].startswith("iot-platform/")
    assert (request.body["event"], request.body["organization"]) == ("opened", {"id": cast.acme.pk, "name": "Acme"})
    assert request.body["alert"]["device"] == str(cast.boiler.uuid)
    assert request.body["alert"]["rule_name"] == "Too hot"
    assert request.body["sent_at"].endswith("Z")
    pending.refresh_from_db()
    assert (pending.status, pending.attempts, pending.response_status, pending.error) == ("sent", 1, 204, "")
    assert pending.sent_at is not None
    assert send_due() == 0
    assert len(receiver.requests) == 1


def test_a_message_of_a_rule_that_was_deleted_still_goes(pending: Delivery, receiver: Receiver) -> None:
    Rule.objects.all().delete()
    assert send_due() == 1
    assert receiver.requests[0].body["alert"]["rule_name"] is None


def test_a_message_that_fails_is_tried_five_times_within_the_hour_and_then_dead(
    pending: Delivery, receiver: Receiver
) -> None:
    receiver.answer = lambda handler: handler.say(500)
    waits = []
    for _ in range(TRIES):
        assert send_due() == 0
        pending.refresh_from_db()
        waits.append((pending.due_at - timezone.now()).total_seconds())
        assert (pending.error, pending.response_status) == ("The receiver answered 500.", 500)
        let_time_pass(timedelta(hours=1))

    assert (pending.status, pending.attempts) == ("dead", 5)
    assert waits[:4] == [pytest.approx(wait.total_seconds(), abs=5) for wait in RETRY_AFTER]
    assert sum(RETRY_AFTER, timedelta()) < timedelta(hours=1)
    assert send_due() == 0
    assert len(receiver.requests) == 5
    assert len({request.headers["Idempotency-Key"] for request in receiver.requests}) == 1


def test_a_message_waits_for_its_time(pending: Delivery, receiver: Receiver) -> None:
    Delivery.objects.update(due_at=timezone.now() + timedelta(seconds=30))
    assert send_due() == 0
    assert receiver.requests == []


def test_a_message_that_was_left_in_mid_send_goes_again_with_the_same_key(
    pending: Delivery, receiver: Receiver
) -> None:
    [claimed] = claim_due(1)  # and here its sender dies
    assert send_due() == 0  # someone else may be at it

    let_time_pass(LEASE)
    assert send_due() == 1
    assert receiver.requests[0].headers["Idempotency-Key"] == str(claimed.uuid)
    pending.refresh_from_db()
    assert (pending.status, pending.attempts) == ("sent", 2)


def test_a_message_whose_sender_died_at_the_last_try_is_dead(pending: Delivery, receiver: Receiver) -> None:
    for _ in range(TRIES):
        assert claim_due(1)
        let_time_pass(LEASE)
    assert send_due() == 0
    pending.refresh_from_db()
    assert (pending.status, pending.error) == ("dead", "Sending broke off at the last try.")
    assert receiver.requests == []


def test_of_two_senders_that_see_the_same_message_one_gets_it(pending: Delivery) -> None:
    for _ in range(2):  # first it is pending, then its lease has run out
        mine, yours = (Delivery.objects.select_related("channel__organization").get() for _ in range(2))
        now = timezone.now()
        assert [notifications._claim(mine, now), notifications._claim(yours, now)] == [True, False]
        let_time_pass(LEASE)


def test_a_sender_that_comes_back_too_late_changes_nothing(pending: Delivery) -> None:
    [late] = claim_due(1)
    let_time_pass(LEASE)
    [quick] = claim_due(1)
    failed: Future[int] = Future()
    failed.set_exception(webhooks.Failed("too late"))

    assert record(late, failed) is False
    pending.refresh_from_db()
    assert (pending.status, pending.attempts, pending.error) == ("sending", quick.attempts, "")


def test_the_messages_of_one_channel_go_one_after_another(
    cast: SimpleNamespace, pending: Delivery, receiver: Receiver
) -> None:
    for _ in range(3):
        delivery_to(pending.channel, alert_of(cast.temperature))
    first = claim_due(10)
    assert [delivery.pk for delivery in first] == [pending.pk]
    assert claim_due(10) == []

    let_time_pass(LEASE)
    assert send_due() == 4
    keys = [request.headers["Idempotency-Key"] for request in receiver.requests]
    assert keys == [str(delivery.uuid) for delivery in Delivery.objects.order_by("pk")]


def test_a_target_that_hangs_does_not_hold_up_the_others(
    cast: SimpleNamespace, pending: Delivery, receiver: Receiver, impatient: float, settings: Any
) -> None:
    receiver.answer = lambda handler: handler.hang()
    with receiving() as quick:
        settings.WEBHOOK_ALLOWED = [receiver.entry, quick.entry]
        channel = channel_to(quick.url, cast.acme)
        for _ in range(5):
            delivery_to(channel, alert_of(cast.temperature))
        started = time.monotonic()
        assert send_due() == 5
        assert max(request.at for request in quick.requests) - started < impatient
    pending.refresh_from_db()
    assert (pending.status, pending.error) == ("pending", "No answer within 1 s.")


def test_what_else_waits_for_a_target_that_gives_no_answer_waits_on(
    cast: SimpleNamespace, pending: Delivery, receiver: Receiver, impatient: float
) -> None:
    receiver.answer = lambda handler: handler.hang()
    other = delivery_to(pending.channel, alert_of(cast.temperature))
    send_due()
    other.refresh_from_db()
    assert (len(receiver.requests), other.status, other.attempts) == (1, "pending", 0)
    assert other.due_at > timezone.now() + timedelta(seconds=20)


def test_a_target_that_refuses_one_message_gets_the_next(
    cast: SimpleNamespace, pending: Delivery, receiver: Receiver
) -> None:
    receiver.answer = lambda handler: handler.say(400 if len(receiver.requests) == 1 else 200)
    delivery_to(pending.channel, alert_of(cast.temperature))
    assert send_due() == 1
    assert sorted(Delivery.objects.values_list("status", flat=True)) == ["pending", "sent"]


def test_a_channel_that_must_not_be_called_any_more_is_not(
    pending: Delivery, receiver: Receiver, settings: Any
) -> None:
    settings.WEBHOOK_ALLOWED = []
    assert send_due() == 0
    pending.refresh_from_db()
    assert "WEBHOOK_ALLOWED" in pending.error
    assert (pending.status, receiver.requests) == ("pending", [])


def test_a_channel_that_was_switched_off_and_an_organization_that_was_deleted_hear_nothing(
    cast: SimpleNamespace, pending: Delivery, receiver: Receiver
) -> None:
    pending.channel.is_enabled = False
    pending.channel.save()
    theirs = delivery_to(channel_to(receiver.url, cast.globex), alert_of(cast.their_temperature))
    cast.globex.deleted_at = timezone.now()
    cast.globex.save()
    assert send_due() == 0
    assert receiver.requests == []
    for delivery, error in ((pending, "The channel is switched off."), (theirs, "The organization was deleted.")):
        delivery.refresh_from_db()
        assert (delivery.status, delivery.error) == ("dead", error)


def test_an_error_that_nobody_foresaw_is_kept_and_holds_up_nothing(
    cast: SimpleNamespace, pending: Delivery, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = delivery_to(channel_to(f"{receiver.url}/theirs", cast.globex), alert_of(cast.their_temperature))

    def post(url: str, *request: Any) -> int:
        return real(url, *request) if url.endswith("theirs") else 1 // 0

    real = webhooks.post
    monkeypatch.setattr(webhooks, "post", post)
    assert send_due() == 1
    theirs.refresh_from_db()
    pending.refresh_from_db()
    assert (theirs.status, pending.status) == ("sent", "pending")
    assert "ZeroDivisionError" in pending.error


def test_a_dead_message_gets_all_its_tries_again_under_its_key(pending: Delivery, receiver: Receiver) -> None:
    Delivery.objects.update(status="dead", attempts=5, error="The receiver answered 500.")
    assert send_again(Delivery.objects.all()) == 1
    assert send_due() == 1
    assert receiver.requests[0].headers["Idempotency-Key"] == str(pending.uuid)


def test_a_message_that_is_being_sent_is_not_sent_again_beside_it(pending: Delivery) -> None:
    claim_due(1)
    assert send_again(Delivery.objects.all()) == 0


def test_a_look_that_finds_nothing_to_send_costs_one_statement(
    cast: SimpleNamespace, pending: Delivery, django_assert_num_queries: Any
) -> None:
    for status in ("sent", "dead"):
        delivery_to(pending.channel, alert_of(cast.temperature), status=status)
    Delivery.objects.filter(pk=pending.pk).update(due_at=timezone.now() + timedelta(seconds=30))
    with django_assert_num_queries(1):
        assert send_due() == 0
