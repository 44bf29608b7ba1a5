"""The servers of the tests themselves: they start, crash, come back and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from paho.mqtt.client import CallbackAPIVersion, Client
from redis import Redis as RedisClient

from iot_platform.tests import services
from iot_platform.tests.services import DidNotStart, Mosquitto, NotInstalled, PostgreSQL, Redis

pytestmark = pytest.mark.services


def test_what_postgresql_has_committed_survives_its_crash(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (value int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    postgresql.crash()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    postgresql.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchall() == [(7,)]


def test_redis_comes_back_empty_at_the_same_address(redis: Redis) -> None:
    client = RedisClient.from_url(redis.environment["REDIS_URL"])
    client.set("name", "value")
    redis.crash()
    redis.start()
    assert client.get("name") is None


def refusal(url: str, password: str) -> str:
    """What the broker says to this password."""
    address, answers = urlsplit(url), []
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(address.username, password)
    client.on_connect = lambda *details: answers.append(str(details[3]))
    client.connect(address.hostname or "", address.port or 0)
    deadline = time.monotonic() + 5
    while not answers and time.monotonic() < deadline:
        client.loop(0.1)
    client.disconnect()
    return answers[0]


def test_mosquitto_lets_only_the_known_in(mosquitto: Mosquitto) -> None:
    url = mosquitto.environment["MQTT_ADMIN_URL"]
    assert refusal(url, mosquitto.admin_password) == "Success"
    assert refusal(url, "guessed") == "Not authorized"


def test_a_server_takes_its_folder_with_it() -> None:
    with Redis() as server:
        folder, pid = server.folder, server.process and server.process.pid
        assert folder.exists()
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_that_does_not_start_says_why_and_leaves_nothing() -> None:
    server = PostgreSQL(no_such_setting="1")
    with pytest.raises(DidNotStart, match="no_such_setting"), server:
        pass
    assert not server.folder.exists()


def test_a_missing_program_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(NotInstalled, match="no-such-server is not installed; `make test-services`"):
        services.program("no-such-server")


@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 error"), ("", "1 skipped")])
def test_a_missing_program_skips_here_and_fails_in_ci(tmp_path: Path, ci: str, outcome: str) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(chromium):\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "iot_platform.tests.services", "-c", os.devnull, str(tmp_path)]
    environment = os.environ | {"PATH": str(tmp_path), "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    answer = subprocess.run(
        command, cwd=services.CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert outcome in answer.stdout


def test_a_command_beside_servers_gets_their_addresses_and_gives_its_exit_code() -> None:
    command = [sys.executable, "-m", "iot_platform.tests", "redis", "--", "sh", "-c", "echo $REDIS_URL; exit 3"]
    answer = subprocess.run(command, cwd=services.CHECKOUT, capture_output=True, text=True, check=False)
    assert answer.stdout.startswith("redis://127.0.0.1:")
    assert answer.returncode == 3


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A place for temporary files that the unprivileged servers can enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def running(folder: Path, *command: str) -> tuple[subprocess.Popen[str], int]:
    """This command, and the port of the Redis that it started and named."""
    runner = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=services.CHECKOUT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert runner.stdout is not None
    address = next(line for line in runner.stdout if line.startswith("redis://"))
    port = urlsplit(address.strip()).port
    assert port
    assert services.accepts(port)
    return runner, port


def gone(port: int) -> bool:
    deadline = time.monotonic() + 10
    while services.accepts(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not services.accepts(port)


def test_servers_end_with_the_command_beside_them(shared_folder: Path) -> None:
    runner, port = running(
        shared_folder, "iot_platform.tests", "redis", "--", "sh", "-c", "echo $REDIS_URL; exec sleep 60"
    )
    runner.terminate()
    runner.wait(20)
    assert gone(port)
    assert not list(shared_folder.iterdir())


def test_servers_end_even_when_nobody_is_left_to_end_them(shared_folder: Path) -> None:
    runner, port = running(
        shared_folder, "iot_platform.tests", "redis", "--", "sh", "-c", "echo $REDIS_URL; exec sleep 60"
    )
    os.killpg(runner.pid, signal.SIGKILL)
    assert gone(port)


def test_a_test_run_that_is_told_to_end_takes_its_servers_with_it(shared_folder: Path, tmp_path: Path) -> None:
    body = "    print('', redis.environment['REDIS_URL'], sep='\\n', flush=True)\n    time.sleep(60)\n"
    (tmp_path / "test_it.py").write_text(f"import time\ndef test_it(redis):\n{body}")
    plugins = ("-p", "iot_platform.tests.services", "-p", "no:django", "-p", "no:cacheprovider")
    runner, port = running(shared_folder, "pytest", "-s", *plugins, "-c", os.devnull, str(tmp_path))
    runner.terminate()
    runner.wait(20)
    assert gone(port)
    assert not list(shared_folder.glob("redis-*"))
