"""The MQTT broker inside the one process: amqtt behind a gate of our own.

amqtt touches sessions before it asks who is there, keeps unbounded queues and takes packets of any size. So the gate
reads the CONNECT first: it checks the key against the database, makes the user name the client id (nobody takes
another's session), refuses MQTT 5 in words that a client understands, and holds senders back while the backlog is full.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from typing import Any

import structlog
from amqtt.adapters import BufferReader, StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.errors import AMQTTError, NoDataError
from amqtt.mqtt.connect import ConnectPacket
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from paho.mqtt.client import topic_matches_sub

from devices import keys
from devices.models import DeviceKey

log = structlog.get_logger(__name__)

LISTENER = "listener"
CONNECT, CONNACK_V5_UNSUPPORTED = 0x10, b"\x20\x03\x00\x84\x00"
REFUSED_VERSION, REFUSED_CREDENTIALS, REFUSED_RIGHTS = (bytes([0x20, 2, 0, code]) for code in (1, 4, 5))
CONNECT_SECONDS = 10
RECHECK_SECONDS = 3
BACKLOG_MESSAGES = 5_000
CONNECTIONS = 500
SOURCE_TOPICS: dict[str, str] = {}  # the topic filter of each source that is connected


class ConnectRefused(Exception):
    """Nobody gets in with this; `answer` is the CONNACK that says why."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer


class PacketTooLarge(Exception):
    """More than one packet may hold."""


class KnownAtTheGate(BaseAuthPlugin):
    """Who comes this far has been let in by the gate."""

    async def authenticate(self, *, session: Session) -> bool:
        return bool(session.username)


class OwnTopics(BaseTopicPlugin):
    """A device writes under its own `up`, reads under its own `down`; a source writes what falls under its filter."""

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        username, topic = (session.username if session else None) or "", topic or ""
        allowed = bool(username and topic) and may(username, topic, writes=action == Action.PUBLISH)
        if not allowed and action == Action.PUBLISH:  # MQTT 3.1.1 has no way to tell the sender
            log.warning("mqtt publish refused", username=username, topic=topic[:200])
        return allowed


def may(username: str, topic: str, *, writes: bool) -> bool:
    if username == LISTENER:
        return True
    if username in SOURCE_TOPICS:
        return writes and topic_matches_sub(SOURCE_TOPICS[username], topic)
    return topic_matches_sub(f"devices/{username}/{'up' if writes else 'down'}/#", topic)


class BoundedReader(StreamReaderAdapter):
    """Gives amqtt the CONNECT that was read at the gate, then one whole packet of a sane size after the other."""

    def __init__(self, reader: asyncio.StreamReader, connect: bytes, broker: EmbeddedBroker, username: str) -> None:
        super().__init__(reader)
        self._packet, self._broker, self._waits = BufferReader(connect), broker, username != LISTENER

    async def read(self, n: int = -1) -> bytes:
        content = await self._packet.read(n)
        if content or n == 0:
            return content
        while self._waits and self._broker.backlog() > BACKLOG_MESSAGES:
            await asyncio.sleep(0.01)
        try:
            self._packet = BufferReader(await read_packet(self._reader))
        except PacketTooLarge as error:
            raise NoDataError(str(error)) from None  # ends this connection, as the end of the stream does
        return await self._packet.read(n)


async def read_packet(reader: asyncio.StreamReader) -> bytes:
    """One MQTT packet, whole. Raises PacketTooLarge before the body is read, IncompleteReadError at the end."""
    head = await reader.readexactly(2)
    length, shift = head[1] & 0x7F, 7
    while head[-1] & 0x80:
        head += await reader.readexactly(1)
        length |= (head[-1] & 0x7F) << shift
        shift += 7
        if shift > 28:
            raise PacketTooLarge("length of the packet is no MQTT")
    if len(head) + length > settings.MQTT_MAX_PACKET_BYTES:
        raise PacketTooLarge(f"packet of {len(head) + length} bytes")
    return head + await reader.readexactly(length)


class QuietBroker(Broker):
    """amqtt's broker, keeping nothing but sessions: no retained messages, so that nothing old looks new."""

    async def retain_message(self, *_: Any, **__: Any) -> None:
        return

    async def _publish_session_retained_messages(self, session: Session) -> None:
        """What waited for a session; amqtt would send it with the retain flag, as if it were a replay."""
        handler = self._get_handler(session)
        while handler and not session.retained_messages.empty():
            waiting = await session.retained_messages.get()
            self._tasks_queue.append(
                asyncio.ensure_future(handler.mqtt_publish(waiting.topic, waiting.data, waiting.qos, retain=False))
            )


