"""docker-compose.yml and the Dockerfile: closed, without secrets of their own, and of one mind with the settings."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from iot_platform.tests.services import CHECKOUT
from iot_platform.tests.test_settings import names_in_example, names_read

OURS = {"setup", "web", "worker", "beat"}
SECRETS = {"SECRET_KEY", "JWT_SIGNING_KEY", "DATABASE_URL", "REDIS_URL", "MQTT_URL", "MQTT_ADMIN_URL"}
TEXT = (CHECKOUT / "docker-compose.yml").read_text()


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(TEXT)["services"]
    return found


def test_only_http_and_mqtt_are_published_and_to_this_machine_unless_told_otherwise(services: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(ports) == {"web", "mosquitto"}
    assert all(port.startswith("${HOST:-127.0.0.1}:") for published in ports.values() for port in published)


def test_stores_live_in_a_network_without_a_way_out(services: dict[str, Any]) -> None:
    assert yaml.safe_load(TEXT)["networks"]["inside"] == {"internal": True}
    assert services["db"]["networks"] == services["redis"]["networks"] == ["inside"]


def test_every_secret_comes_from_the_environment_and_is_demanded() -> None:
    named = set(re.findall(r"\$\{(\w+(?:PASSWORD|SECRET\w*|KEY))\b", TEXT))
    demanded = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert named == demanded
    assert len(named) == 6


def test_no_password_is_written_down(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if name in SECRETS or "PASSWORD" in name or "AUTH" in name:
                assert ":?" in value, name


def test_every_variable_is_explained_in_the_example() -> None:
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT)) <= names_in_example()


def test_the_platform_is_told_only_what_it_reads(services: dict[str, Any]) -> None:
    for name in OURS:
        assert services[name]["environment"].keys() <= names_read()
        assert services[name]["environment"].keys() >= SECRETS


def test_every_service_that_stays_says_how_it_is(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"setup"}
    assert services["setup"]["restart"] == "no"


def test_nothing_starts_before_tables_and_accounts_are_there(services: dict[str, Any]) -> None:
    for name in OURS - {"setup"}:
        assert services[name]["depends_on"]["setup"] == {"condition": "service_completed_successfully"}


def test_images_are_pinned(services: dict[str, Any]) -> None:
    foreign = {name: service["image"] for name, service in services.items() if name not in OURS}
    assert all(re.search(r":\d", image) for image in foreign.values()), foreign
    assert all(re.search(r":\d", line) for line in dockerfile() if line.startswith("FROM"))


def dockerfile() -> list[str]:
    return (CHECKOUT / "Dockerfile").read_text().splitlines()


def test_the_image_does_not_run_as_root() -> None:
    assert [line for line in dockerfile() if line.startswith("USER")] == ["USER platform"]


def test_the_image_holds_every_room_and_no_secret() -> None:
    kept = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    rooms = {path.parent.name for path in CHECKOUT.glob("*/apps.py")} | {
        path.parent.name for path in CHECKOUT.glob("*/models.py")
    }
    assert rooms <= kept
    assert not kept & {".env", "var", ".git"}


def test_make_env_writes_new_secrets_that_only_the_owner_may_read(tmp_path: Path) -> None:
    for name in ("Makefile", ".env.example"):
        (tmp_path / name).write_text((CHECKOUT / name).read_text())
    made = subprocess.run(["make", "env"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    lines = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines() if line[:1].isupper())
    assert len(set(lines.values())) == len(lines) == 6
    assert all(re.fullmatch(r"[\w-]{64}", secret) for secret in lines.values())
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    again = subprocess.run(["make", "env"], cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ)
    assert again.returncode != 0
    assert "left as it is" in again.stdout
