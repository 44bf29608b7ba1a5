"""The HTTP door: what is taken, what is answered, what is too much."""

import gzip
import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from devices import keys
from readings.models import Origin, Protocol, Reading, Rejection

pytestmark = pytest.mark.django_db
GOOD = {"sensor": "temperature", "value": 21.5}


@pytest.fixture
def post(cast: SimpleNamespace) -> Callable[..., object]:
    """Posts a body as the boiler, with its own key."""
    _, secret = keys.issue(cast.boiler)
    client = APIClient()

    def send(body: object, uuid: object = None, content_type: str = "application/json", **headers: str) -> object:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"/api/v1/devices/{uuid or cast.boiler.uuid}/readings"
        headers = {"authorization": f"Bearer {secret}"} | headers
        return client.generic("POST", url, raw, content_type, headers=headers)

    return send


def test_all_stored_is_201(post, cast: SimpleNamespace):
    answer = post([GOOD, {"sensor": "humidity", "value": 40}])
    assert (answer.status_code, answer.json()) == (201, {"accepted": 2, "duplicates": 0, "rejected": []})
    assert set(Reading.objects.values_list("origin", "protocol")) == {(Origin.EDGE, Protocol.HTTP)}


def test_some_stored_is_207_and_names_the_places(post):
    answer = post({"readings": [GOOD, {"sensor": "temperature", "value": "hot"}]})
    assert answer.status_code == 207
    assert answer.json()["accepted"] == 1
    (rejected,) = answer.json()["rejected"]
    assert (rejected["index"], rejected["code"]) == (1, "not_a_number")


def test_nothing_stored_is_400_and_is_kept_as_a_rejection(post):
    answer = post(b"no json")
    assert answer.status_code == 400
    assert answer.json()["rejected"][0]["code"] == "bad_json"
    assert bytes(Rejection.objects.get().payload) == b"no json"


def test_sent_again_it_is_a_duplicate_and_still_201(post):
    timed = GOOD | {"time": timezone.now().isoformat()}
    post(timed)
    answer = post(timed)
    assert (answer.status_code, answer.json()["duplicates"]) == (201, 1)
    assert Reading.objects.count() == 1


def test_a_packed_body_is_unpacked(post):
    answer = post(gzip.compress(json.dumps(GOOD).encode()), **{"content-encoding": "gzip"})
    assert answer.status_code == 201


def test_a_packed_bomb_is_too_large(post, settings):
    bomb = gzip.compress(b" " * (settings.INGEST_MAX_BYTES * 8 + 1))
    assert post(bomb, **{"content-encoding": "gzip"}).status_code == 413


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"{}")[:-9]])
def test_a_broken_packed_body_is_400(post, body: bytes):
    assert post(body, **{"content-encoding": "gzip"}).status_code == 400


def test_a_body_over_the_limit_is_413(post, settings):
    settings.INGEST_MAX_BYTES = 100
    assert post([GOOD] * 10).status_code == 413
    assert not Reading.objects.exists()


def test_readings_may_be_larger_than_other_bodies(post, settings):
    many = [{"sensor": "temperature", "value": n, "note": "x" * 50} for n in range(1500)]
    assert len(json.dumps(many)) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    assert post(many).json()["accepted"] == 1500


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_another_content_type_is_415(post, kind: str):
    assert post(GOOD, content_type=kind).status_code == 415


def test_an_unknown_packing_is_415(post):
    assert post(GOOD, **{"content-encoding": "br"}).status_code == 415


def test_another_devices_door_is_not_found(post, cast: SimpleNamespace):
    assert post(GOOD, uuid=cast.theirs.uuid).status_code == 404
    assert not Reading.objects.exists()


def test_a_revoked_key_is_401(post, cast: SimpleNamespace):
    keys.revoke(cast.boiler.keys.get())
    assert post(GOOD).status_code == 401


def test_a_key_in_the_address_opens_nothing(cast: SimpleNamespace):
    _, secret = keys.issue(cast.boiler)
    answer = APIClient().post(f"/api/v1/devices/{cast.boiler.uuid}/readings?key={secret}", GOOD, format="json")
    assert answer.status_code == 401


def test_a_person_writes_a_reading_down_and_gets_it_back(cast: SimpleNamespace, api_of):
    body = {"sensor_id": cast.temperature.pk, "value": 68, "unit": "°F"}
    answer = api_of(cast.olga).post("/api/v1/readings", body, format="json")
    assert answer.status_code == 201
    made = answer.json()
    assert (made["value"], made["unit"], made["origin"], made["accepted"]) == (20, "celsius", "manual", 1)
    assert Reading.objects.get(pk=made["id"]).sensor == cast.temperature


def test_a_person_writes_down_readings_of_several_devices_and_places_are_those_of_the_request(
    cast: SimpleNamespace, api_of
):
    body = [
        {"device": str(cast.boiler.uuid), "sensor_type": "humidity", "value": 40},
        {"sensor_id": cast.temperature.pk, "value": "warm"},
        {"sensor_id": cast.temperature.pk, "value": 21},
    ]
    answer = api_of(cast.olga).post("/api/v1/readings", body, format="json")
    assert answer.status_code == 207
    assert (answer.json()["accepted"], answer.json()["rejected"][0]["index"]) == (2, 1)


def test_a_viewer_may_not_write_readings_down(cast: SimpleNamespace, api_of):
    body = {"sensor_id": cast.temperature.pk, "value": 1}
    assert api_of(cast.vera).post("/api/v1/readings", body, format="json").status_code == 403


def test_another_organizations_sensor_cannot_be_written(cast: SimpleNamespace, api_of):
    for body in ({"sensor_id": cast.their_temperature.pk, "value": 1}, {"device": str(cast.theirs.uuid), "value": 1}):
        assert api_of(cast.olga).post("/api/v1/readings", body, format="json").status_code == 404
    assert not Reading.objects.exists()
