"""Fault runs: load on the real services, something is killed, and a checker compares every reading that was sent.

    python -m iot_platform.tests.faults            20 kills of the worker at 2,500 messages a second

After Jepsen's method: the load keeps a history of what it sent and what the broker took; once all is healed and
drained, the history is held against the table. Lost, twice and unexpected readings are counted one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import django
import psycopg
from paho.mqtt import client as mqtt

from iot_platform.tests.services import LOOPBACK

Reading = tuple[str, datetime, float]


@dataclass(slots=True)
class Result:
    """What the checker found. `seconds` is the time under load."""

    kills: int
    sent: int
    seconds: float
    drained_seconds: float
    stored: int
    lost: list[Reading]
    twice: list[Reading]
    unexpected: list[Reading]

    @property
    def rate(self) -> float:
        return self.sent / self.seconds

    def figures(self) -> str:
        counts = [("lost", len(self.lost)), ("twice", len(self.twice)), ("unexpected", len(self.unexpected))]
        lines = [
            f"kills {self.kills} count",
            f"sent {self.sent} readings",
            f"rate {self.rate:.0f} readings/s",
            f"stored {self.stored} readings",
            f"drained {self.drained_seconds:.1f} s",
            *(f"{name} {count} readings" for name, count in counts),
        ]
        return "\n".join(lines)


@dataclass(slots=True)
class Sender:
    """One device under load: a connection of its own, a reading of its own time and value in each message."""

    uuid: str
    secret: str
    client: mqtt.Client = field(init=False)
    history: list[Reading] = field(default_factory=list)
    pending: list[mqtt.MQTTMessageInfo] = field(default_factory=list)

    def connect(self, port: int) -> None:
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=self.uuid, protocol=mqtt.MQTTv311)
        self.client.username_pw_set(self.uuid, self.secret)
        self.client.max_inflight_messages_set(200)
        self.client.connect(LOOPBACK, port)
        self.client.loop_start()

    def send(self, number: int, when: datetime) -> None:
        time_ = when.isoformat(timespec="microseconds").replace("+00:00", "Z")
        payload = json.dumps({"sensor": "temperature", "value": number / 1000, "time": time_})
        self.history.append((self.uuid, when, number / 1000))
        self.pending.append(self.client.publish(f"devices/{self.uuid}/up/readings", payload, qos=1))

    def finish(self) -> None:
        """Until the broker has taken every message."""
        for message in self.pending:
            message.wait_for_publish(60)
        assert all(message.is_published() for message in self.pending), "the broker did not take all messages"
        self.client.disconnect()
        self.client.loop_stop()


class Load(threading.Thread):
    """Publishes at a steady rate, spread over the senders, until it is told to stop."""

    def __init__(self, senders: list[Sender], rate: float) -> None:
        super().__init__(name="load", daemon=True)
        self.senders, self.rate = senders, rate
        self.stopping = threading.Event()
        self.seconds = 0.0

    def run(self) -> None:
        started, sent = time.monotonic(), 0
        first = datetime.now(UTC) - timedelta(hours=1)
        while not self.stopping.is_set():
            due = int((time.monotonic() - started) * self.rate)
            for number in range(sent, due):
                self.senders[number % len(self.senders)].send(number, first + timedelta(microseconds=100 * number))
            sent = due
            time.sleep(0.005)
        self.seconds = time.monotonic() - started


def kill_worker(kills: int, rate: float, seed: int, devices: int = 5) -> Result:
    """The worker killed with -9 at random moments under load, and started again each time."""
    from iot_platform.tests.platforms import Services, new_device  # needs Django's settings, which main() has set up

    chance = random.Random(seed)
    with Services() as platform:
        api = platform.api()
        made = [new_device(api, f"Load {number}") for number in range(devices)]
        senders = [Sender(device.uuid, device.key) for device in made]
        for sender in senders:
            sender.connect(platform.mqtt_port)
        load = Load(senders, rate)
        load.start()
        for _ in range(kills):
            time.sleep(chance.uniform(0.3, 5))
            platform.end("worker", signal.SIGKILL)
            platform.start_worker()
        time.sleep(1)
        load.stopping.set()
        load.join()
        for sender in senders:
            sender.finish()
        sent = [reading for sender in senders for reading in sender.history]
        drained = wait_for(platform.postgresql.url_of("postgres"), len(sent))
        return check(kills, sent, load.seconds, drained, stored(platform.postgresql.url_of("postgres")))


def wait_for(database: str, count: int, seconds: float = 120) -> float:
    """Until so many readings are stored, or nothing has come for ten seconds; the seconds it took."""
    started = changed = time.monotonic()
    last = -1
    with psycopg.connect(database, autocommit=True) as connection:
        while time.monotonic() - started < seconds:
            (now,) = connection.execute("SELECT count(*) FROM readings_reading").fetchone()
            if now >= count or time.monotonic() - changed > 10:
                break
            if now != last:
                last, changed = now, time.monotonic()
            time.sleep(0.2)
    return time.monotonic() - started


def stored(database: str) -> list[Reading]:
    query = (
        "SELECT d.uuid::text, r.time, r.value FROM readings_reading r"
        " JOIN devices_sensor s ON s.id = r.sensor_id JOIN devices_device d ON d.id = s.device_id"
    )
    with psycopg.connect(database) as connection:
        return [(uuid, when.astimezone(UTC), value) for uuid, when, value in connection.execute(query)]


def check(kills: int, sent: list[Reading], seconds: float, drained: float, found: list[Reading]) -> Result:
    """Every (device, time, value) that was sent, against every one that is stored."""
    counted, expected = Counter(found), set(sent)
    return Result(
        kills=kills,
        sent=len(sent),
        seconds=seconds,
        drained_seconds=drained,
        stored=len(found),
        lost=[reading for reading in sent if reading not in counted],
        twice=[reading for reading, times in counted.items() if times > 1],
        unexpected=[reading for reading in counted if reading not in expected],
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill the worker under load and look for lost and doubled readings.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", type=float, default=2_500, help="messages a second")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed} number", flush=True)
    result = kill_worker(arguments.kills, arguments.rate, arguments.seed)
    print(result.figures())
    return 1 if result.lost or result.twice or result.unexpected else 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iot_platform.settings")
    django.setup()
    sys.exit(main())
