"""Simulated devices: values that look alive, published over real MQTT with each device's own key."""

from __future__ import annotations

import heapq
import json
import math
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from paho.mqtt import client as mqtt

from accounts.live import text_of


@dataclass(frozen=True, slots=True)
class Wave:
    """A quantity over time: a level, a swing over the day that peaks at `peak_hour` (UTC), and noise."""

    level: float
    swing: float = 0.0
    noise: float = 0.0
    peak_hour: float = 14.0
    digits: int = 2
    floor: float = -math.inf

    def at(self, when: datetime, seed: int) -> float:
        day = (when.hour + when.minute / 60 + when.second / 3600 - self.peak_hour) / 24
        slow = math.sin(when.timestamp() / 7_919 + seed % 97)  # so that no two days are the same
        value = self.level + self.swing * (math.cos(2 * math.pi * day) + 0.15 * slow) + self.noise * _noise(when, seed)
        return round(max(self.floor, value), self.digits)


@dataclass(frozen=True, slots=True)
class Busy:
    """A switch that is on for this share of the time in working hours, and seldom at night."""

    share: float
    spell_seconds: int = 600

    def at(self, when: datetime, seed: int) -> bool:
        spell = int(when.timestamp()) // self.spell_seconds
        share = self.share if 6 <= when.hour < 20 else self.share / 10
        return random.Random(spell * 7_919 + seed).random() < share  # noqa: S311  a simulation


@dataclass(frozen=True, slots=True)
class Meter:
    """A counter that only grows, by about `rate` an hour."""

    rate: float

    def at(self, when: datetime, seed: int) -> float:
        hours = (when.timestamp() - 1_750_000_000) / 3600
        return round(self.rate * (hours + 0.8 * math.sin(hours * math.pi / 12)), 3)


def _noise(when: datetime, seed: int) -> float:
    """Between -1 and 1, the same for the same time and sensor."""
    return random.Random(int(when.timestamp() * 10) * 31 + seed).uniform(-1, 1)  # noqa: S311  a simulation


Signal = Wave | Busy | Meter


@dataclass(frozen=True, slots=True)
class SimulatedDevice:
    """What one device pretends to measure, and how often it says so."""

    uuid: str
    secret: str
    interval_seconds: float
    signals: dict[str, Signal]  # by sensor key

    def readings(self, when: datetime) -> list[dict[str, Any]]:
        """One reading a sensor, in the native format."""
        text = text_of(when, "milliseconds")
        return [
            {"sensor": key, "value": signal.at(when, crc32(f"{self.uuid}/{key}".encode())), "time": text}
            for key, signal in self.signals.items()
        ]


class Fleet:
    """Publishes for all its devices from one thread, over a connection for each."""

    def __init__(self, devices: list[SimulatedDevice], host: str, port: int) -> None:
        self._devices, self._address = devices, (host, port)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)
        self._clients: dict[str, mqtt.Client] = {}

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)
        for client in self._clients.values():
            client.disconnect()
            client.loop_stop()

    def _run(self) -> None:
        for device in self._devices:
            self._clients[device.uuid] = connect(device.uuid, device.secret, *self._address)
        due = [(time.monotonic() + 0.1 * place, place) for place in range(len(self._devices))]
        while due and not self._stopping.wait(max(0.0, due[0][0] - time.monotonic())):
            at, place = heapq.heappop(due)
            device = self._devices[place]
            self._clients[device.uuid].publish(
                f"devices/{device.uuid}/up/readings",
                json.dumps({"readings": device.readings(datetime.now(UTC))}),
                qos=1,
            )
            heapq.heappush(due, (at + device.interval_seconds, place))


def connect(uuid: str, secret: str, host: str, port: int) -> mqtt.Client:
    """A connection as a device has it: its UUID as the user, its key as the password. Raises OSError."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=uuid, protocol=mqtt.MQTTv311)
    client.username_pw_set(uuid, secret)
    client.connect(host, port, keepalive=60)
    client.loop_start()
    return client
