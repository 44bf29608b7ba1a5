"""Live frames: one publisher a process sends them, one hub a process hands them to its sockets.

A frame holds what happened in one organization within a tick, as lists of items by kind:
`{"organization": 1, "source": "f3…", "seq": 7, "events": {"readings": [...], "alert": [...]}}`.
It goes once through the channel layer to each server process; the hub there gives it to the sockets of that
organization. Best effort: a frame may be lost, the sequence number shows it, and the page reads again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

import structlog
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from django.db import DatabaseError
from rest_framework.exceptions import APIException

from accounts.authentication import user_of_token
from accounts.models import User
from accounts.permissions import ORGANIZATION_SESSION_KEY, Actor, actor_for

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.1  # at most ten frames a second for an organization
PENDING_ITEMS = 20_000  # beyond that the oldest are dropped: publishing never holds back storing
SEND_TIMEOUT_SECONDS = 2.0

Event = tuple[int, str, Any]  # organization id, kind, item (anything JSON can say)


class Publisher:
    """Hands items over to a thread of its own, so that whoever stores readings never waits for a socket or Redis."""

    def __init__(self) -> None:
        self._pending: deque[Event] = deque(maxlen=PENDING_ITEMS)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._source = secrets.token_hex(4)
        self._seq: dict[int, int] = defaultdict(int)

    def offer(self, events: Iterable[Event]) -> None:
        self._pending.extend(events)
        if self._pending:
            self._start()
            self._wake.set()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="live-publisher", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        own_loop = asyncio.new_event_loop()
        while True:
            self._wake.wait()
            self._wake.clear()
            for frame in self._frames():
                try:
                    self._send(frame, own_loop)
                except Exception as error:  # the layer is away: readings are stored, pages read them again
                    log.warning("live frame lost", organization=frame["organization"], error=repr(error))
            time.sleep(TICK_SECONDS)

    def _frames(self) -> list[dict[str, Any]]:
        """Everything that is pending, as one frame an organization."""
        grouped: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for _ in range(len(self._pending)):
            organization_id, kind, item = self._pending.popleft()
            grouped[organization_id][kind].append(item)
        frames = []
        for organization_id, events in grouped.items():
            self._seq[organization_id] += 1
            frames.append(
                {
                    "organization": organization_id,
                    "source": self._source,
                    "seq": self._seq[organization_id],
                    "events": {kind: list(items) for kind, items in events.items()},
                }
            )
        return frames

    def _send(self, frame: dict[str, Any], own_loop: asyncio.AbstractEventLoop) -> None:
        """In a process with sockets the server's loop sends: the in-memory layer belongs to that one thread."""
        sending = get_channel_layer().group_send(
            f"organization_{frame['organization']}", {"type": "frame", "body": json.dumps(frame, separators=(",", ":"))}
        )
        bounded = asyncio.wait_for(sending, SEND_TIMEOUT_SECONDS)
        if hub.loop is not None:
            asyncio.run_coroutine_threadsafe(bounded, hub.loop).result(2 * SEND_TIMEOUT_SECONDS)
        else:
            own_loop.run_until_complete(bounded)


publisher = Publisher()


def publish(organization_id: int, kind: str, item: Any) -> None:
    """Tell whoever looks at this organization; returns at once."""
    publisher.offer([(organization_id, kind, item)])


