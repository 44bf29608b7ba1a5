"""What the tests of this room share: values that a sensor measured, and a receiver of webhooks on a real port."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from accounts.models import Organization
from alerts import webhooks
from alerts.evaluation import Observation
from alerts.models import Alert, Channel, Delivery, Rule, Severity
from devices.models import Sensor

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Receiver(ThreadingHTTPServer):
    """Keeps each request that it gets; `answer` says how it answers them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[SimpleNamespace] = []
        self.answer: Callable[[_Handler], None] = lambda handler: handler.say(204)
        self.leave = threading.Event()  # whatever hangs lets go when the test is over

    def handle_error(self, *_: object) -> None:
        """A client that hangs up in the middle is what several tests are about."""

    @property
    def entry(self) -> str:
        """As WEBHOOK_ALLOWED names it."""
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.entry}/hook"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = SimpleNamespace(path=self.path, headers=self.headers, body=json.loads(body), at=time.monotonic())
        self.server.requests.append(request)
        self.server.answer(self)

    do_GET = do_POST

    def say(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def hang(self) -> None:
        self.server.leave.wait(30)

    def log_message(self, *_: object) -> None:
        """The tests look at the requests themselves."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.leave.set()
        receiver.shutdown()
        receiver.server_close()
        thread.join()


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """A webhook's target on this machine, which the installation allows."""
    with receiving() as receiver:
        settings.WEBHOOK_ALLOWED = [receiver.entry]
        yield receiver


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """One second instead of five, where a test waits for the end of it."""
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 1.0)
    return 1.0


@pytest.fixture
def hot(cast: SimpleNamespace) -> Rule:
    """Acme's rule for the boiler's temperature."""
    return Rule.objects.create(
        organization=cast.acme, name="Too hot", sensor=cast.temperature, operator="gt", threshold=80, severity=4
    )


def observed(sensor: Sensor, *values: float, start: datetime = NOON) -> list[Observation]:
    """One value a minute, as the corridor hands them over."""
    device = sensor.device
    return [
        Observation(
            organization_id=device.organization_id,
            device_id=device.pk,
            unit_id=device.unit_id,
            sensor_id=sensor.pk,
            sensor_type_id=sensor.sensor_type_id,
            time=start + timedelta(minutes=minute),
            value=value,
        )
        for minute, value in enumerate(values)
    ]


def channel_to(url: str, organization: Organization, **fields: Any) -> Channel:
    return Channel.objects.create(organization=organization, name="On-call", url=url, **fields)


def alert_of(sensor: Sensor, **fields: Any) -> Alert:
    device = sensor.device
    known = {"severity": Severity.HIGH, "message": "Too hot", "value": 82.4, "threshold": 80, "time": NOON} | fields
    return Alert.objects.create(organization=device.organization, device=device, sensor=sensor, **known)


def delivery_to(channel: Channel, alert: Alert, **fields: Any) -> Delivery:
    return Delivery.objects.create(channel=channel, alert=alert, **({"event": Delivery.Event.OPENED} | fields))
