"""Another organization sees nothing and changes nothing, at any door.

The cases are not written down: they are every method of every route in the URL configuration, every socket route and
every topic. A new route without a line in BODIES (or in OPEN, with its reason) fails here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.apps import apps
from django.core.serializers import serialize
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from accounts.live import publish as publish_live
from accounts.models import Organization
from alerts.models import Alert, Channel, Delivery, Rule
from dashboards.models import Dashboard, Tile
from devices import keys
from devices.models import Device, Source
from iot_platform.asgi import application, websocket_urlpatterns
from iot_platform.tests.test_sockets import ORIGIN, run, session_of, signed_in
from readings.ingest import Message, ingest, now
from readings.models import Protocol, Reading, Rejection

NOBODY = 2_000_000_000
OPEN = {
    "register login logout refresh verify me": "about the caller alone",
    "api-health health system-version": "about the installation",
    "device-type-list device-type-detail sensor-type-list sensor-type-detail": "the catalogue, the same for everybody",
    "schema docs redoc": "the API's description",
    "sign-in sign-out choose-organization": "about the caller's session",
}
OPEN_ROUTES = {name for names in OPEN for name in names.split()}

# What the owner sends. It names objects of the owner's organization wherever the endpoint takes one.
BODIES: dict[tuple[str, str], Callable[[SimpleNamespace], Any]] = {
    ("organization-list", "post"): lambda c: {"name": "Acme Two"},
    ("organization-detail", "put"): lambda c: {"name": "Acme Renamed"},
    ("organization-detail", "patch"): lambda c: {"name": "Acme Renamed"},
    ("unit-list", "post"): lambda c: {"name": "Attic", "location": "Roof"},
    ("unit-detail", "put"): lambda c: {"name": "Attic", "location": "Roof"},
    ("unit-detail", "patch"): lambda c: {"name": "Attic"},
    ("device-list", "post"): lambda c: {"name": "Kiln", "device_type": "thermostat", "unit": c.floor.pk},
    ("device-detail", "put"): lambda c: {"name": "Kiln", "device_type": "thermostat", "unit": c.floor.pk},
    ("device-detail", "patch"): lambda c: {"name": "Kiln"},
    ("device-key-list", "post"): lambda c: {"name": "second"},
    ("device-readings", "post"): lambda c: {"sensor": "temperature", "value": 1},
    ("source-list", "post"): lambda c: {
        "name": "Old boards",
        "scheme": "typed_topic",
        "topic_filter": "sensors/temperature/acme-2",
        "device": str(c.boiler.uuid),
    },
    ("source-detail", "put"): lambda c: {
        "name": "Old boards",
        "scheme": "shared_topic",
        "topic_filter": "acme/data",
        "device": str(c.boiler.uuid),
    },
    ("source-detail", "patch"): lambda c: {"name": "Older boards"},
    ("sensor-list", "post"): lambda c: {
        "device": str(c.boiler.uuid),
        "key": "t2",
        "name": "Second",
        "sensor_type": "temperature",
    },
    ("sensor-detail", "put"): lambda c: {
        "device": str(c.boiler.uuid),
        "key": "temperature",
        "name": "Renamed",
        "sensor_type": "temperature",
    },
    ("sensor-detail", "patch"): lambda c: {"name": "Renamed"},
    ("reading-list", "post"): lambda c: {"sensor_id": c.temperature.pk, "value": 3},
    ("reading-validate-many", "post"): lambda c: {"ids": [c.reading.pk]},
    ("reading-archive-many", "post"): lambda c: {"ids": [c.reading.pk]},
    ("alert-rule-list", "post"): lambda c: _rule(c),
    ("alert-rule-detail", "put"): lambda c: _rule(c),
    ("alert-rule-detail", "patch"): lambda c: {"threshold": 99},
    ("notification-channel-list", "post"): lambda c: {
        "name": "Hook",
        "kind": "webhook",
        "url": "https://93.184.215.14/a",
    },
    ("notification-channel-detail", "put"): lambda c: {
        "name": "Hook",
        "kind": "webhook",
        "url": "https://93.184.215.14/b",
    },
    ("notification-channel-detail", "patch"): lambda c: {"name": "Hook"},
    ("dashboard-list", "post"): lambda c: {"name": "Second"},
    ("dashboard-detail", "put"): lambda c: {"name": "Second"},
    ("dashboard-detail", "patch"): lambda c: {"name": "Second"},
    ("dashboard-layout", "post"): lambda c: {"tiles": []},
}
WITHOUT_BODY = {"reading-validate", "reading-archive", "alert-acknowledge", "alert-resolve"}


def _rule(cast: SimpleNamespace) -> dict[str, Any]:
    return {"name": "Hot", "sensor": cast.temperature.pk, "operator": "gt", "threshold": 50, "severity": "low"}


class Case(NamedTuple):
    route: str
    method: str
    path: str  # with {placeholders}

    @property
    def is_addressed(self) -> bool:
        return "{" in self.path

    def url(self, values: dict[str, Any]) -> str:
        return "/" + self.path.format(**values)


def patterns(resolver: URLResolver) -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "admin":  # for platform staff, who may see all
                yield from patterns(pattern)
        elif pattern.name:
            yield pattern.name, pattern


def methods_of(pattern: URLPattern) -> list[str]:
    view = pattern.callback
    if actions := getattr(view, "actions", None):
        return list(actions)
    kind = getattr(view, "cls", None) or view.view_class
    return [method for method in ("get", "post", "put", "patch", "delete") if hasattr(kind, method)]


def every_case() -> list[Case]:
    reverse = get_resolver().reverse_dict
    return [
        Case(name, method, reverse.getlist(name)[0][0][0][0].replace("%(", "{").replace(")s", "}"))
        for name, pattern in patterns(get_resolver())
        if name not in OPEN_ROUTES
        for method in methods_of(pattern)
    ]


CASES = every_case()
ADDRESSED = [case for case in CASES if case.is_addressed]
LISTED = [case for case in CASES if not case.is_addressed]
ids = "{0.method} {0.route}".format


@pytest.fixture
def world(cast: SimpleNamespace) -> SimpleNamespace:
    """The cast, with one of everything in Acme."""
    payload = json.dumps({"readings": [{"sensor": "temperature", "value": 99}, {"sensor": "boiler-x", "value": 1}]})
    cast.rule = Rule.objects.create(
        organization=cast.acme, name="boiler rule", sensor=cast.temperature, operator="gt", threshold=80
    )
    cast.channel = Channel.objects.create(organization=cast.acme, name="boiler hook", url="https://93.184.215.14/")
    ingest([Message(str(cast.boiler.uuid), payload.encode(), now(), Protocol.HTTP)])
    cast.reading, cast.alert, cast.rejection = Reading.objects.get(), Alert.objects.get(), Rejection.objects.get()
    cast.delivery = Delivery.objects.get()
    cast.key, _ = keys.issue(cast.boiler, cast.alice, "boiler key")
    cast.source = Source.objects.create(
        organization=cast.acme, name="boiler source", scheme="shared_topic", topic_filter="acme/old", device=cast.boiler
    )
    cast.dashboard = Dashboard.objects.create(organization=cast.acme, name="boiler dashboard")
    Tile.objects.create(dashboard=cast.dashboard, key="boiler-tile", title="boiler", sensor_type="temperature")
    _, cast.their_secret = keys.issue(cast.theirs, cast.mallory)
    _, cast.own_secret = keys.issue(cast.boiler, cast.alice)
    return cast


def address(case: Case, world: SimpleNamespace) -> dict[str, Any]:
    """What the placeholders of the path stand for: always something of Acme's."""
    rows = {
        "organization": world.acme.pk,
        "unit": world.floor.pk,
        "device": world.boiler.uuid,
        "device-key": world.key.pk,
        "source": world.source.pk,
        "sensor": world.temperature.pk,
        "reading": world.reading.pk,
        "rejection": world.rejection.pk,
        "alert-rule": world.rule.pk,
        "alert": world.alert.pk,
        "notification-channel": world.channel.pk,
        "delivery": world.delivery.pk,
        "dashboard": world.dashboard.pk,
    }
    names = [name for name in rows if case.route == name or case.route.startswith(f"{name}-")]
    row = rows[max(names, key=len)] if names else None
    return {"pk": row, "uuid": world.boiler.uuid, "device_uuid": world.boiler.uuid}


