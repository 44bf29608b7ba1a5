"""Settings: what the environment says is what the platform does, and what is unsafe stops it."""

from __future__ import annotations

import ast
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from iot_platform.tests.services import CHECKOUT

READ = """
import json
from django.conf import settings
print(json.dumps([getattr(settings, name) for name in {names!r}], default=str))
"""
SECRETS = {"SECRET_KEY": "s" * 40, "JWT_SIGNING_KEY": "j" * 40}


def start(folder: Path, environment: dict[str, str], *names: str) -> subprocess.CompletedProcess[str]:
    """A process of its own that reads these settings, with nothing else in its environment."""
    own = {"PATH": os.environ["PATH"], "VAR_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "iot_platform.settings"}
    command = [sys.executable, "-c", READ.format(names=names)]
    return subprocess.run(command, cwd=CHECKOUT, env=own | environment, capture_output=True, text=True, check=False)


def settings_of(folder: Path, environment: dict[str, str], *names: str) -> list[Any]:
    answer = start(folder, environment, *names)
    assert answer.returncode == 0, answer.stderr
    found: list[Any] = json.loads(answer.stdout)
    return found


def test_without_any_service_one_process_holds_everything(tmp_path: Path) -> None:
    embedded, databases, layers, tasks, accounts = settings_of(
        tmp_path, {}, "EMBEDDED", "DATABASES", "CHANNEL_LAYERS", "CELERY_BROKER_URL", "BROKER_ACCOUNTS"
    )
    assert embedded
    assert databases["default"]["NAME"] == f"{tmp_path}/db.sqlite3"
    assert layers["default"]["BACKEND"] == "channels.layers.InMemoryChannelLayer"
    assert tasks.startswith("memory://")
    assert accounts == "devices.broker.CheckedAtConnect"


@pytest.mark.parametrize(
    ("address", "name", "expected"),
    [
        ({"DATABASE_URL": "postgres://me@db/iot"}, "DATABASES", "django.db.backends.postgresql"),
        ({"REDIS_URL": "redis://redis:6379/0"}, "CHANNEL_LAYERS", "RedisPubSubChannelLayer"),
        ({"REDIS_URL": "redis://redis:6379/0"}, "CACHES", "RedisCache"),
        ({"REDIS_URL": "redis://redis:6379/0"}, "CELERY_BROKER_URL", "redis://redis:6379/0"),
        ({"MQTT_URL": "mqtt://me@broker:1883"}, "BROKER_ACCOUNTS", "devices.broker.DynamicSecurity"),
    ],
)
def test_each_address_switches_its_part_over(tmp_path: Path, address: dict[str, str], name: str, expected: str) -> None:
    embedded, part = settings_of(tmp_path, address | SECRETS, "EMBEDDED", name)
    assert not embedded
    assert expected in json.dumps(part)


def test_a_single_process_makes_its_secrets_once_and_for_its_owner_only(tmp_path: Path) -> None:
    first = settings_of(tmp_path, {}, "SECRET_KEY", "JWT_SIGNING_KEY")
    assert settings_of(tmp_path, {}, "SECRET_KEY", "JWT_SIGNING_KEY") == first
    assert len(set(first)) == 2
    assert all(len(secret) >= 43 for secret in first)
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


@pytest.mark.parametrize("given", [{}, {"SECRET_KEY": "<random>"}])
def test_separate_processes_do_not_start_without_a_secret_they_share(tmp_path: Path, given: dict[str, str]) -> None:
    answer = start(tmp_path, {"DATABASE_URL": "postgres://me@db/iot"} | given, "DEBUG")
    assert answer.returncode == 1
    assert answer.stderr.strip().endswith(
        "Set SECRET_KEY to at least 32 random characters (or SECRET_KEY_FILE to their file)."
    )
    assert not list(tmp_path.iterdir())


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mounted").write_text("f" * 40)
    environment = {"REDIS_URL": "redis://r", "JWT_SIGNING_KEY": "j" * 40, "SECRET_KEY_FILE": f"{tmp_path}/mounted"}
    assert settings_of(tmp_path, environment, "SECRET_KEY") == ["f" * 40]


def test_https_closes_what_plain_http_leaves_open(tmp_path: Path) -> None:
    names = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS", "NUM_PROXIES")
    assert settings_of(tmp_path, {}, *names) == [False, False, False, 0, 0]
    assert settings_of(tmp_path, {"HTTPS": "1"}, *names) == [True, True, True, 31_536_000, 1]


def test_nothing_is_open_that_was_not_asked_for(tmp_path: Path) -> None:
    names = ("DEBUG", "LAN", "HOST", "REGISTRATION_OPEN", "ADMIN_PASSWORD", "ALLOWED_ORIGINS", "WEBHOOK_ALLOWED")
    assert settings_of(tmp_path, {}, *names) == [False, False, "127.0.0.1", False, "", [], []]


def names_read() -> set[str]:
    """Every name of the environment that settings.py asks for."""
    names = set()
    for node in ast.walk(ast.parse((CHECKOUT / "iot_platform" / "settings.py").read_text())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            if called == "secret" or (called.startswith("env.") and called != "env.read_env"):
                names.add(str(node.args[0].value))
    return names


def names_in_example() -> set[str]:
    lines = (CHECKOUT / ".env.example").read_text().splitlines()
    names = (line.removeprefix("# ").partition("=") for line in lines)
    return {name for name, sign, _ in names if sign and name.isupper()}


def test_every_setting_is_in_the_example_and_nothing_else_but_what_compose_needs() -> None:
    compose = (CHECKOUT / "docker-compose.yml").read_text()
    unread = names_in_example() - names_read()
    assert names_read() <= names_in_example()
    assert all(f"${{{name}:" in compose for name in unread), unread