class EmbeddedBroker:
    """Broker and gate, on an event loop in a thread of their own."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.listener_secret = secrets.token_urlsafe(32)  # of this run; nobody but our own Listener knows it
        self._connected: dict[int, asyncio.StreamWriter] = {}  # by id of the device key
        self._open = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="embedded-broker", daemon=True)

    def start(self) -> None:
        """Raises OSError when the port is taken."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(15)

    def stop(self) -> None:
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(8)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2)

    def backlog(self) -> int:
        """Messages that were taken from senders and that the Listener has not acknowledged."""
        return len(self._broker._tasks_queue) + self._broker._broadcast_queue.qsize() + self._waiting()

    def _waiting(self) -> int:
        session, _ = self._broker.sessions.get(LISTENER, (None, None))
        return session.retained_messages.qsize() if session else 0

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._admit, self.host, self.port)
        plugins: dict[str, dict[str, Any]] = {
            f"{plugin.__module__}.{plugin.__qualname__}": {} for plugin in (KnownAtTheGate, OwnTopics)
        }
        self._broker = QuietBroker(
            {
                "listeners": {"default": {"type": "external"}},
                "plugins": plugins,
                "session_expiry_interval": 24 * 3600,
            }
        )
        await self._broker.start()
        self._recheck = asyncio.ensure_future(self._expel_revoked())

    async def _stop(self) -> None:
        self._recheck.cancel()
        self._server.close()
        await self._broker.shutdown()

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= CONNECTIONS:
            writer.close()
            return
        self._open += 1
        key_id = 0
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                raw = await read_packet(reader)
                connect = await self._understand(raw)
                key_id = await self._authenticate(connect)
            username = connect.payload.username
            if connect.will_flag and not may(username, connect.will_topic or "", writes=True):
                raise ConnectRefused(REFUSED_RIGHTS)
            connect.payload.client_id = username
            self._connected[key_id] = writer
            bounded = BoundedReader(reader, connect.to_bytes(), self, username)
            await self._broker.external_connected(bounded, StreamWriterAdapter(writer), "default")
        except ConnectRefused as refused:
            writer.write(refused.answer)
        except (TimeoutError, PacketTooLarge, AMQTTError, EOFError, ConnectionError) as error:
            log.debug("mqtt connection ended", error=repr(error))
        finally:
            self._open -= 1
            if self._connected.get(key_id) is writer:
                del self._connected[key_id]
            writer.close()

    async def _understand(self, raw: bytes) -> ConnectPacket:
        if raw[0] != CONNECT:
            raise ConnectRefused
        start = raw.find(b"MQTT")
        level = raw[start + 4] if 0 < start < 8 and len(raw) > start + 4 else 0
        if level != 4:
            raise ConnectRefused(CONNACK_V5_UNSUPPORTED if level == 5 else REFUSED_VERSION)
        return await ConnectPacket.from_stream(BufferReader(raw))

    async def _authenticate(self, connect: ConnectPacket) -> int:
        """The id of the device key that was given, 0 for the Listener. Raises ConnectRefused."""
        username, password = connect.payload.username or "", connect.payload.password or ""
        if username == LISTENER:
            if secrets.compare_digest(password.encode(), self.listener_secret.encode()):
                return 0
            raise ConnectRefused(REFUSED_CREDENTIALS)
        key = await sync_to_async(_find)(username, password)
        if key is None:
            raise ConnectRefused(REFUSED_CREDENTIALS)
        if key.source:
            SOURCE_TOPICS[username] = key.source.topic_filter
        return key.pk

    async def _expel_revoked(self) -> None:
        """A key that was revoked, or whose device is gone, loses its open connection within seconds."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            try:
                usable = await sync_to_async(_usable)([key_id for key_id in self._connected if key_id])
            except DatabaseError as error:
                log.warning("keys could not be checked again", error=str(error)[:200])
                continue
            for key_id in [key_id for key_id in self._connected if key_id and key_id not in usable]:
                self._connected.pop(key_id).close()


def _find(username: str, secret: str) -> DeviceKey | None:
    close_old_connections()
    return keys.find_password(username, secret)


def _usable(ids: list[int]) -> set[int]:
    """Of these keys the ones that still open something; a source's whose filter has changed has to connect anew."""
    close_old_connections()
    found = DeviceKey.objects.usable().select_related("source").filter(pk__in=ids)
    return {key.pk for key in found if not key.source or SOURCE_TOPICS.get(key.username) == key.source.topic_filter}