class Hub:
    """The one member of the channel layer in a server process; knows which sockets want which organization."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.sockets: dict[int, set[OrganizationConsumer]] = defaultdict(set)
        self._channel = ""
        self._task: asyncio.Task[None] | None = None
        self._last_seq: dict[tuple[str, int], int] = {}

    def active_of(self, organization_id: int) -> int:
        """Sockets of this organization that are signed in at this process."""
        return len(self.sockets.get(organization_id, ()))

    async def join(self, organization_id: int, socket: OrganizationConsumer) -> None:
        layer = get_channel_layer()
        if self._task is None or self._task.done() or self.loop is not asyncio.get_running_loop():
            self.loop = asyncio.get_running_loop()
            self._channel = await layer.new_channel("hub")
            self._task = self.loop.create_task(self._listen())
            for known in self.sockets:
                await layer.group_add(f"organization_{known}", self._channel)
        if not self.sockets[organization_id]:
            await layer.group_add(f"organization_{organization_id}", self._channel)
        self.sockets[organization_id].add(socket)

    async def leave(self, organization_id: int, socket: OrganizationConsumer) -> None:
        self.sockets[organization_id].discard(socket)
        if not self.sockets[organization_id]:
            del self.sockets[organization_id]
            with contextlib.suppress(Exception):  # the layer forgets the group by itself when it is away
                await get_channel_layer().group_discard(f"organization_{organization_id}", self._channel)

    async def _listen(self) -> None:
        layer = get_channel_layer()
        while True:
            try:
                message = await layer.receive(self._channel)
                self._hand_out(json.loads(message["body"]))
            except asyncio.CancelledError:
                raise
            except Exception as error:  # one bad frame or a lost connection must not silence every socket
                log.warning("hub lost a frame", error=repr(error))
                await asyncio.sleep(1)

    def _hand_out(self, frame: dict[str, Any]) -> None:
        organization_id, origin = frame["organization"], (frame["source"], frame["organization"])
        missed = origin in self._last_seq and frame["seq"] != self._last_seq[origin] + 1
        self._last_seq[origin] = frame["seq"]
        for socket in tuple(self.sockets.get(organization_id, ())):
            socket.offer(frame["events"], missed=missed)


hub = Hub()


def text_of(time: datetime, precision: str = "auto") -> str:
    """A time as it goes out everywhere: ISO 8601 in UTC, with `Z`. `precision` is isoformat's `timespec`."""
    return time.astimezone(UTC).isoformat(timespec=precision).removesuffix("+00:00") + "Z"


def now_text() -> str:
    return text_of(datetime.now(UTC), "milliseconds")


