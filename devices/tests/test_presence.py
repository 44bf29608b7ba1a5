from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction

from accounts.live import publisher
from accounts.models import Organization
from devices import presence, tasks
from devices.models import Device, DeviceState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def seen(
    seen_at: dict[Device, datetime], accepted: set[Device] = frozenset(), refused: dict[Device, str] | None = None
) -> list[Any]:
    with transaction.atomic():
        return presence.seen(
            {device.pk: at for device, at in seen_at.items()},
            {device.pk for device in accepted},
            {device.pk: reason for device, reason in (refused or {}).items()},
        )


def state(device: Device) -> DeviceState:
    return DeviceState.objects.get(device=device)


def fleet(organization: Organization, like: Device, size: int) -> list[Device]:
    return [
        Device.objects.create(organization=organization, name=f"number {n}", device_type=like.device_type)
        for n in range(size)
    ]


def test_a_device_that_is_heard_for_the_first_time_comes_online(cast: SimpleNamespace) -> None:
    assert seen({cast.boiler: NOON}, accepted={cast.boiler}) == [
        (
            cast.acme.pk,
            "device_status",
            {
                "device": str(cast.boiler.uuid),
                "name": "boiler",
                "status": "online",
                "last_seen_at": "2026-03-01T12:00:00Z",
            },
        )
    ]
    now = state(cast.boiler)
    assert (now.status, now.status_since, now.last_seen_at, now.last_accepted_at) == ("online", NOON, NOON, NOON)
    assert (now.last_refused_at, now.last_refused_reason) == (None, "")


def test_a_device_that_is_online_already_is_no_news(cast: SimpleNamespace) -> None:
    seen({cast.boiler: NOON})
    assert seen({cast.boiler: NOON + MINUTE}, accepted={cast.boiler}) == []
    now = state(cast.boiler)
    assert (now.status_since, now.last_seen_at, now.last_accepted_at) == (NOON, NOON + MINUTE, NOON + MINUTE)


def test_no_time_moves_back(cast: SimpleNamespace) -> None:
    seen({cast.boiler: NOON}, {cast.boiler}, {cast.boiler: "too_old"})
    seen({cast.boiler: NOON - MINUTE}, {cast.boiler}, {cast.boiler: "bad_json"})
    now = state(cast.boiler)
    assert (now.last_seen_at, now.last_accepted_at, now.last_refused_at) == (NOON, NOON, NOON)
    assert now.last_refused_reason == "too_old"


def test_a_refusal_says_why_and_is_a_sign_of_life(cast: SimpleNamespace) -> None:
    assert len(seen({cast.boiler: NOON}, refused={cast.boiler: "not_a_number"})) == 1
    now = state(cast.boiler)
    assert (now.status, now.last_refused_at, now.last_refused_reason) == ("online", NOON, "not_a_number")
    assert now.last_accepted_at is None


def test_a_device_in_maintenance_is_noted_but_not_told(cast: SimpleNamespace) -> None:
    cast.boiler.mode = Device.Mode.MAINTENANCE
    cast.boiler.save()
    assert seen({cast.boiler: NOON}) == []
    assert state(cast.boiler).last_seen_at == NOON


@pytest.mark.database
def test_a_batch_costs_the_same_however_many_devices_it_names(
    cast: SimpleNamespace, django_assert_num_queries: Any
) -> None:
    many = fleet(cast.acme, cast.boiler, 60)
    with django_assert_num_queries(2 + 5):  # savepoint; find, make, find again, write; the devices of the events
        assert len(seen(dict.fromkeys(many, NOON))) == 60
    for size in (1, 60):
        with django_assert_num_queries(2 + 2):
            seen(dict.fromkeys(many[:size], NOON + MINUTE), set(many[:size]))


def test_a_device_goes_offline_after_five_silent_minutes(cast: SimpleNamespace) -> None:
    cast.boiler.reading_interval_seconds = 10
    cast.boiler.save()
    seen({cast.boiler: NOON})
    assert presence.silent(NOON + 5 * MINUTE) == []
    later = NOON + 5 * MINUTE + timedelta(microseconds=1)
    [(organization_id, kind, item)] = presence.silent(later)
    assert (organization_id, kind, item["status"]) == (cast.acme.pk, "device_status", "offline")
    assert item["last_seen_at"] == "2026-03-01T12:00:00Z"
    assert (state(cast.boiler).status, state(cast.boiler).status_since) == ("offline", later)
    assert presence.silent(later) == []


@pytest.mark.database
def test_a_device_that_seldom_sends_may_be_silent_for_three_intervals(cast: SimpleNamespace) -> None:
    cast.boiler.reading_interval_seconds = 3600
    cast.boiler.save()
    seen({cast.boiler: NOON})
    assert presence.silent(NOON + timedelta(hours=3)) == []
    assert len(presence.silent(NOON + timedelta(hours=3, seconds=1))) == 1


def test_a_device_that_was_never_heard_stays_registered(cast: SimpleNamespace) -> None:
    DeviceState.objects.create(device=cast.boiler)
    assert presence.silent(NOON + timedelta(days=9)) == []
    assert state(cast.boiler).status == "registered"


def test_a_device_comes_back_online(cast: SimpleNamespace) -> None:
    seen({cast.boiler: NOON})
    presence.silent(NOON + 60 * MINUTE)
    [(_, _, item)] = seen({cast.boiler: NOON + 61 * MINUTE})
    assert item["status"] == "online"
    assert state(cast.boiler).status_since == NOON + 61 * MINUTE


def test_a_deleted_device_goes_silently(cast: SimpleNamespace) -> None:
    seen({cast.boiler: NOON})
    cast.boiler.deleted_at = NOON
    cast.boiler.save()
    assert presence.silent(NOON + 60 * MINUTE) == []


def test_silence_is_noticed_in_bites_until_none_is_left(cast: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "BITE", 2)
    many = fleet(cast.acme, cast.boiler, 5)
    patient, *chatty = many
    Device.objects.filter(pk=patient.pk).update(reading_interval_seconds=86_400)
    seen(dict.fromkeys(many, NOON))
    told = presence.silent(NOON + 60 * MINUTE)
    assert {item["device"] for _, _, item in told} == {str(device.uuid) for device in chatty}
    assert DeviceState.objects.filter(status="offline").count() == 4


def test_one_bite_costs_the_same_however_many_are_silent(cast: SimpleNamespace, django_assert_num_queries: Any) -> None:
    many = fleet(cast.acme, cast.boiler, 40)
    for size in (1, 40):
        seen(dict.fromkeys(many[:size], NOON))
        with django_assert_num_queries(5 + 1 + 3):  # a bite, its events, and a look for another bite
            presence.silent(NOON + 60 * MINUTE)


def test_the_clock_tells_the_sockets(cast: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []
    monkeypatch.setattr(publisher, "offer", heard.extend)
    seen({cast.boiler: NOON})
    tasks.watch_presence()
    assert [(kind, item["status"]) for _, kind, item in heard] == [("device_status", "offline")]
