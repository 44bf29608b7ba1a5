"""A short fault run in each CI; `make faults` is the long one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from iot_platform.tests.faults import Sender, check, kill_worker
from iot_platform.tests.platforms import NewDevice, Platform, eventually, new_device, publish

AT = datetime(2026, 1, 1, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}


@pytest.mark.services
def test_a_worker_killed_under_load_loses_nothing_and_stores_nothing_twice(postgresql, redis, mosquitto):
    """The fixtures are asked for so that a machine without these servers skips; the run starts its own."""
    result = kill_worker(kills=3, rate=2_000, seed=7)
    assert (result.lost[:5], result.twice[:5], result.unexpected[:5]) == ([], [], [])
    assert result.rate > 1_900


def test_the_checker_notices_what_is_lost_twice_or_unexpected():
    a, b, c = (("d", AT, float(number)) for number in range(3))
    result = check(0, [a, b], 1, 0, [b, b, c])
    assert (result.lost, result.twice, result.unexpected) == ([a], [b], [c])


def values(platform: Platform, device: NewDevice) -> list[float]:
    found = platform.api().get(f"/devices/{device.uuid}/readings", params={"limit": 500}).raise_for_status().json()
    return [reading["value"] for reading in found["results"]]


@pytest.mark.services
def test_readings_come_in_while_redis_is_away(services: Platform):
    device = new_device(services.api(), "Without Redis")
    services.redis.crash()
    try:
        publish(services, device.uuid, device.key, {"sensor": "temperature", "value": 1})
        eventually(lambda: values(services, device) == [1])
        headers = {"Authorization": f"Bearer {device.key}"}
        body = {"sensor": "temperature", "value": 2}
        answer = services.api().post(f"/devices/{device.uuid}/readings", json=body, headers=headers)
        assert answer.status_code == 201
    finally:
        services.redis.start()
    publish(services, device.uuid, device.key, {"sensor": "temperature", "value": 3})
    eventually(lambda: sorted(values(services, device)) == [1, 2, 3])
    services.wait_until(services.is_healthy, "the platform to be healthy again")


@pytest.mark.services
def test_a_database_that_dies_under_load_loses_nothing_and_stores_nothing_twice(services: Platform):
    device = new_device(services.api(), "Database away")
    sender = Sender(device.uuid, device.key)
    sender.connect(services.mqtt_port)
    first = datetime.now(UTC) - timedelta(hours=1)
    for number in range(300):
        sender.send(number, first + timedelta(seconds=number))
        if number == 100:
            services.postgresql.crash()
        if number == 200:
            services.postgresql.start()
    sender.finish()
    expected = sorted(value for _, _, value in sender.history)
    services.wait_until(services.is_healthy, "the platform to be healthy again", 60)
    eventually(lambda: sorted(values(services, device)) == expected, 60)


@pytest.mark.services
def test_a_web_process_without_its_database_asks_to_come_again(services: Platform):
    device = new_device(services.api(), "Asked to wait")
    headers = {"Authorization": f"Bearer {device.key}"}
    body = {"sensor": "temperature", "value": 1, "time": datetime.now(UTC).isoformat()}
    services.postgresql.crash()
    try:
        answer = services.api().post(f"/devices/{device.uuid}/readings", json=body, headers=headers)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
    finally:
        services.postgresql.start()
    url, content = f"/devices/{device.uuid}/readings", json.dumps(body)
    again = eventually(lambda: services.api().post(url, content=content, headers=headers | JSON))
    assert again.status_code == 201
    services.wait_until(services.is_healthy, "the platform to be healthy again", 60)