class OrganizationConsumer(AsyncWebsocketConsumer):
    """A socket of one organization's member: signs in, subscribes, listens.

    A browser is signed in by its session cookie; everybody else sends
    `{"type": "authenticate", "token": "…"}` within ten seconds. Subclasses say which kinds they pass on
    (`kinds`) and how a frame looks (`render`).
    """

    SIGN_IN_SECONDS = 10
    RECHECK_SECONDS = 60
    LIFETIME_SECONDS = 12 * 3600
    OUTBOX_FRAMES = 100
    MESSAGES_PER_SECOND = 50
    SOCKETS_PER_USER = 20
    STRIKES = 3

    UNAUTHENTICATED, TOO_MANY, TOO_SLOW, POLICY = 4401, 4429, 4408, 1008

    kinds: ClassVar[frozenset[str]] = frozenset()
    features: ClassVar[tuple[str, ...]] = ()
    greeting = "Connected to the live stream"

    actor: Actor | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Whatever ends the connection, an error of ours as well: nothing of it stays behind."""
        self.tasks: list[asyncio.Task[None]] = []
        try:
            await super().__call__(scope, receive, send)
        finally:
            for task in self.tasks:
                task.cancel()
            if self.actor is not None:
                await hub.leave(self.organization_id, self)

    async def connect(self) -> None:
        self.seq = 0
        self.strikes = 0
        self.window = (0.0, 0)
        self.outbox: asyncio.Queue[str] = asyncio.Queue(self.OUTBOX_FRAMES)
        await self.accept()
        user = self.scope.get("user")
        if user is not None and user.is_authenticated:
            session = self.scope.get("session") or {}
            await self.sign_in(user, session.get(ORGANIZATION_SESSION_KEY))
        else:
            self.start(self.close_unless_signed_in())

    def start(self, work: Any) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def close_unless_signed_in(self) -> None:
        await asyncio.sleep(self.SIGN_IN_SECONDS)
        if self.actor is None:
            await self.close(self.UNAUTHENTICATED)

    async def sign_in(self, user: User, organization_id: int | None) -> None:
        try:
            actor = await database_sync_to_async(actor_for)(user, organization_id)
        except APIException:
            actor = None
        if actor is None or actor.organization_id is None or not user.is_active:
            await self.close(self.UNAUTHENTICATED)
            return
        same_user = sum(s.actor == actor for s in hub.sockets.get(actor.organization_id, ()))
        if same_user >= self.SOCKETS_PER_USER:
            await self.close(self.TOO_MANY)
            return
        self.actor, self.user, self.organization_id = actor, user, actor.organization_id
        await self.welcome()
        self.start(self.drain())
        self.start(self.recheck())
        await hub.join(self.organization_id, self)

    async def welcome(self) -> None:
        data = {"message": self.greeting, "features": list(self.features)}
        await self.send_json({"type": "connection_established", "data": data, "timestamp": now_text()})

    async def recheck(self) -> None:
        """A removed member, a disabled user or an ended session hears nothing after a minute."""
        ends_at = time.monotonic() + self.LIFETIME_SECONDS
        version = self.user.token_version
        while time.monotonic() < ends_at:
            await asyncio.sleep(self.RECHECK_SECONDS)
            try:
                if not await database_sync_to_async(self.still_may)(version):
                    break
            except DatabaseError as error:  # asked again in a minute; a short absence shows nobody out
                log.warning("socket could not be checked again", error=str(error)[:200])
        await self.close(self.UNAUTHENTICATED)

    def still_may(self, version: int) -> bool:
        user = User.objects.filter(pk=self.user.pk, is_active=True, token_version=version).first()
        try:
            return user is not None and actor_for(user, self.organization_id).organization_id is not None
        except APIException:
            return False

    async def drain(self) -> None:
        while True:
            await self.send(text_data=await self.outbox.get())

    def offer(self, events: dict[str, list[Any]], *, missed: bool) -> None:
        """Called by the hub; puts what this socket wants into its bounded outbox and never waits."""
        self.seq += missed
        for kind in self.kinds & events.keys():
            for frame in self.render(kind, events[kind]):
                self.seq += 1
                frame["seq"] = self.seq
                try:
                    self.outbox.put_nowait(json.dumps(frame, separators=(",", ":")))
                except asyncio.QueueFull:
                    self.start(self.close(self.TOO_SLOW))
                    return

    def render(self, kind: str, items: list[Any]) -> list[dict[str, Any]]:
        """The frames that a client gets for these items."""
        return [{"type": kind, "data": item, "timestamp": now_text()} for item in items]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.floods():
            await self.close(self.POLICY)
            return
        try:
            message = json.loads(text_data or "", parse_constant=_refuse_constant)
            answer = self.answers()[message["type"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            await self.strike("Send a JSON object with a known `type`.")
            return
        if self.actor is None and message["type"] != "authenticate":
            await self.strike("Send `authenticate` first.")
            return
        await answer(message)

    def answers(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        """What a client may say, and who answers."""
        return {"authenticate": self.authenticate, "ping": self.pong}

    def floods(self) -> bool:
        started, count = self.window
        now = time.monotonic()
        self.window = (started, count + 1) if now - started < 1 else (now, 1)
        return self.window[1] > self.MESSAGES_PER_SECOND

    async def strike(self, detail: str) -> None:
        """A bad message is answered; the third one closes the socket."""
        self.strikes += 1
        await self.send_json({"type": "error", "data": {"detail": detail}, "timestamp": now_text()})
        if self.strikes >= self.STRIKES:
            await self.close(self.POLICY)

    async def authenticate(self, message: dict[str, Any]) -> None:
        if self.actor is not None:
            await self.strike("You are signed in already.")
            return
        user = await database_sync_to_async(user_of_token)(message.get("token"))
        organization_id = message.get("organization")
        if user is None or not isinstance(organization_id, int | None):
            await self.close(self.UNAUTHENTICATED)
            return
        await self.sign_in(user, organization_id)

    async def pong(self, message: dict[str, Any]) -> None:
        await self.send_json({"type": "pong", "data": {"timestamp": message.get("timestamp")}})

    async def send_json(self, frame: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(frame))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
