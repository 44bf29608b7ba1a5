"""Readings over HTTP: what is answered, to whom, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from devices.models import Device
from readings.models import Origin, Protocol, Reading, Reason, Rejection, SensorState, Status
from readings.tests.records import MINUTE, NOON, READING_FIELDS, ApiOf, add_sensor, at, of_device, record, values

# -- who may ask -----------------------------------------------------------------------------------------------
ENDPOINTS = ("sensors/latest", "sensors/history", "sensors/stats", "readings", "devices/{}/readings")


@pytest.mark.parametrize("path", [*ENDPOINTS, "devices/{}/readings/latest", "devices/{}/readings/stats"])
def test_readings_are_for_members_and_the_device_itself(
    path: str, cast: SimpleNamespace, api_of: ApiOf, as_boiler: APIClient
) -> None:
    url = f"/api/v1/{path.format(cast.boiler.uuid)}"
    assert api_of(None).get(url).status_code == 401
    assert api_of(cast.norma).get(url).status_code == 403
    assert api_of(cast.vera).get(url).status_code == 200
    assert as_boiler.get(url).status_code == 200
    assert api_of(cast.mallory).get(url).status_code == (404 if "{}" in path else 200)


@pytest.mark.parametrize("what", ["", "/latest", "/stats"])
def test_a_device_reads_itself_and_no_neighbour(what: str, cast: SimpleNamespace, as_boiler: APIClient) -> None:
    neighbour = Device.objects.create(organization=cast.acme, name="next", device_type=cast.boiler.device_type)
    record(add_sensor(neighbour, "temperature"), 99.0)
    record(cast.temperature, 20.0)
    assert as_boiler.get(of_device(neighbour, what)).status_code == 404
    assert as_boiler.get(of_device(cast.boiler, what)).status_code == 200
    assert values(as_boiler.get("/api/v1/readings")) == [20.0]


def test_another_organizations_readings_are_in_no_answer(cast: SimpleNamespace, vera: APIClient) -> None:
    theirs = record(cast.their_temperature, 99.0, start=timezone.now() - MINUTE)[0]
    assert vera.get("/api/v1/sensors/latest").json() == {"total_readings": 0}
    assert vera.get("/api/v1/sensors/stats").json()["total_readings"] == 0
    for query in (f"sensor_id={cast.their_temperature.pk}", f"device={cast.theirs.uuid}", "sensor_id=temperature"):
        assert values(vera.get(f"/api/v1/readings?{query}")) == []
        assert values(vera.get(f"/api/v1/sensors/history?{query}")) == []
        assert vera.get(f"/api/v1/sensors/history?{query}&points=10").json()["total_count"] == 0
    assert vera.get(f"/api/v1/readings/{theirs.pk}").status_code == 404


def test_readings_of_a_deleted_device_are_gone_at_once(cast: SimpleNamespace, vera: APIClient) -> None:
    reading = record(cast.temperature, 20.0)[0]
    Device.objects.filter(pk=cast.boiler.pk).update(deleted_at=timezone.now())
    assert values(vera.get("/api/v1/readings")) == []
    assert vera.get(f"/api/v1/readings/{reading.pk}").status_code == 404
    assert vera.get("/api/v1/sensors/latest").json() == {"total_readings": 0}


# -- the present -----------------------------------------------------------------------------------------------
def test_latest_answers_the_newest_reading_of_each_type(cast: SimpleNamespace, vera: APIClient) -> None:
    humidity = add_sensor(cast.boiler, "damp", "humidity", "percentage")
    attic = add_sensor(cast.boiler, "attic")
    record(cast.temperature, 20.0, 21.0)
    record(attic, 9.5, start=NOON + 5 * MINUTE, is_anomaly=True)
    damp = record(humidity, 55.0)[0]
    answer = vera.get("/api/v1/sensors/latest").json()
    assert answer.keys() == {"temperature", "humidity", "total_readings"}
    assert answer["total_readings"] == 4
    assert answer["temperature"]["sensor_id"] == attic.pk
    assert answer["temperature"]["anomaly"] is True
    assert answer["humidity"] == {
        "id": damp.pk,
        "timestamp": "2026-03-01T12:00:00.000Z",
        "sensor_type": "humidity",
        "sensor_id": humidity.pk,
        "sensor_key": "damp",
        "device": str(cast.boiler.uuid),
        "value": 55.0,
        "unit": "percentage",
        "unit_symbol": "%",
        "origin": "edge",
        "anomaly": False,
        "created_at": "2026-03-01T12:00:00.000Z",
    }


def test_latest_never_reads_readings(cast: SimpleNamespace, vera: APIClient, django_assert_num_queries: Any) -> None:
    for number in range(20):
        record(add_sensor(cast.boiler, f"s{number}"), 1.0, 2.0)
    Reading.objects.all().delete()
    with django_assert_num_queries(5):  # session, user, membership, totals, newest
        assert vera.get("/api/v1/sensors/latest").json()["total_readings"] == 40


def test_statistics_have_every_field_and_leave_out_what_is_invalid(cast: SimpleNamespace, vera: APIClient) -> None:
    silent = add_sensor(cast.boiler, "off")
    type(silent).objects.filter(pk=silent.pk).update(status="inactive")
    record(silent, 5.0, start=NOON - MINUTE)
    record(cast.temperature, 20.0, 21.0)
    record(cast.temperature, 22.0, start=NOON + 2 * MINUTE, is_anomaly=True)
    record(cast.temperature, 99.0, start=NOON - timedelta(days=1), status=Status.INVALID)
    assert vera.get("/api/v1/sensors/stats").json() == {
        "total_readings": 4,
        "anomalous_readings": 1,
        "anomaly_rate": 25.0,
        "sensor_types": ["temperature"],
        "active_sensors": [cast.temperature.pk],
        "readings_by_type": {"temperature": {"count": 4, "anomalies": 1, "latest_value": 22.0}},
        "time_range": {"earliest": "2026-02-28T12:00:00.000Z", "latest": "2026-03-01T12:02:00.000Z"},
    }


def test_statistics_of_nothing_are_zero(vera: APIClient) -> None:
    answer = vera.get("/api/v1/sensors/stats").json()
    assert (answer["anomaly_rate"], answer["time_range"]) == (0.0, {"earliest": None, "latest": None})


def test_the_latest_of_a_device_is_one_reading_a_sensor(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, 20.0, 21.0)
    record(add_sensor(cast.boiler, "attic"), 9.0)
    record(cast.temperature, 99.0, start=NOON - MINUTE, status=Status.INVALID)
    add_sensor(cast.boiler, "never heard of")
    answer = vera.get(of_device(cast.boiler, "/latest")).json()
    assert answer["device"] == str(cast.boiler.uuid)
    assert [(one["sensor_key"], one["value"]) for one in answer["readings"]] == [("attic", 9.0), ("temperature", 21.0)]
    assert answer["total_readings"] == 3


# -- lists and single readings ---------------------------------------------------------------------------------
def pages(client: APIClient, url: str | None) -> list[list[float]]:
    found: list[list[float]] = []
    while url is not None and len(found) < 20:
        answer = client.get(url)
        assert answer.status_code == 200
        found.append(values(answer))
        url = answer.json()["next"]
    return found


def test_pages_follow_one_another_without_gap_or_repetition(cast: SimpleNamespace, vera: APIClient) -> None:
    attic = add_sensor(cast.boiler, "attic")
    record(cast.temperature, *range(0, 10, 2))
    record(attic, *range(1, 11, 2))  # the same times, so that only the id tells them apart
    found = pages(vera, "/api/v1/readings?limit=3")
    assert [len(page) for page in found] == [3, 3, 3, 1]
    assert sorted(value for page in found for value in page) == list(range(10))


def test_new_rows_do_not_shift_the_page_that_comes_next(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, 1.0, 2.0, 3.0, 4.0)
    first = vera.get("/api/v1/readings?limit=2")
    record(cast.temperature, 9.0, 9.0, start=NOON + 60 * MINUTE)
    record(add_sensor(cast.boiler, "late"), 2.5, start=NOON + MINUTE + timedelta(seconds=1))
    assert values(first) == [4.0, 3.0]
    assert pages(vera, first.json()["next"]) == [[2.5, 2.0], [1.0]]


def test_the_list_counts_nothing_and_costs_six_statements(
    cast: SimpleNamespace, vera: APIClient, django_assert_num_queries: Any
) -> None:
    for number in range(30):
        record(add_sensor(cast.boiler, f"s{number}"), *range(5))
    with django_assert_num_queries(6) as statements:  # session, user, membership, states, readings, sensors
        answer = vera.get("/api/v1/readings").json()
    assert len(answer["results"]) == 50
    assert answer.keys() == {"next", "results"}
    assert not any("COUNT(" in one["sql"] for one in statements.captured_queries)


def test_a_list_keeps_its_filters_from_page_to_page(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, *range(10))
    record(add_sensor(cast.boiler, "attic"), *range(10))
    ask = f"/api/v1/readings?limit=2&sensor_id=attic&min_value=3&max_value=7&start={at(NOON + 4 * MINUTE)}"
    assert pages(vera, ask) == [[7.0, 6.0], [5.0, 4.0]]


def test_invalid_readings_are_shown_only_when_asked_for(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, 1.0, status=Status.INVALID)
    record(cast.temperature, 2.0, start=NOON + MINUTE, status=Status.ARCHIVED)
    record(cast.temperature, 3.0, start=NOON + 2 * MINUTE)
    for url in ("/api/v1/readings", of_device(cast.boiler), "/api/v1/sensors/history"):
        assert values(vera.get(url)) == [3.0, 2.0]
        assert values(vera.get(f"{url}?status=invalid")) == [1.0]
        assert values(vera.get(f"{url}?status=invalid&status=pending")) == [3.0, 1.0]
        assert values(vera.get(f"{url}?status=archived")) == [2.0]


def test_only_anomalies_are_listed_when_asked(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, 1.0, 2.0)
    record(cast.temperature, 3.0, start=NOON - MINUTE, is_anomaly=True)
    assert values(vera.get("/api/v1/readings?anomalies_only=true")) == [3.0]


def test_an_anomaly_that_was_marked_invalid_is_still_found(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, 1.0, is_anomaly=True, status=Status.INVALID)
    SensorState.objects.update(anomaly_count=0)  # the count leaves out what is invalid
    assert values(vera.get("/api/v1/readings?anomalies_only=true")) == []
    assert values(vera.get("/api/v1/readings?anomalies_only=true&status=invalid")) == [1.0]


def test_a_devices_list_takes_both_names_of_a_window(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, *range(5))
    for start, end in (("start", "end"), ("start_time", "end_time")):
        url = f"{of_device(cast.boiler)}?{start}={at(NOON + MINUTE)}&{end}={at(NOON + 3 * MINUTE)}"
        assert values(vera.get(url)) == [2.0, 1.0]


def test_a_devices_list_cannot_be_turned_to_another_device(cast: SimpleNamespace, vera: APIClient) -> None:
    other = Device.objects.create(organization=cast.acme, name="next", device_type=cast.boiler.device_type)
    record(add_sensor(other, "temperature"), 99.0)
    record(cast.temperature, 20.0)
    assert values(vera.get(f"{of_device(cast.boiler)}?device={other.uuid}")) == [20.0]


def test_the_statistics_of_a_device_cover_each_sensor(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, 2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0)
    record(cast.temperature, 500.0, start=NOON + 30 * MINUTE, status=Status.INVALID)
    add_sensor(cast.boiler, "silent")
    window = f"start_time={at(NOON)}&end_time={at(NOON + 60 * MINUTE)}"
    answer = vera.get(f"{of_device(cast.boiler, '/stats')}?{window}").json()
    silent, temperature = answer["sensors"]
    assert {name: temperature[name] for name in ("count", "min", "max", "avg", "std_dev")} == {
        "count": 8,
        "min": 2.0,
        "max": 9.0,
        "avg": 5.0,
        "std_dev": 2.0,
    }
    assert (silent["count"], silent["avg"]) == (0, None)
    assert answer["total_count"] == 8
    assert answer["filters_applied"]["start"] == "2026-03-01T12:00:00.000Z"


def test_device_statistics_cover_the_last_day_by_default(cast: SimpleNamespace, vera: APIClient) -> None:
    record(cast.temperature, 1.0, start=timezone.now() - timedelta(hours=25))
    record(cast.temperature, 2.0, start=timezone.now() - timedelta(hours=23))
    answer = vera.get(of_device(cast.boiler, "/stats")).json()
    assert answer["sensors"][0]["avg"] == 2.0
    assert answer["filters_applied"]["start"] is not None


def test_a_reading_has_all_its_fields(cast: SimpleNamespace, vera: APIClient) -> None:
    reading = record(
        cast.temperature,
        21.5,
        start=NOON + timedelta(microseconds=1001),
        origin=Origin.FOG,
        protocol=Protocol.COAP,
        reading_count=12,
    )[0]
    answer = vera.get(f"/api/v1/readings/{reading.pk}").json()
    assert answer.keys() == READING_FIELDS
    assert answer["timestamp"] == "2026-03-01T12:00:00.001001Z"
    assert (answer["origin"], answer["protocol"], answer["status"]) == ("fog", "coap", "pending")
    assert (answer["value"], answer["unit"], answer["reading_count"]) == (21.5, "celsius", 12)


@pytest.mark.parametrize("pk", ["0", "-1", str(2**63), "1 OR 1=1", "null"])
def test_an_id_that_is_none_is_not_found(pk: str, vera: APIClient) -> None:
    assert vera.get(f"/api/v1/readings/{pk}").status_code == 404


# -- writing --------------------------------------------------------------------------------------------------
def test_a_person_writes_a_reading_down_and_gets_it_back(cast: SimpleNamespace, api_of: ApiOf) -> None:
    sent = {"sensor_id": cast.temperature.pk, "value": 68, "unit": "°F"}
    answer = api_of(cast.olga).post("/api/v1/readings", sent)
    assert answer.status_code == 201
    reading = Reading.objects.get()
    assert answer.json().keys() == READING_FIELDS | {"accepted", "duplicates", "rejected"}
    assert (answer.json()["id"], answer.json()["value"], answer.json()["origin"]) == (reading.pk, 20.0, "manual")


def test_a_device_sends_readings_to_either_address(cast: SimpleNamespace, as_boiler: APIClient) -> None:
    for url in ("/api/v1/readings", of_device(cast.boiler)):
        answer = as_boiler.post(url, {"readings": [{"sensor": "temperature", "value": 20.5}]})
        assert (answer.status_code, answer.json()) == (201, {"accepted": 1, "duplicates": 0, "rejected": []})
    assert values(as_boiler.get("/api/v1/readings")) == [20.5, 20.5]
    assert set(Reading.objects.values_list("origin", "protocol")) == {(Origin.EDGE, Protocol.HTTP)}


def test_nobody_writes_where_they_may_not(cast: SimpleNamespace, api_of: ApiOf, as_boiler: APIClient) -> None:
    sent = {"sensor": "temperature", "value": 20.5}
    assert api_of(None).post(of_device(cast.boiler), sent).status_code == 401
    assert api_of(cast.vera).post(of_device(cast.boiler), sent).status_code == 403
    assert api_of(cast.mallory).post(of_device(cast.boiler), sent).status_code == 404
    assert as_boiler.post(of_device(cast.theirs), sent).status_code == 404
    theirs = {"sensor_id": cast.their_temperature.pk, "value": 1}
    assert api_of(cast.olga).post("/api/v1/readings", theirs).status_code == 404
    assert not Reading.objects.exists()


# -- refusals --------------------------------------------------------------------------------------------------
@pytest.fixture
def refused(cast: SimpleNamespace) -> Rejection:
    def reject(device: Device, reason: Reason, payload: bytes) -> Rejection:
        return Rejection.objects.create(
            organization=device.organization,
            device=device,
            protocol=Protocol.MQTT,
            topic=f"devices/{device.uuid}/up/readings",
            reason=reason,
            detail="as it is",
            payload=payload,
            payload_bytes=len(payload),
        )

    reject(cast.theirs, Reason.BAD_JSON, b"theirs")
    reject(cast.boiler, Reason.EMPTY, b"")
    return reject(cast.boiler, Reason.NOT_UTF8, b"\xff{\x00}")


def test_an_operator_sees_what_was_refused_and_why(cast: SimpleNamespace, api_of: ApiOf, refused: Rejection) -> None:
    answer = api_of(cast.olga).get("/api/v1/rejections").json()
    assert [one["reason"] for one in answer["results"]] == ["not_utf8", "empty"]
    one = api_of(cast.olga).get(f"/api/v1/rejections/{refused.pk}").json()
    assert (one["payload"], one["payload_bytes"], one["protocol"]) == ("�{\x00}", 4, "mqtt")
    assert one["device"] == str(cast.boiler.uuid)


def test_refusals_are_found_by_reason_and_device(cast: SimpleNamespace, api_of: ApiOf, refused: Rejection) -> None:
    olga = api_of(cast.olga)

    def reasons(query: str) -> list[str]:
        return [one["reason"] for one in olga.get(f"/api/v1/rejections?{query}").json()["results"]]

    assert reasons("reason=empty") == ["empty"]
    assert len(reasons(f"device={cast.boiler.uuid}")) == 2
    assert reasons(f"device={cast.theirs.uuid}") == []
    assert olga.get("/api/v1/rejections?reason=nonsense").status_code == 400
    assert olga.get("/api/v1/rejections?device=7").status_code == 400


def test_refusals_are_not_for_viewers_devices_or_strangers_and_cannot_be_written(
    cast: SimpleNamespace, api_of: ApiOf, as_boiler: APIClient, refused: Rejection
) -> None:
    url = f"/api/v1/rejections/{refused.pk}"
    expected = {None: 401, cast.vera: 403, cast.mallory: 404, cast.olga: 200}
    for person, code in expected.items():
        assert api_of(person).get(url).status_code == code
    assert as_boiler.get(url).status_code == 403
    for method in ("post", "put", "patch", "delete"):
        assert getattr(api_of(cast.alice), method)(url).status_code in (403, 405)
    assert Rejection.objects.count() == 3
