"""`manage.py replay FILE`: a recording sent through MQTT into the running platform, as if it were happening now."""

from __future__ import annotations

import csv
import json
import os
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management import BaseCommand, CommandError
from paho.mqtt.client import Client

from accounts.live import text_of
from devices.models import Device
from devices.simulation import connect
from iot_platform import running, sample_world

IN_FLIGHT = 500


class Sample(NamedTuple):
    time: datetime
    value: float


class Command(BaseCommand):
    help = "Send a CSV recording (columns timestamp, value) over MQTT, with its own spacing, faster if wished."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--device", default="rack-1-climate", help="external id or UUID (default: %(default)s)")
        parser.add_argument("--sensor", default="temperature", help="key of the sensor (default: %(default)s)")
        parser.add_argument("--sensor-type", default="", help="type of the sensor, when it is new")
        parser.add_argument("--speed", type=float, default=300, help="how many times faster (default: %(default)s)")
        parser.add_argument("--keep-times", action="store_true", help="send the recorded times instead of now's")
        parser.add_argument("--limit", type=int, help="only the last N rows")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["speed"] <= 0:
            raise CommandError("--speed must be greater than 0.")
        samples = read(options["file"])[-(options["limit"] or 0) :]
        device = self.find(options["device"])
        secret = os.environ.get("DEVICE_KEY") or sample_world.key_of(device)
        try:
            client = connect(str(device.uuid), secret, "127.0.0.1", running.address().mqtt_port)
        except OSError as error:
            raise CommandError(f"No broker there ({error}). Is `make run` running?") from None
        extra = {"sensor_type": options["sensor_type"]} if options["sensor_type"] else {}
        try:
            self.play(client, device, samples, {"sensor": options["sensor"], **extra}, options)
        finally:
            client.disconnect()
            client.loop_stop()

    def find(self, name: str) -> Device:
        devices = Device.objects.active()
        device = devices.filter(external_id=name).first() or next((d for d in devices if str(d.uuid) == name), None)
        if device is None:
            raise CommandError(f"There is no device {name!r}.")
        return device

    def play(
        self, client: Client, device: Device, samples: Sequence[Sample], sensor: dict[str, str], options: dict[str, Any]
    ) -> None:
        """Each row at its moment; shifted so that the last one is measured when it is sent."""
        first, length = samples[0].time, samples[-1].time - samples[0].time
        started = time.monotonic()
        shift = datetime.now(UTC) + length / options["speed"] - samples[-1].time
        if options["keep_times"]:
            shift = timedelta()
        sent = []
        for number, sample in enumerate(samples, 1):
            wait = (sample.time - first).total_seconds() / options["speed"] - (time.monotonic() - started)
            if wait > 0:
                time.sleep(wait)
            when = text_of(sample.time + shift, "milliseconds")
            payload = json.dumps({**sensor, "value": sample.value, "time": when})
            sent.append(client.publish(f"devices/{device.uuid}/up/readings", payload, qos=1))
            if len(sent) > IN_FLIGHT:
                sent.pop(0).wait_for_publish(30)
            self.show(number, len(samples))
        for message in sent:
            message.wait_for_publish(30)

    def show(self, done: int, total: int) -> None:
        if done % max(1, total // 100) == 0 or done == total:
            self.stdout.write(f"\r{done:,} of {total:,} readings sent", ending="\n" if done == total else "")
            self.stdout.flush()


def read(path: Path) -> list[Sample]:
    """The rows of a recording in time order; a time without a zone is UTC. Raises CommandError naming the line."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}") from None
    samples = []
    for line, row in enumerate(rows, 2):
        try:
            moment = datetime.fromisoformat(row["timestamp"])
            samples.append(Sample(moment if moment.tzinfo else moment.replace(tzinfo=UTC), float(row["value"])))
        except (KeyError, TypeError, ValueError):
            raise CommandError(f"{path}, line {line}: a row needs a `timestamp` and a `value`.") from None
    if not samples:
        raise CommandError(f"{path} holds no rows.")
    return sorted(samples)