def nobody(case: Case) -> dict[str, Any]:
    is_uuid = case.route.startswith("device-detail")
    return {"pk": uuid4() if is_uuid else NOBODY, "uuid": uuid4(), "device_uuid": uuid4()}


def body(case: Case, world: SimpleNamespace) -> Any:
    if case.method in ("get", "delete") or case.route in WITHOUT_BODY:
        return None
    return BODIES[case.route, case.method](world)


def call(client: APIClient, case: Case, url: str, data: Any, **headers: str) -> Any:
    extra = {} if data is None else {"data": data, "format": "json"}
    return getattr(client, case.method)(url, headers=headers, **extra)


def person(user: Any) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def dump() -> dict[str, Any]:
    """Everything that is stored of any organization, but for what a look itself leaves behind."""
    kept = {}
    for model in apps.get_models():
        if model._meta.app_label in ("accounts", "devices", "alerts", "readings", "dashboards"):
            rows = json.loads(serialize("json", model.objects.all()))
            for row in rows:
                row["fields"].pop("last_login", None)
                row["fields"].pop("last_used_at", None)
            kept[model.__name__] = {row["pk"]: row["fields"] for row in rows}
    return kept


def acme_of(dumped: dict[str, Any], world: SimpleNamespace) -> dict[str, Any]:
    """The part of a dump that is not Globex's."""
    theirs = {
        "Organization": {world.globex.pk},
        "Device": {world.theirs.pk},
        "Sensor": {world.their_temperature.pk},
    }
    part = {}
    for name, rows in dumped.items():
        part[name] = {
            pk: fields
            for pk, fields in rows.items()
            if pk not in theirs.get(name, ())
            and fields.get("organization") != world.globex.pk
            and fields.get("device") != world.theirs.pk
            and fields.get("sensor") != world.their_temperature.pk
        }
    return part


