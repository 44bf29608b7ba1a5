"""A process of its own on a database of its own, for what one process and one transaction cannot show.

DATABASE_URL=... python -m alerts.tests.racing prepare|race|send [webhook's URL]; answers one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import django

ROUNDS = 12
SENSORS = 25
WRITERS = 3
START = datetime(2026, 3, 1, tzinfo=UTC)


def prepare(url: str) -> None:
    """Twenty-five thermometers of one organization, a rule for all of them, and who is told."""
    from django.core.management import call_command

    from accounts.models import Organization
    from alerts.models import Channel, Rule
    from devices.models import Device, DeviceType, Sensor, SensorType

    call_command("migrate", verbosity=0)
    acme = Organization.objects.create(name="Acme")
    device = Device.objects.create(
        organization=acme, name="boiler", device_type=DeviceType.objects.get(code="thermostat")
    )
    kind = SensorType.objects.get(code="temperature")
    Sensor.objects.bulk_create(
        Sensor(device=device, key=f"t{n}", name=f"t{n}", sensor_type=kind, unit="celsius") for n in range(SENSORS)
    )
    Rule.objects.create(organization=acme, name="Hot", sensor_type=kind, operator="gt", threshold=80)
    Channel.objects.create(organization=acme, name="On-call", url=url)


def alert() -> None:
    """One thermometer is too hot."""
    from alerts.evaluation import evaluate
    from devices.models import Sensor

    evaluate(observed(Sensor.objects.select_related("device")[:1], START, 90.0))


def observed(sensors: Iterable[Any], time: datetime, value: float) -> list[Any]:
    from alerts.evaluation import Observation

    return [
        Observation(
            sensor.device.organization_id, sensor.device_id, None, sensor.pk, sensor.sensor_type_id, time, value
        )
        for sensor in sensors
    ]


def race() -> dict[str, object]:
    """Several writers judge the same values at the same time, all bad or all good by turns; a person resolves too."""
    from django.db import connection, transaction

    from alerts.evaluation import evaluate
    from alerts.models import Alert, Delivery
    from alerts.resolution import resolve
    from devices.models import Sensor

    sensors = list(Sensor.objects.select_related("device"))
    told: Counter[str] = Counter()
    open_after: list[int] = []

    def write(number: int, seed: int) -> None:
        shuffled = Random(seed).sample(sensors, len(sensors))
        value, time = (90.0 if number % 2 else 70.0), START + timedelta(minutes=number)
        with transaction.atomic():
            events = evaluate(observed(shuffled, time, value))
        told.update(item["event"] for *_, item in events)

    def answer(number: int) -> None:
        for alert in Alert.objects.open().order_by("-pk")[:5] if number % 2 == 0 else ():
            resolve(alert, None)

    for number in range(1, ROUNDS + 1):
        together([lambda n=number, s=seed: write(n, s) for seed in range(WRITERS)] + [lambda n=number: answer(n)])
        open_after.append(Alert.objects.open().count())
    connection.close()
    return {
        "told": told,
        "open_after": open_after,
        "alerts": Alert.objects.count(),
        "deliveries": Counter(Delivery.objects.values_list("event", flat=True)),
    }


def together(jobs: Sequence[Callable[[], None]]) -> None:
    """Start all jobs at the same moment, each with a connection of its own; the first error is raised."""
    from django.db import connection

    ready = threading.Barrier(len(jobs))
    errors: list[Exception] = []

    def run(job: Callable[[], None]) -> None:
        ready.wait()
        try:
            job()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def send() -> dict[str, int]:
    """Send what is due; a lease that an earlier sender left behind counts as run out."""
    from alerts.models import Delivery
    from alerts.notifications import LEASE, send_due

    for delivery in Delivery.objects.filter(status="sending"):
        Delivery.objects.filter(pk=delivery.pk).update(due_at=delivery.due_at - LEASE)
    return {"arrived": send_due()}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iot_platform.settings")
    django.setup()
    print(json.dumps({"prepare": prepare, "alert": alert, "race": race, "send": send}[sys.argv[1]](*sys.argv[2:])))
