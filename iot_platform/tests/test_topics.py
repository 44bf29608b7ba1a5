"""Topics: each device and source may use its own, nobody may use another's; at the real brokers of both sizes."""

from __future__ import annotations

import json
import time
from itertools import count

import pytest
from paho.mqtt import client as mqtt

from iot_platform.mqtt import UP_FORMATS
from iot_platform.tests.platforms import NewDevice, Platform, eventually, new_device
from iot_platform.tests.services import LOOPBACK

pytestmark = pytest.mark.services
numbers = count(1)
UP = [f"devices/{{}}/up/{kind}" for kind in UP_FORMATS]
DOWN = ["devices/{}/down/ack", "devices/{}/down/#"]


def connected(platform: Platform, device: NewDevice, client_id: str = "") -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id or device.uuid, protocol=mqtt.MQTTv311)
    client.username_pw_set(device.uuid, device.key)
    client.connect(LOOPBACK, platform.mqtt_port)
    client.loop_start()
    return client


def good() -> bytes:
    return json.dumps({"sensor": "temperature", "value": next(numbers) / 10, "seq": 1}).encode()


def readings(platform: Platform, device: NewDevice) -> list[dict]:
    return platform.api().get(f"/devices/{device.uuid}/readings").json()["results"]


@pytest.mark.parametrize("topic", UP)
def test_a_device_writes_its_own_topic_and_no_other_devices(platform: Platform, topic: str):
    mine, other = (new_device(platform.api(), f"Topic {next(numbers)}") for _ in range(2))
    client = connected(platform, mine)
    client.publish(topic.format(mine.uuid), good(), qos=1).wait_for_publish(5)
    eventually(lambda: len(readings(platform, mine)) == 1, 5)
    for forged in (topic.format(other.uuid), f"devices/{mine.uuid}/../{other.uuid}/up/readings", "sensor/other"):
        client.publish(forged, good(), qos=1)
    client.publish(topic.format(mine.uuid), good(), qos=1)
    eventually(lambda: len(readings(platform, mine)) == 2, 5)
    assert readings(platform, other) == []
    client.disconnect()
    client.loop_stop()


@pytest.mark.parametrize("topic", DOWN)
def test_a_device_hears_its_own_answers_and_no_other_devices(platform: Platform, topic: str):
    mine, other = (new_device(platform.api(), f"Topic {next(numbers)}") for _ in range(2))
    heard: dict[str, list[str]] = {"mine": [], "other": []}
    spy = connected(platform, other)
    spy.on_message = lambda _c, _d, message: heard["other"].append(message.topic)
    for wanted in (topic.format(mine.uuid), "#", "devices/#", "$share/x/devices/#", "devices/+/up/#"):
        spy.subscribe(wanted, qos=1)
    client = connected(platform, mine)
    client.on_message = lambda _c, _d, message: heard["mine"].append(message.topic)
    client.subscribe(topic.format(mine.uuid), qos=1)
    time.sleep(0.3)
    client.publish(f"devices/{mine.uuid}/up/readings", good(), qos=1)
    eventually(lambda: heard["mine"], 5)
    assert heard["mine"] == [f"devices/{mine.uuid}/down/ack"]
    time.sleep(0.3)
    assert heard["other"] == []
    for one in (spy, client):
        one.disconnect()
        one.loop_stop()


def test_a_device_cannot_forge_an_answer_to_another(platform: Platform):
    mine, other = (new_device(platform.api(), f"Topic {next(numbers)}") for _ in range(2))
    heard: list[str] = []
    victim = connected(platform, mine)
    victim.on_message = lambda _c, _d, message: heard.append(message.topic)
    victim.subscribe(f"devices/{mine.uuid}/down/#", qos=1)
    time.sleep(0.3)
    forger = connected(platform, other)
    forger.publish(f"devices/{mine.uuid}/down/ack", b"{}", qos=1)
    victim.publish(f"devices/{mine.uuid}/down/ack", b"{}", qos=1)
    time.sleep(0.7)
    assert heard == []
    for one in (victim, forger):
        one.disconnect()
        one.loop_stop()


@pytest.mark.parametrize("stolen", ["listener", "other"])
def test_a_stolen_client_id_takes_nobodys_session(platform: Platform, stolen: str):
    mine, other = (new_device(platform.api(), f"Topic {next(numbers)}") for _ in range(2))
    held = connected(platform, other)
    eventually(held.is_connected, 5)
    thief = connected(platform, mine, client_id="listener" if stolen == "listener" else other.uuid)
    time.sleep(0.5)
    held.publish(f"devices/{other.uuid}/up/readings", good(), qos=1)
    eventually(lambda: len(readings(platform, other)) == 1, 5)
    assert held.is_connected()
    for one in (held, thief):
        one.disconnect()
        one.loop_stop()


def test_a_revoked_key_loses_its_open_connection(platform: Platform):
    api = platform.api()
    device = new_device(api, f"Topic {next(numbers)}")
    client = connected(platform, device)
    eventually(client.is_connected, 5)
    (key,) = api.get(f"/devices/{device.uuid}/keys").json()["results"]
    api.delete(f"/devices/{device.uuid}/keys/{key['id']}").raise_for_status()
    eventually(lambda: not client.is_connected(), 5)
    client.loop_stop()


def test_mqtt_5_is_refused_in_words_by_the_embedded_broker(embedded: Platform):
    device = new_device(embedded.api(), f"Topic {next(numbers)}")
    refusals: list[str] = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(device.uuid, device.key)
    client.on_connect = lambda _c, _d, _f, reason, _p: refusals.append(str(reason))
    client.connect(LOOPBACK, embedded.mqtt_port)
    client.loop_start()
    eventually(lambda: refusals, 5)
    assert refusals[0] == "Unsupported protocol version"
    client.disconnect()
    client.loop_stop()