@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_every_case_has_what_the_owner_sends(case: Case):
    assert case.method in ("get", "delete") or case.route in WITHOUT_BODY or (case.route, case.method) in BODIES


@pytest.mark.django_db
@pytest.mark.parametrize("case", ADDRESSED, ids=ids)
def test_what_belongs_to_another_organization_is_not_found(world: SimpleNamespace, case: Case):
    url, data = case.url(address(case, world)), body(case, world)
    with transaction.atomic():  # first: the owner can
        answer = call(person(world.alice), case, url, data)
        assert answer.status_code < 300, answer.content[:500]
        transaction.set_rollback(True)
    before = acme_of(dump(), world)
    foreign = call(person(world.mallory), case, url, data)
    unknown = call(person(world.mallory), case, case.url(nobody(case)), data)
    assert foreign.status_code == 404
    assert unknown.status_code == 404
    if "json" in foreign["content-type"]:
        assert foreign.content == unknown.content
    by_key = call(APIClient(), case, url, data, authorization=f"Bearer {world.their_secret}")
    assert by_key.status_code in ((403, 404) if case.path.startswith("api/") else (302,))
    assert acme_of(dump(), world) == before


@pytest.mark.django_db
@pytest.mark.parametrize("case", LISTED, ids=ids)
def test_what_is_listed_or_made_stays_in_its_own_organization(world: SimpleNamespace, case: Case):
    url, data = case.url({}), body(case, world)
    with transaction.atomic():
        answer = call(person(world.alice), case, url, data)
        assert answer.status_code < 300, answer.content[:500]
        if case.method == "get" and case.route not in ("stats", "system-status", "latest"):
            assert marks_in(answer, world)
        transaction.set_rollback(True)
    before = acme_of(dump(), world)
    theirs = call(person(world.mallory), case, url, data)
    if case.method == "get":  # the answer to a POST may repeat what the caller wrote
        assert marks_in(theirs, world) == []
    names_something = any(str(value) in json.dumps(data) for value in references(world)) if data else False
    assert theirs.status_code in (400, 404) if names_something and case.method == "post" else theirs.status_code < 300
    after = acme_of(dump(), world)
    if case.route == "organization-list" and case.method == "post":
        after = without_new_organization(after, before)
    assert after == before


