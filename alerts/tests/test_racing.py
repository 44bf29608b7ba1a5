from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from alerts.tests.conftest import Receiver
from alerts.tests.racing import ROUNDS, SENSORS

SECRET = "of-the-tests-only-of-the-tests-only"


class Process:
    """Commands of `racing`, each in a process of its own, on one database."""

    def __init__(self, database_url: str, allowed: str = "") -> None:
        self.environment = os.environ | {
            "DATABASE_URL": database_url,
            "SECRET_KEY": SECRET,
            "JWT_SIGNING_KEY": SECRET,
            "WEBHOOK_ALLOWED": allowed,
        }

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "alerts.tests.racing", *command],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str) -> Any:
        with self.start(*command) as process:
            answer, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return json.loads(answer.splitlines()[-1])


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/race.sqlite3"


def check_race(database_url: str) -> None:
    process = Process(database_url)
    process.run("prepare", "https://hooks.example.org/")
    result = process.run("race")

    bad_rounds = ROUNDS // 2
    assert result["open_after"] == [SENSORS, 0] * bad_rounds
    assert result["alerts"] == result["told"]["opened"] == SENSORS * bad_rounds
    assert result["deliveries"] == {"opened": SENSORS * bad_rounds, "resolved": SENSORS * bad_rounds}


def test_writers_at_the_same_time_open_one_alert_and_resolve_it_once_on_sqlite(sqlite: str) -> None:
    check_race(sqlite)


@pytest.mark.services
def test_writers_at_the_same_time_open_one_alert_and_resolve_it_once_on_postgresql(postgresql: Any) -> None:
    check_race(postgresql.new_database())


def test_a_sender_killed_in_mid_send_leaves_the_message_to_the_next_with_the_same_key(
    sqlite: str, receiver: Receiver
) -> None:
    process = Process(sqlite, allowed=receiver.entry)
    process.run("prepare", receiver.url)
    process.run("alert")
    receiver.answer = lambda handler: handler.hang()
    with process.start("send") as sender:
        while not receiver.requests:
            assert sender.poll() is None
            time.sleep(0.01)
        sender.kill()

    receiver.answer = lambda handler: handler.say(200)
    assert process.run("send") == {"arrived": 1}
    first, second = receiver.requests
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert process.run("send") == {"arrived": 0}
