"""Bad messages over real MQTT: each ends as it should, and the next good one is stored within a second."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import pytest
from paho.mqtt import client as mqtt

from iot_platform.tests.platforms import NewDevice, Platform, eventually, new_device
from iot_platform.tests.services import LOOPBACK

pytestmark = pytest.mark.services
numbers = count(1)

R = {
    "1 empty": (b"", "empty"),
    "2 not JSON": (b"21.5 degrees", "bad_json"),
    "3 invalid UTF-8": (b'{"sensor":"temperature\xff","value":1}', "not_utf8"),
    "4 UTF-16": ('{"sensor":"temperature","value":1}'.encode("utf-16"), "not_utf8"),
    "4 byte order mark": (b'\xef\xbb\xbf{"sensor":"temperature","value":1}', "bad_json"),
    "5 NaN": (b'{"sensor":"temperature","value":NaN}', "bad_json"),
    "6 Infinity": (b'{"sensor":"temperature","value":-Infinity}', "bad_json"),
    "7 1e400": (b'{"sensor":"temperature","value":1e400}', "number_out_of_range"),
    "8 5000 digits": (b'{"sensor":"temperature","value":' + b"9" * 5000 + b"}", "number_out_of_range"),
    "9 2^63": (b'{"sensor":"temperature","value":9223372036854775808}', "number_out_of_range"),
    "10 number as text": (b'{"sensor":"temperature","value":"12"}', "not_a_number"),
    "11 true": (b'{"sensor":"temperature","value":true}', "not_a_number"),
    "12 depth 9": (b"[" * 9 + b"]" * 9, "too_deep"),
    "12 depth 1,000": (b"[" * 1000 + b"]" * 1000, "too_deep"),
    "12 depth 30,000, the deepest that fits a packet": (b"[" * 30_000 + b"]" * 30_000, "too_deep"),
    "13 65 keys": (json.dumps({f"k{n}": 1 for n in range(65)}).encode(), "too_many_keys"),
    "13 6,000 keys": (json.dumps({f"{n:x}": 1 for n in range(6000)}).encode(), "too_many_keys"),
    "14 duplicate keys": (b'{"sensor":"temperature","value":1,"value":2}', "duplicate_key"),
    "17 null": (b"null", "bad_shape"),
    "17 scalar": (b"21.5", "bad_shape"),
    "17 text": (b'"temperature"', "bad_shape"),
    "18 batch of 10,001": (b"[" + b",".join([b"{}"] * 10_001) + b"]", "too_many_readings"),
    "19 NUL in text": (b'{"sensor":"temp\\u0000","value":1}', "bad_text"),
    "19 NUL in a key": (b'{"sensor":"temperature","value":1,"a\\u0000":1}', "bad_text"),
    "20 lone surrogate in text": (b'{"sensor":"\\ud800","value":1}', "bad_text"),
    "21 RTL override": ('{"sensor":"temp\u202eerature","value":1}'.encode(), "bad_name"),
    "21 zero-width unit": ('{"sensor":"temperature","value":1,"unit":"\u200b°C"}'.encode(), "unknown_unit"),
    "21 combining flood": (('{"sensor":"t' + "\u0301" * 200 + '","value":1}').encode(), "bad_name"),
    "22 65 characters": (b'{"sensor":"' + b"x" * 65 + b'","value":1}', "bad_name"),
    "22 path": (b'{"sensor":"../","value":1}', "bad_name"),
    "22 prototype": (b'{"sensor":"__proto__","value":1}', "bad_name"),
    "22 formula": (b'{"sensor":"=cmd","value":1}', "bad_name"),
    "24 fifty years ahead": (b'{"sensor":"temperature","value":1,"time":"2076-01-01T00:00:00Z"}', "clock_ahead"),
    "24 1970": (b'{"sensor":"temperature","value":1,"time":"1970-01-01T00:00:05Z"}', "too_old"),
}
TIMES = ['""', '"yesterday"', "1e20", "-1", '"2026-01-01T00:00:00"', '"2026-W01-4T00:00:00Z"', '"2026-06-30T23:59:60Z"']
TIMES += ['"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"']
R |= {f"23 time {t}": (f'{{"sensor":"temperature","value":1,"time":{t}}}'.encode(), "bad_time") for t in TIMES}


class Device:
    """A device with a connection of its own, and eyes on what became of its messages."""

    def __init__(self, platform: Platform) -> None:
        self.platform, self.api = platform, platform.api()
        self.made: NewDevice = new_device(self.api, f"Bad {next(numbers)}")
        self.topic = f"devices/{self.made.uuid}/up/readings"
        self.connect()

    def connect(self) -> None:
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=self.made.uuid, protocol=mqtt.MQTTv311)
        self.client.username_pw_set(self.made.uuid, self.made.key)
        self.client.connect(LOOPBACK, self.platform.mqtt_port)
        self.client.loop_start()

    def send(self, payload: bytes, topic: str = "", *, retain: bool = False) -> None:
        self.client.publish(topic or self.topic, payload, qos=1, retain=retain).wait_for_publish(5)

    def readings(self) -> list[dict]:
        return self.api.get(f"/devices/{self.made.uuid}/readings").raise_for_status().json()["results"]

    def reasons(self) -> list[str]:
        found = self.api.get("/rejections", params={"device": self.made.uuid}).raise_for_status().json()["results"]
        return [one["reason"] for one in found]

    def next_good_message_is_stored(self) -> None:
        value = next(numbers) / 10
        self.send(json.dumps({"sensor": "temperature", "value": value}).encode())
        eventually(lambda: value in [reading["value"] for reading in self.readings()], 5)


@pytest.fixture
def device(platform: Platform) -> Iterator[Device]:
    device = Device(platform)
    yield device
    device.client.disconnect()
    device.client.loop_stop()


@pytest.fixture(scope="module")
def listened(services: Platform) -> Iterator[Device]:
    device = Device(services)
    yield device
    device.client.disconnect()
    device.client.loop_stop()


@pytest.mark.parametrize("case", R)
def test_a_bad_message_becomes_a_rejection(listened: Device, case: str):
    payload, reason = R[case]
    before = len(listened.readings())
    known = len(listened.reasons())
    listened.send(payload)
    eventually(lambda: len(listened.reasons()) == known + 1, 5)
    assert listened.reasons()[0] == reason
    assert len(listened.readings()) == before
    listened.next_good_message_is_stored()


def test_the_embedded_broker_hands_bad_messages_on_as_well(embedded: Platform):
    device = Device(embedded)
    for payload, _ in R.values():
        device.send(payload)
    expected = sorted(reason for _, reason in R.values())
    eventually(lambda: len(device.reasons()) >= len(expected))
    assert sorted(device.reasons()) == expected
    device.next_good_message_is_stored()


@pytest.mark.parametrize("size", [100_000, 10_000])
def test_what_no_packet_holds_is_refused_over_http(services: Platform, size: int):
    """12: depth 100,000; 13: 10,000 keys."""
    device = new_device(services.api(), f"Bad {next(numbers)}")
    deep, wide = b"[" * size + b"]" * size, json.dumps({f"key{n}": 1 for n in range(size)}).encode()
    body, reason = (deep, "too_deep") if size == 100_000 else (wide, "too_many_keys")
    headers = {"Authorization": f"Bearer {device.key}", "Content-Type": "application/json"}
    answer = httpx.post(f"{services.url}/api/v1/devices/{device.uuid}/readings", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["rejected"][0]["code"] == reason


def packet_of(size: int, device: Device) -> bytes:
    """The content of a PUBLISH at QoS 1 that is `size` bytes long on the wire, with one good reading in it."""
    content = json.dumps({"sensor": "temperature", "value": next(numbers) / 10, "note": ""}).encode()
    around = 1 + 3 + 2 + len(device.topic) + 2  # fixed header, its length, topic, packet id
    return content[:-2] + b"x" * (size - around - len(content)) + content[-2:]


def test_15_a_packet_of_64_kib_is_taken_and_one_byte_more_ends_the_connection(device: Device):
    before = len(device.readings())
    device.send(packet_of(65_536, device))
    eventually(lambda: len(device.readings()) == before + 1, 5)
    dropped = []
    device.client.on_disconnect = lambda *_: dropped.append(True)
    device.client.publish(device.topic, packet_of(65_537, device), qos=1)
    eventually(lambda: dropped, 5)
    device.client.loop_stop()
    device.connect()
    device.next_good_message_is_stored()
    assert len(device.readings()) == before + 2


def test_16_a_message_of_64_mib_ends_the_connection(device: Device):
    with socket.create_connection((LOOPBACK, device.platform.mqtt_port), timeout=10) as raw:
        client_id, user, key = (text.encode() for text in ("x", device.made.uuid, device.made.key))
        body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + b"".join(len(t).to_bytes(2, "big") + t for t in (client_id, user, key))
        raw.sendall(b"\x10" + varint(len(body)) + body)
        assert raw.recv(4)[3] == 0
        head = len(device.topic).to_bytes(2, "big") + device.topic.encode()
        raw.sendall(b"\x30" + varint(len(head) + 64 * 1024 * 1024) + head + b"x" * 4096)
        raw.settimeout(5)
        with suppress(ConnectionResetError):  # as good an end as a closed stream
            assert raw.recv(1) == b""
    device.client.reconnect()
    device.next_good_message_is_stored()


def varint(number: int) -> bytes:
    out = b""
    while True:
        number, digit = divmod(number, 128)
        out += bytes([digit | (0x80 if number else 0)])
        if not number:
            return out


def test_17_an_array_is_a_batch(device: Device):
    device.send(b'[{"sensor":"temperature","value":1},{"sensor":"humidity","value":2}]')
    eventually(lambda: len(device.readings()) == 2, 5)


def test_20_a_lone_surrogate_in_a_topic_ends_the_connection(services: Platform):
    device = Device(services)
    dropped = []
    device.client.on_disconnect = lambda *_: dropped.append(True)
    topic = f"devices/{device.made.uuid}/up/".encode() + b"\xed\xa0\x80"
    payload = b'{"sensor":"temperature","value":1}'
    packet = len(topic).to_bytes(2, "big") + topic + payload
    device.client.socket().send(b"\x30" + varint(len(packet)) + packet)
    eventually(lambda: dropped, 5)
    device.client.loop_stop()
    device.connect()
    device.next_good_message_is_stored()
    assert len(device.readings()) == 1


def test_23_a_missing_time_is_the_time_of_arrival(device: Device):
    device.send(b'{"sensor":"temperature","value":1}')
    (reading,) = eventually(device.readings, 5)
    assert abs(datetime.fromisoformat(reading["timestamp"]) - datetime.now(UTC)) < timedelta(seconds=10)


def test_25_the_same_message_a_hundred_times_is_one_row(device: Device):
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    for _ in range(100):
        device.send(json.dumps({"sensor": "temperature", "value": 7.25, "time": at}).encode())
    device.next_good_message_is_stored()
    assert [reading["value"] for reading in device.readings()].count(7.25) == 1


def test_26_of_two_values_at_one_time_the_first_is_kept_and_the_other_counted(device: Device):
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    for value in (1, 2):
        device.send(json.dumps({"sensor": "temperature", "value": value, "time": at}).encode())
    eventually(lambda: device.reasons() == ["conflict"], 5)
    assert [reading["value"] for reading in device.readings()] == [1]
    device.next_good_message_is_stored()


def test_27_a_message_number_that_goes_backwards_is_fine_and_each_is_acknowledged(device: Device):
    answers = []
    device.client.on_message = lambda _client, _data, message: answers.append(json.loads(message.payload))
    device.client.subscribe(f"devices/{device.made.uuid}/down/ack", qos=1)
    time.sleep(0.3)
    for seq in (9, 3):
        device.send(json.dumps({"sensor": "temperature", "value": seq, "seq": seq}).encode())
    eventually(lambda: len(answers) == 2, 5)
    assert answers == [{"seq": seq, "accepted": 1, "duplicates": 0, "rejected": []} for seq in (9, 3)]


def test_28_a_retained_message_counts_once_however_often_it_is_replayed(services: Platform):
    device = Device(services)
    device.send(b'{"sensor":"temperature","value":1}', retain=True)
    eventually(device.readings, 5)
    services.end("worker", signal.SIGTERM)
    services.start_worker()
    services.wait_until(services.is_healthy, "the listener to be back")
    device.next_good_message_is_stored()
    time.sleep(1)
    assert len(device.readings()) == 2


def test_a_topic_that_nothing_listens_to_is_refused(device: Device):
    for topic in ("readings/extra", "nothing", ""):
        device.send(b'{"sensor":"temperature","value":1}', f"devices/{device.made.uuid}/up/{topic}")
    eventually(lambda: device.reasons() == ["unknown_topic"] * 3, 5)
    device.next_good_message_is_stored()