def marks_in(answer: Any, world: SimpleNamespace) -> list[str]:
    """Signs of Acme's objects: names (all are called after the boiler), the device's UUID, the value of its reading."""
    seen = text_of(answer).lower()
    return [mark for mark in ("boiler", "acme", str(world.boiler.uuid), '"value":99') if mark in seen]


def references(world: SimpleNamespace) -> list[Any]:
    return [
        f'"unit": {world.floor.pk}',
        f'"sensor": {world.temperature.pk}',
        f'"sensor_id": {world.temperature.pk}',
        world.boiler.uuid,
    ]


def without_new_organization(after: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Mallory may found an organization of her own; it is no row of Acme's."""
    names = ("Organization", "Membership")
    return {k: {pk: row for pk, row in v.items() if k not in names or pk in before[k]} for k, v in after.items()}


def text_of(answer: Any) -> str:
    return b"".join(answer).decode() if answer.streaming else answer.content.decode()


@pytest.mark.django_db
def test_two_organizations_of_the_same_name_do_not_mix(world: SimpleNamespace):
    Organization.objects.filter(pk=world.globex.pk).update(name="Acme")
    Device.objects.filter(pk=world.theirs.pk).update(name="boiler")
    names = [one["uuid"] for one in person(world.mallory).get("/api/v1/devices").json()["results"]]
    assert names == [str(world.theirs.uuid)]


@pytest.mark.django_db
def test_an_organization_that_one_is_no_member_of_cannot_be_chosen(world: SimpleNamespace):
    mallory = person(world.mallory)
    assert mallory.get("/api/v1/devices", headers={"X-Organization": str(world.acme.pk)}).status_code == 404
    assert mallory.get("/api/v1/devices", headers={"X-Organization": "1 OR 1=1"}).status_code == 404


SOCKETS = [str(pattern.pattern) for pattern in websocket_urlpatterns]
KINDS = ("readings", "alert", "device_status", "system_status")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", SOCKETS)
def test_a_socket_hears_its_own_organization_alone(world: SimpleNamespace, path: str):
    alice, mallory = session_of(world.alice), session_of(world.mallory)
    item = [str(world.boiler.uuid), world.temperature.pk, "temperature", "temperature", "", "", 1.0, False]

    def happen() -> None:
        for kind in KINDS:
            publish_live(world.acme.pk, kind, item if kind == "readings" else {"device": str(world.boiler.uuid)})

    async def scenario() -> None:
        mine = WebsocketCommunicator(application, f"/{path}", headers=[ORIGIN, alice])
        theirs = WebsocketCommunicator(application, f"/{path}", headers=[ORIGIN, mallory])
        for communicator in (mine, theirs):
            await communicator.connect()
            await signed_in(communicator)
        await sync_to_async(happen)()
        heard = json.loads(await mine.receive_from(3))
        assert str(world.boiler.uuid) in json.dumps(heard)
        assert await theirs.receive_nothing(0.7)
        await asyncio.gather(mine.disconnect(), theirs.disconnect())

    run(scenario)


@pytest.mark.django_db(transaction=True)
def test_a_token_of_another_organization_cannot_choose_this_one_at_a_socket(world: SimpleNamespace):
    from accounts import tokens

    token = str(tokens.issue(world.mallory).access)

    async def scenario() -> None:
        communicator = WebsocketCommunicator(application, "/ws", headers=[ORIGIN])
        await communicator.connect()
        await communicator.send_json_to({"type": "authenticate", "token": token, "organization": world.acme.pk})
        event = await communicator.receive_output(3)
        assert (event["type"], event["code"]) == ("websocket.close", 4401)

    run(scenario)
