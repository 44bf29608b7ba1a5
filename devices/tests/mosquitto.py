"""A real Mosquitto, started by the script that also starts it in production, on a port and in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings

START = Path(settings.BASE_DIR) / "mosquitto" / "start.sh"
SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
START_SECONDS = 10.0


@dataclass
class Mosquitto:
    """A running broker. Its folder, and so its accounts and queues, outlive `stop`."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def admin_url(self) -> str:
        return f"mqtt://admin:manager-of-this-test@127.0.0.1:{self.port}"

    @property
    def listener_url(self) -> str:
        return f"mqtt://listener:listener-of-this-test@127.0.0.1:{self.port}"

    @property
    def account_file(self) -> Path:
        return self.folder / "dynamic-security.json"

    def start(self) -> None:
        environment = {
            "PATH": SEARCH_PATH,
            "FOLDER": str(self.folder),
            "PORT": str(self.port),
            "BIND": "127.0.0.1",
            "MQTT_ADMIN_PASSWORD": "manager-of-this-test",
        }
        with (self.folder.parent / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([START], env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError((self.folder.parent / "mosquitto.log").read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


def answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_mosquitto(folder: Path) -> Iterator[Mosquitto]:
    """A broker that knows nobody but its manager. Skips the test where Mosquitto is not installed; fails in CI."""
    if shutil.which("mosquitto", path=SEARCH_PATH) is None:
        missing = "Mosquitto is not installed: run `make test-services`"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    broker = Mosquitto(folder / "mosquitto", free_port())
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
