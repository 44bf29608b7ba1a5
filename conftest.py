"""The test cast: two organizations that must never meet, and everyone who might knock at a door.

Acme has alice (owner), adam (admin), olga (operator), vera (viewer) and the device `boiler`.
Globex has mallory (owner) and the device `theirs`. Sam runs the platform itself, norma belongs nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from accounts.models import Membership, Organization, Role, User
from devices.models import Device, DeviceType, Sensor, SensorType, Unit

pytest_plugins = ["iot_platform.tests.services", "iot_platform.tests.platforms"]


def person(name: str, organization: Organization | None = None, role: Role = Role.VIEWER, **fields: object) -> User:
    user = User.objects.create(username=name, email=f"{name}@example.org", **fields)
    if organization:
        Membership.objects.create(user=user, organization=organization, role=role)
    return user


def equip(organization: Organization, name: str) -> tuple[Unit, Device, Sensor]:
    unit = Unit.objects.create(organization=organization, name=f"{name} room", location="Ground floor")
    device = Device.objects.create(
        organization=organization, unit=unit, name=name, device_type=DeviceType.objects.get(code="thermostat")
    )
    sensor = Sensor.objects.create(
        device=device,
        key="temperature",
        name=f"{name} temperature",
        sensor_type=SensorType.objects.get(code="temperature"),
        unit="celsius",
    )
    return unit, device, sensor


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    """Failed sign-ins of one test are not counted towards the next."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def cast(db: None) -> SimpleNamespace:
    acme = Organization.objects.create(name="Acme")
    globex = Organization.objects.create(name="Globex")
    floor, boiler, temperature = equip(acme, "boiler")
    their_floor, theirs, their_temperature = equip(globex, "theirs")
    return SimpleNamespace(
        acme=acme,
        globex=globex,
        alice=person("alice", acme, Role.OWNER),
        adam=person("adam", acme, Role.ADMIN),
        olga=person("olga", acme, Role.OPERATOR),
        vera=person("vera", acme, Role.VIEWER),
        mallory=person("mallory", globex, Role.OWNER),
        norma=person("norma"),
        sam=person("sam", is_staff=True, is_superuser=True),
        floor=floor,
        boiler=boiler,
        temperature=temperature,
        their_floor=their_floor,
        theirs=theirs,
        their_temperature=their_temperature,
    )


@pytest.fixture
def api_of() -> Callable[[User | None], APIClient]:
    """An API client with this person's session, or an anonymous one."""

    def client(user: User | None) -> APIClient:
        api = APIClient()
        if user is not None:
            api.force_login(user)
        return api

    return client
