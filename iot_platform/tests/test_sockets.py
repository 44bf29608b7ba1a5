"""The sockets, through the real routes: who gets in, what they hear, what happens to those who misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings as django_settings
from django.db import OperationalError
from django.test import Client

from accounts import live, tokens
from accounts.models import Membership, User
from iot_platform.asgi import application
from readings.ingest import Message, ingest, now
from readings.models import Protocol

ROUTES = ["/ws", "/ws/live-data", "/ws/device-status", "/ws/alerts"]
ORIGIN = (b"origin", b"http://localhost")

pytestmark = [pytest.mark.django_db(transaction=True)]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """One scenario on an event loop of its own, with a hub and a channel layer of its own."""
    live.hub.__init__()
    from channels.layers import channel_layers

    channel_layers.backends.clear()

    async def bounded() -> None:
        await asyncio.wait_for(scenario(), 20)

    asyncio.run(bounded())
    live.hub.loop = None


def session_of(user: User) -> tuple[bytes, bytes]:
    client = Client()
    client.force_login(user)
    cookie = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    return b"cookie", f"{django_settings.SESSION_COOKIE_NAME}={cookie}".encode()


@asynccontextmanager
async def socket(path: str, *headers: tuple[bytes, bytes]) -> AsyncIterator[WebsocketCommunicator]:
    communicator = WebsocketCommunicator(application, path, headers=list(headers))
    connected, _ = await communicator.connect()
    assert connected
    try:
        yield communicator
    finally:
        await communicator.disconnect()


async def signed_in(communicator: WebsocketCommunicator) -> dict[str, Any]:
    greeting = json.loads(await communicator.receive_from(3))
    assert greeting["type"] == "connection_established"
    return greeting


async def closed_with(communicator: WebsocketCommunicator, timeout: float = 3) -> int:
    while True:
        event = await communicator.receive_output(timeout)
        if event["type"] == "websocket.close":
            return event["code"]


async def frame_of(communicator: WebsocketCommunicator, kind: str) -> dict[str, Any]:
    while True:
        frame = json.loads(await communicator.receive_from(3))
        if frame["type"] == kind:
            return frame


def send_reading(device: Any, value: float) -> None:
    payload = json.dumps({"sensor": "temperature", "value": value}).encode()
    ingest([Message(str(device.uuid), payload, now(), Protocol.MQTT)])


@pytest.mark.parametrize("path", ROUTES)
def test_a_browser_is_signed_in_by_its_session(cast: SimpleNamespace, path: str):
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket(path, ORIGIN, cookie) as mine:
            await signed_in(mine)

    run(scenario)


def test_the_greeting_names_the_streams(cast: SimpleNamespace):
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws", ORIGIN, cookie) as mine:
            greeting = await signed_in(mine)
            assert greeting["data"]["features"] == ["sensor_data", "system_status", "anomaly_alerts"]
            assert greeting["timestamp"].endswith("Z")

    run(scenario)


@pytest.mark.parametrize("origin", [None, b"null", b"https://evil.example", b"http://localhost.evil.example"])
def test_a_foreign_origin_is_refused(cast: SimpleNamespace, origin: bytes | None):
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        headers = [cookie] + ([(b"origin", origin)] if origin else [])
        communicator = WebsocketCommunicator(application, "/ws", headers=headers)
        connected, _ = await communicator.connect()
        assert not connected

    run(scenario)


def test_a_token_signs_in_as_the_first_message(cast: SimpleNamespace):
    token = str(tokens.issue(cast.vera).access)

    async def scenario() -> None:
        async with socket("/ws/live-data", ORIGIN) as mine:
            await mine.send_json_to({"type": "authenticate", "token": token})
            await signed_in(mine)

    run(scenario)


@pytest.mark.parametrize("token", ["", "x.y.z", None, 7, "dk_abcdefgh_nothing"])
def test_a_bad_token_closes_the_socket(cast: SimpleNamespace, token: object):
    async def scenario() -> None:
        async with socket("/ws", ORIGIN) as mine:
            await mine.send_json_to({"type": "authenticate", "token": token})
            assert await closed_with(mine) == 4401

    run(scenario)


def test_a_token_in_the_address_is_ignored(cast: SimpleNamespace):
    token = str(tokens.issue(cast.vera).access)

    async def scenario() -> None:
        async with socket(f"/ws?token={token}", ORIGIN) as mine:
            assert await mine.receive_nothing(0.3)

    run(scenario)


def test_who_does_not_sign_in_is_shown_out(cast: SimpleNamespace, monkeypatch):
    monkeypatch.setattr(live.OrganizationConsumer, "SIGN_IN_SECONDS", 0.2)

    async def scenario() -> None:
        async with socket("/ws", ORIGIN) as mine:
            assert await closed_with(mine) == 4401

    run(scenario)


def test_a_person_without_an_organization_hears_nothing(cast: SimpleNamespace):
    cookie = session_of(cast.norma)

    async def scenario() -> None:
        async with socket("/ws", ORIGIN, cookie) as mine:
            assert await closed_with(mine) == 4401

    run(scenario)


def test_a_reading_reaches_its_organization_and_no_other(cast: SimpleNamespace):
    mine_cookie, their_cookie = session_of(cast.vera), session_of(cast.mallory)

    async def scenario() -> None:
        async with (
            socket("/ws/live-data", ORIGIN, mine_cookie) as mine,
            socket("/ws/live-data", ORIGIN, their_cookie) as theirs,
        ):
            await signed_in(mine)
            await signed_in(theirs)
            await sync_to_async(send_reading)(cast.boiler, 21.5)
            frame = await frame_of(mine, "readings")
            ((sensor, _, value, anomaly),) = frame["devices"][str(cast.boiler.uuid)]
            assert (sensor, value, anomaly, frame["seq"]) == (cast.temperature.pk, 21.5, False, 1)
            assert await theirs.receive_nothing(0.3)

    run(scenario)


def test_a_subscription_narrows_the_stream(cast: SimpleNamespace):
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws/live-data", ORIGIN, cookie) as mine:
            await signed_in(mine)
            await mine.send_json_to({"type": "subscribe", "devices": []})
            await frame_of(mine, "subscribed")
            await sync_to_async(send_reading)(cast.boiler, 1)
            assert await mine.receive_nothing(0.4)
            await mine.send_json_to({"type": "subscribe", "devices": [str(cast.boiler.uuid)]})
            await frame_of(mine, "subscribed")
            await sync_to_async(send_reading)(cast.boiler, 2)
            assert (await frame_of(mine, "readings"))["seq"] == 1

    run(scenario)


def test_a_foreign_device_is_as_unknown_as_one_that_does_not_exist(cast: SimpleNamespace):
    cookie = session_of(cast.vera)
    nobody = "11111111-1111-4111-8111-111111111111"

    async def scenario() -> None:
        async with socket("/ws/live-data", ORIGIN, cookie) as mine:
            await signed_in(mine)
            answers = []
            for uuid in (str(cast.theirs.uuid), nobody):
                await mine.send_json_to({"type": "subscribe", "devices": [uuid]})
                answers.append((await frame_of(mine, "error"))["data"]["detail"].replace(uuid, "it"))
            assert answers[0] == answers[1]

    run(scenario)


def test_everything_tells_the_newest_value_of_a_sensor(cast: SimpleNamespace):
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws", ORIGIN, cookie) as mine:
            await signed_in(mine)
            for value in (1, 2, 3):
                await sync_to_async(send_reading)(cast.boiler, value)
            frame = await frame_of(mine, "sensor_data")
            while frame["data"]["value"] != 3:
                frame = await frame_of(mine, "sensor_data")
            assert frame["data"]["topic"] == f"devices/{cast.boiler.uuid}/up/readings"
            assert frame["data"]["payload"].keys() == {"ts", "type", "value", "anomaly"}
            assert frame["data"]["sensor_type"] == "temperature"

    run(scenario)


def test_an_anomaly_is_announced(cast: SimpleNamespace):
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws", ORIGIN, cookie) as mine:
            await signed_in(mine)
            await sync_to_async(send_reading)(cast.boiler, 5000)
            assert (await frame_of(mine, "anomaly_alert"))["data"]["value"] == 5000

    run(scenario)


def test_ping_is_answered_with_its_own_timestamp(cast: SimpleNamespace):
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws", ORIGIN, cookie) as mine:
            await signed_in(mine)
            await mine.send_json_to({"type": "ping", "timestamp": "2026-01-01T12:00:00Z"})
            assert (await frame_of(mine, "pong"))["data"] == {"timestamp": "2026-01-01T12:00:00Z"}

    run(scenario)


@pytest.mark.parametrize("message", ["no json", "[" * 5000, '{"type": NaN}', '{"type": "dance"}', "[]", '{"type": []}'])
def test_the_third_bad_message_closes_the_socket(cast: SimpleNamespace, message: str):
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws", ORIGIN, cookie) as mine:
            await signed_in(mine)
            for _ in range(3):
                await mine.send_to(text_data=message)
            assert (await frame_of(mine, "error"))["data"]["detail"]
            assert await closed_with(mine) == 1008

    run(scenario)


def test_a_flood_of_messages_closes_the_socket(cast: SimpleNamespace):
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws", ORIGIN, cookie) as mine:
            await signed_in(mine)
            for _ in range(live.OrganizationConsumer.MESSAGES_PER_SECOND + 1):
                await mine.send_json_to({"type": "ping"})
            assert await closed_with(mine) == 1008

    run(scenario)


def test_a_removed_member_is_shown_out(cast: SimpleNamespace, monkeypatch):
    monkeypatch.setattr(live.OrganizationConsumer, "RECHECK_SECONDS", 0.2)
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws", ORIGIN, cookie) as mine:
            await signed_in(mine)
            await Membership.objects.filter(user=cast.vera).adelete()
            assert await closed_with(mine) == 4401

    run(scenario)


def test_one_person_may_not_hold_endless_sockets(cast: SimpleNamespace, monkeypatch):
    monkeypatch.setattr(live.OrganizationConsumer, "SOCKETS_PER_USER", 1)
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws", ORIGIN, cookie) as first, socket("/ws", ORIGIN, cookie) as second:
            await signed_in(first)
            assert await closed_with(second) == 4429

    run(scenario)


def test_a_lost_frame_shows_as_a_gap_in_seq(cast: SimpleNamespace):
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws/live-data", ORIGIN, cookie) as mine:
            await signed_in(mine)
            item = [str(cast.boiler.uuid), cast.temperature.pk, "temperature", "temperature", "", "", 1.0, False]
            frame = {"organization": cast.acme.pk, "source": "a", "events": {"readings": [item]}}
            seen = []
            for seq in (1, 2, 4):
                live.hub._hand_out({**frame, "seq": seq})
                seen.append((await frame_of(mine, "readings"))["seq"])
            assert seen == [1, 2, 4]

    run(scenario)


def test_a_check_that_fails_shows_nobody_out_and_is_made_again(cast: SimpleNamespace, monkeypatch):
    monkeypatch.setattr(live.OrganizationConsumer, "RECHECK_SECONDS", 0.1)
    still_may = live.OrganizationConsumer.still_may
    failures = [OperationalError("away"), OperationalError("away")]

    def troubled(self: live.OrganizationConsumer, version: int) -> bool:
        if failures:
            raise failures.pop()
        return still_may(self, version)

    monkeypatch.setattr(live.OrganizationConsumer, "still_may", troubled)
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws", ORIGIN, cookie) as mine:
            await signed_in(mine)
            await asyncio.sleep(0.5)
            assert failures == []
            await User.objects.filter(pk=cast.vera.pk).aupdate(is_active=False)
            assert await closed_with(mine) == 4401

    run(scenario)


@pytest.mark.parametrize("devices", [[[]], [{}], [None], [7], "all", None])
def test_a_strange_subscription_is_answered_and_leaves_nothing_behind(cast: SimpleNamespace, devices: object):
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        async with socket("/ws/live-data", ORIGIN, cookie) as mine:
            await signed_in(mine)
            await mine.send_json_to({"type": "subscribe", "devices": devices})
            await frame_of(mine, "error")
        assert live.hub.active_of(cast.acme.pk) == 0

    run(scenario)


def test_an_error_of_ours_leaves_no_socket_behind(cast: SimpleNamespace, monkeypatch):
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(live.OrganizationConsumer, "pong", broken)
    cookie = session_of(cast.vera)

    async def scenario() -> None:
        communicator = WebsocketCommunicator(application, "/ws", headers=[ORIGIN, cookie])
        await communicator.connect()
        await signed_in(communicator)
        await asyncio.sleep(0.1)
        assert live.hub.active_of(cast.acme.pk) == 1
        await communicator.send_json_to({"type": "ping"})
        with pytest.raises(ZeroDivisionError):
            await communicator.receive_output(3)
        assert live.hub.active_of(cast.acme.pk) == 0

    run(scenario)
