"""`manage.py send`: one reading over MQTT, as a device sends it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError

from accounts.live import now_text
from devices.models import Device
from devices.simulation import connect
from iot_platform import running, sample_world


class Command(BaseCommand):
    help = "Publish one reading over MQTT with a real key of a device of the sample world."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--device", default="boiler-thermostat", help="external id of the device")
        parser.add_argument("--sensor", default="temperature")
        parser.add_argument("--value", type=float, default=61.5)

    def handle(self, *args: Any, device: str, sensor: str, value: float, **options: Any) -> None:
        found = Device.objects.active().filter(external_id=device).first()
        if found is None:
            raise CommandError(f"There is no device {device!r}. The sample company has one; DEMO=0 leaves it out.")
        address = running.address()
        topic = f"devices/{found.uuid}/up/readings"
        time = now_text()
        payload = json.dumps({"sensor": sensor, "value": value, "time": time})
        try:
            client = connect(str(found.uuid), sample_world.key_of(found), "127.0.0.1", address.mqtt_port)
        except OSError as error:
            raise CommandError(f"No broker at port {address.mqtt_port} ({error}). Is `make run` running?") from None
        sent = client.publish(topic, payload, qos=1)
        sent.wait_for_publish(10)
        client.disconnect()
        client.loop_stop()
        if not sent.is_published():
            raise CommandError("The broker did not take the reading within 10 seconds.")
        self.stdout.write(f"Sent to {topic}\n  {payload}\nSee it at {address.url}devices/{found.uuid}")
