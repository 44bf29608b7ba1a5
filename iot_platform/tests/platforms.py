"""The platform as users start it, in both sizes, as child processes; for end-to-end tests, faults and benchmarks."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import pytest
from django.conf import settings

from iot_platform.tests.services import (
    LOOPBACK,
    Mosquitto,
    NotInstalled,
    PostgreSQL,
    Redis,
    free_port,
    or_skip,
    program,
)

EMAIL, PASSWORD = "owner@example.org", secrets.token_urlsafe(16)
START_SECONDS = 180
logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each poll hides what matters
Answer = TypeVar("Answer")


class Platform:
    """A running platform; `with` starts it, stops it and removes its folder."""

    hook: Hook
    client: httpx.Client | None = None

    def __init__(self, **environment: str) -> None:
        self.stack = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="platform-"))
        self.port, self.mqtt_port = free_port(), free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CI", "MAKEFLAGS")},
            "VAR_DIR": str(self.folder),
            "PORT": str(self.port),
            "MQTT_PORT": str(self.mqtt_port),
            "ADMIN_EMAIL": EMAIL,
            "ADMIN_PASSWORD": PASSWORD,
            "PYTHONUNBUFFERED": "1",
            **environment,
        }

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_until(self.is_healthy, "the platform to be healthy", START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self.processes)):
            self.end(name, signal.SIGINT)
        self.stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        raise NotImplementedError

    def spawn(self, name: str, *command: str) -> None:
        """A child in a process group of its own, as a terminal starts it."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self, name: str, how: signal.Signals) -> None:
        """Ctrl-C, or worse, for a whole process group."""
        process = self.processes.pop(name)
        if process.poll() is None:
            os.killpg(process.pid, how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).json()["status"] == "healthy"
        except (httpx.HTTPError, ValueError):
            return False

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            dead = [name for name, process in self.processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{self.log(name)[-3000:]}" for name in self.processes)
                raise AssertionError(f"waited for {what}; ended: {dead or 'none'}\n{logs}")
            time.sleep(0.1)

    def api(self) -> httpx.Client:
        """The API client of the owner, signed in once: hashing a password takes its time."""
        if self.client is None:
            self.client = self.sign_in()
        return self.client

    def sign_in(self) -> httpx.Client:
        client = httpx.Client(base_url=f"{self.url}/api/v1", timeout=10)
        answer = client.post("/auth/login", json={"email": EMAIL, "password": PASSWORD}).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {answer['access_token']}"
        return client


class Embedded(Platform):
    """`make run`, and nothing else."""

    def start(self) -> None:
        self.spawn("make", "make", "run")


class Services(Platform):
    """The processes of docker-compose.yml beside a real PostgreSQL, Redis and Mosquitto."""

    def start(self) -> None:
        self.postgresql = self.stack.enter_context(PostgreSQL())
        self.redis = self.stack.enter_context(Redis())
        self.mosquitto = self.stack.enter_context(Mosquitto())
        self.mqtt_port = self.mosquitto.port
        for server in (self.postgresql, self.redis, self.mosquitto):
            self.environment |= server.environment
        self.environment |= {name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "JWT_SIGNING_KEY")}
        for command in ("migrate", "create_owner", "broker_accounts"):
            self.manage(command)
        self.manage("collectstatic", "--noinput")
        self.spawn(
            "web", sys.executable, "-m", "daphne", "-b", LOOPBACK, "-p", str(self.port), "iot_platform.asgi:application"
        )
        self.start_worker()
        self.spawn("beat", sys.executable, "-m", "celery", "-A", "iot_platform", "beat", "--loglevel", "WARNING")

    def start_worker(self) -> None:
        arguments = ("--mqtt", "--pool", "threads", "--concurrency", "2", "--loglevel", "WARNING")
        self.spawn("worker", sys.executable, "-m", "celery", "-A", "iot_platform", "worker", *arguments)

    def manage(self, *command: str) -> str:
        ran = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=settings.BASE_DIR,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


def shared(size: type[Platform], hook: Hook) -> Iterator[Platform]:
    try:
        platform = size(WEBHOOK_ALLOWED=hook.address)
        platform.hook = hook
        with platform:
            yield platform
    except NotInstalled as missing:
        or_skip(missing)


@pytest.fixture(scope="session")
def embedded(hook: Hook) -> Iterator[Platform]:
    yield from shared(Embedded, hook)


@pytest.fixture(scope="session")
def services(hook: Hook) -> Iterator[Platform]:
    yield from shared(Services, hook)


@pytest.fixture(params=["embedded", "services"])
def platform(request: pytest.FixtureRequest) -> Platform:
    """Both sizes, each started once for all tests that ask for it."""
    return request.getfixturevalue(request.param)


class Hook:
    """A web server that somebody runs to be told of alerts."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        told = self.received

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.append({"key": self.headers["Idempotency-Key"], **json.loads(body)})
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = HTTPServer((LOOPBACK, 0), Receiver)
        self.address = f"{LOOPBACK}:{self.server.server_port}"


@pytest.fixture(scope="session")
def hook() -> Iterator[Hook]:
    hook = Hook()
    threading.Thread(target=hook.server.serve_forever, daemon=True).start()
    yield hook
    hook.server.shutdown()


def publish(platform: Platform, device: str, key: str, message: object, *options: str) -> None:
    """With the stock client, as the README shows it."""
    subprocess.run(
        [program("mosquitto_pub"), "-V", "mqttv311", "-h", LOOPBACK, "-p", str(platform.mqtt_port)]
        + ["-u", device, "-P", key, "-q", "1", "-t", f"devices/{device}/up/readings", "-m", json.dumps(message)]
        + list(options),
        check=True,
        timeout=15,
    )


def eventually(ask: Callable[[], Answer], seconds: float = 15) -> Answer:
    """The first answer that is not empty."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"nothing came within {seconds} s"
        time.sleep(0.05)
    return answer


@dataclass(frozen=True, slots=True)
class NewDevice:
    uuid: str
    key: str


def new_device(api: httpx.Client, name: str) -> NewDevice:
    """A thermostat with a key, made through the API."""
    uuid = api.post("/devices", json={"name": name, "device_type": "thermostat"}).raise_for_status().json()["uuid"]
    key = api.post(f"/devices/{uuid}/keys", json={"name": "test"}).raise_for_status().json()["secret"]
    return NewDevice(uuid, key)
