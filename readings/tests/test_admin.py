"""Readings, sensor states and refusals as staff see them."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from devices.models import Device
from readings.models import Protocol, Reading, Reason, Rejection, SensorState, Status
from readings.tests.records import MINUTE, add_sensor, record

READINGS = "/admin/readings/reading/"


@pytest.fixture
def sam(cast: SimpleNamespace) -> Client:
    client = Client()
    client.force_login(cast.sam)
    return client


def shown(client: Client, query: str = "") -> list[float]:
    return [reading.value for reading in client.get(f"{READINGS}{query}").context["cl"].result_list]


def act(client: Client, action: str, readings: list[Reading], **fields: Any) -> str:
    body = {"action": action, "_selected_action": [reading.pk for reading in readings], **fields}
    return client.post(READINGS, body, follow=True).content.decode()


def test_the_list_of_readings_counts_and_sorts_nothing(cast: SimpleNamespace, sam: Client) -> None:
    record(cast.temperature, 1.0, 2.0)
    record(cast.their_temperature, 3.0)
    with CaptureQueriesContext(connection) as statements:
        assert shown(sam) == [3.0, 2.0, 1.0]
    asked = [one["sql"] for one in statements.captured_queries if "readings_reading" in one["sql"]]
    assert len(asked) == 1
    assert "COUNT(" not in asked[0]
    assert 'ORDER BY "readings_reading"."id" DESC' in asked[0].replace("`", '"')


def test_a_page_of_readings_costs_the_same_whatever_it_shows(cast: SimpleNamespace, sam: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as statements:
            sam.get(READINGS)
        return len(statements)

    record(cast.temperature, 1.0)
    few = cost()
    for number in range(10):
        record(add_sensor(cast.boiler, f"s{number}"), 1.0, 2.0)
    assert cost() == few


def test_readings_are_found_by_sensor_id_key_and_device(cast: SimpleNamespace, sam: Client) -> None:
    record(cast.temperature, 1.0, 2.0)
    record(add_sensor(cast.boiler, "attic"), 3.0)
    record(cast.their_temperature, 9.0)
    assert shown(sam, f"?sensor={cast.temperature.pk}") == [2.0, 1.0]
    assert shown(sam, "?sensor=attic") == [3.0]
    assert sorted(shown(sam, "?sensor=temperature")) == [1.0, 2.0, 9.0]
    assert sorted(shown(sam, f"?sensor={cast.boiler.uuid}")) == [1.0, 2.0, 3.0]
    assert shown(sam, "?sensor=nobody") == shown(sam, "?sensor=999999999") == []


def test_readings_are_found_by_their_time(cast: SimpleNamespace, sam: Client) -> None:
    record(cast.temperature, 1.0, start=timezone.now() - timedelta(hours=30))
    record(cast.temperature, 2.0, start=timezone.now() - timedelta(hours=2))
    record(cast.temperature, 3.0, start=timezone.now() - MINUTE)
    assert shown(sam, "?within=hour") == [3.0]
    assert shown(sam, "?within=day") == [3.0, 2.0]
    assert shown(sam, "?within=week") == [3.0, 2.0, 1.0]


def test_staff_confirm_and_put_away_readings(cast: SimpleNamespace, sam: Client) -> None:
    rows = record(cast.temperature, 1.0, 2.0)
    masked = record(cast.temperature, 3.0, start=timezone.now(), status=Status.INVALID)
    assert "Changed 2 readings." in act(sam, "validate", rows)
    page = act(sam, "archive", [rows[0], *masked])
    assert "Changed 1 readings." in page
    assert "1 have a status that stays." in page
    state = SensorState.objects.get(pk=cast.temperature.pk)
    assert (state.pending_count, state.validated_count, state.archived_count, state.invalid_count) == (0, 1, 1, 1)


def test_an_action_never_takes_the_whole_table(cast: SimpleNamespace, sam: Client) -> None:
    rows = record(cast.temperature, *range(1001), every=timedelta(seconds=1))
    assert "Select all 9999999999" not in sam.get(READINGS).content.decode()
    assert "At most 1000 readings at once." in act(sam, "validate", rows[:1], select_across="1")
    assert not Reading.objects.exclude(status=Status.PENDING).exists()


def test_deleting_in_the_admin_keeps_the_counts_right(cast: SimpleNamespace, sam: Client) -> None:
    rows = record(cast.temperature, 1.0, 2.0, 3.0)
    act(sam, "delete_selected", rows[2:], post="yes")
    assert SensorState.objects.get(pk=cast.temperature.pk).value == 2.0
    sam.post(f"{READINGS}{rows[1].pk}/delete/", {"post": "yes"})
    state = SensorState.objects.get(pk=cast.temperature.pk)
    assert (state.value, state.count) == (1.0, 1)


def test_a_reading_can_be_opened_but_neither_added_nor_changed(cast: SimpleNamespace, sam: Client) -> None:
    reading = record(cast.temperature, 21.5)[0]
    assert sam.get(f"{READINGS}add/").status_code == 403
    page = f"{READINGS}{reading.pk}/change/"
    assert sam.get(page).status_code == 200
    assert sam.post(page, {"value": "99"}).status_code == 403
    assert Reading.objects.get().value == 21.5


def test_customers_do_not_see_the_admin(cast: SimpleNamespace) -> None:
    client = Client()
    client.force_login(cast.alice)
    assert client.get(READINGS).status_code == 302


def test_sensor_states_lead_to_their_readings_and_cannot_be_changed(cast: SimpleNamespace, sam: Client) -> None:
    record(cast.temperature, 21.5)
    url = reverse("admin:readings_sensorstate_changelist")
    page = sam.get(url).content.decode()
    assert f"{READINGS}?sensor={cast.temperature.pk}" in page
    assert "21.5 °C" in page
    assert sam.get(f"{url}?q=boiler").context["cl"].result_count == 1
    assert sam.get(f"{url}add/").status_code == 403
    assert sam.post(f"{url}{cast.temperature.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_refused_message_can_be_read_whatever_bytes_it_holds(cast: SimpleNamespace, sam: Client) -> None:
    rejection = Rejection.objects.create(
        protocol=Protocol.MQTT,
        reason=Reason.NOT_UTF8,
        payload=b"\xff<script>alert(1)</script>",
        payload_bytes=26,
    )
    url = reverse("admin:readings_rejection_changelist")
    assert "not_utf8" in sam.get(url).content.decode().lower().replace(" ", "_")
    page = sam.get(f"{url}{rejection.pk}/change/").content.decode()
    assert "�&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page


def test_nothing_shown_from_a_device_runs_as_script(cast: SimpleNamespace, sam: Client) -> None:
    Device.objects.filter(pk=cast.boiler.pk).update(name="<script>alert(1)</script>")
    record(cast.temperature, 21.5)
    for page in (READINGS, reverse("admin:readings_sensorstate_changelist")):
        assert "<script>alert(1)" not in sam.get(page).content.decode()
