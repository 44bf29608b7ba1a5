"""Real servers for tests, benchmarks and fault runs: each on a free loopback port and in a folder of its own.

    with PostgreSQL() as database, Redis() as redis:
        start_platform(os.environ | database.environment | redis.environment)
        database.crash()
        database.start()

A test asks for the fixtures `postgresql`, `redis`, `mosquitto` and `chromium`. From a shell, with the addresses in
the command's environment: `python -m iot_platform.tests postgresql redis mosquitto -- command`.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, NoReturn, Self, TypeVar

import psycopg
import pytest

CHECKOUT = Path(__file__).parents[2]
LOOPBACK = "127.0.0.1"
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root, and nothing here needs root
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class NotInstalled(Exception):
    """A program that a test needs is not on this machine."""


class DidNotStart(Exception):
    """A server did not start; the text ends with its log."""


def program(*names: str) -> str:
    """The path of the first of these programs that is installed."""
    postgresql = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    places = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", *map(str, reversed(postgresql))]
    for name in names:
        found = shutil.which(name, path=os.pathsep.join(places))
        if found:
            return found
    raise NotInstalled(f"{names[0]} is not installed; `make test-services` installs it")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class Server:
    """One real server; `with` starts it, stops it and removes its folder, whatever happens in between."""

    START_SECONDS = 30
    STOP_SECONDS = 20
    STOP: ClassVar[signal.Signals] = signal.SIGINT
    CRASH: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self) -> None:
        self.program = self.find()
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-"))
        self.process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            shutil.chown(self.folder, UNPRIVILEGED)

    def find(self) -> str:
        raise NotImplementedError

    def prepare(self) -> None:
        """Whatever the folder needs before the first start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    @property
    def environment(self) -> dict[str, str]:
        """What the platform must be told to use this server."""
        raise NotImplementedError

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start, also again after `stop` or `crash`: same port, same folder. Returns when the server answers."""
        self.process = self.spawn(self.command())
        deadline = time.monotonic() + self.START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end(signal.SIGKILL)
                raise DidNotStart(f"{self.program} did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """The orderly end."""
        self.end(self.STOP)

    def crash(self) -> None:
        """The end without a farewell: what was not written yet is lost."""
        self.end(self.CRASH)

    def end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(self.STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """A child in a session of its own, so that Ctrl-C reaches the tests first and they end it in order."""
        account = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None
        with self.log.open("ab") as log:
            return subprocess.Popen(
                tied(command),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account and account.pw_uid,
                group=account and account.pw_gid,
                extra_groups=account and [],
            )


def tied(command: Sequence[str]) -> list[str]:
    """Where Linux offers it: the command is interrupted when the thread that started it ends, even by `kill -9`."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "INT", "--", *command] if setpriv else list(command)


AnyServer = TypeVar("AnyServer", bound=Server)


class PostgreSQL(Server):
    """Survives its own crash, not the machine's: nothing is forced to disk unless `fsync="on"` is asked for."""

    CRASH = signal.SIGQUIT  # an immediate shutdown: no checkpoint, recovery at the next start

    def __init__(self, **settings: str) -> None:
        super().__init__()
        self.settings = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"} | settings

    def find(self) -> str:
        return program("postgres")

    def prepare(self) -> None:
        initdb = str(Path(self.program).with_name("initdb"))
        arguments = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        if self.spawn([initdb, f"--pgdata={self.folder}/data", *arguments]).wait(self.START_SECONDS):
            raise DidNotStart(f"{initdb} failed:\n{self.log.read_text()[-2000:]}")

    def command(self) -> list[str]:
        own = {"port": self.port, "listen_addresses": LOOPBACK, "unix_socket_directories": self.folder}
        options = [f"--{name}={value}" for name, value in (self.settings | own).items()]
        return [self.program, "-D", f"{self.folder}/data", *options]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url_of("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def url_of(self, database: str) -> str:
        return f"postgres://postgres@{LOOPBACK}:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database that nobody else uses."""
        name = f"test_{secrets.token_hex(4)}"
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url_of(name)

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url_of("postgres")}


class Redis(Server):
    """Keeps nothing on disk: what is in it may be lost at any time."""

    def find(self) -> str:
        return program("redis-server")

    def command(self) -> list[str]:
        return [self.program, "--bind", LOOPBACK, "--port", str(self.port), "--save", "", "--appendonly", "no"]

    def answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16) == b"+PONG\r\n"
        except OSError:
            return False

    @property
    def environment(self) -> dict[str, str]:
        return {"REDIS_URL": f"redis://{LOOPBACK}:{self.port}/0"}


class Mosquitto(Server):
    """The broker as it is deployed: closed, with the platform's own configuration."""

    ADMIN, LISTENER = "admin", "listener"

    def __init__(self) -> None:
        super().__init__()
        self.admin_password, self.listener_password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)

    def find(self) -> str:
        return program("mosquitto")

    def prepare(self) -> None:
        """Whoever the broker runs as may not be able to read the checkout."""
        shutil.copytree(CHECKOUT / "mosquitto", self.folder / "configuration")

    def command(self) -> list[str]:
        own = {"FOLDER": self.folder / "data", "PORT": self.port, "BIND": LOOPBACK}
        admin = {"MQTT_ADMIN_USERNAME": self.ADMIN, "MQTT_ADMIN_PASSWORD": self.admin_password}
        settings = [f"{name}={value}" for name, value in (own | admin).items()]
        return ["env", *settings, "sh", f"{self.folder}/configuration/start.sh"]

    def answers(self) -> bool:
        return accepts(self.port)

    @property
    def listener_url(self) -> str:
        """`manage.py broker_accounts` makes this account, as it does in a deployment."""
        return f"mqtt://{self.LISTENER}:{self.listener_password}@{LOOPBACK}:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"mqtt://{self.ADMIN}:{self.admin_password}@{LOOPBACK}:{self.port}"

    @property
    def account_file(self) -> Path:
        return self.folder / "data" / "dynamic-security.json"

    @property
    def environment(self) -> dict[str, str]:
        return {"MQTT_URL": self.listener_url, "MQTT_ADMIN_URL": self.admin_url}


def accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def chromium_path() -> str:
    return program(*CHROMIUM)


def or_skip(missing: NotInstalled) -> NoReturn:
    """On a developer's machine a missing program skips the test; in CI it fails it."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(str(missing))
    pytest.skip(str(missing))


def started(kind: type[AnyServer]) -> Iterator[AnyServer]:
    try:
        server = kind()
    except NotInstalled as missing:
        or_skip(missing)
    with server:
        yield server


def pytest_configure() -> None:
    """A run that is told to end does so as on Ctrl-C: fixtures stop what they have started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    yield from started(PostgreSQL)


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    yield from started(Redis)


@pytest.fixture(scope="session")
def mosquitto() -> Iterator[Mosquitto]:
    yield from started(Mosquitto)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a browser that Playwright can drive."""
    try:
        return chromium_path()
    except NotInstalled as missing:
        or_skip(missing)
