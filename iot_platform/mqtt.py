"""The MQTT door: topics, and the Listener that brings their messages to the corridor.

Two threads: paho's own reads from the broker into a bounded inbox, the writer takes whatever has queued as soon as
its last commit returned, stores it as one batch and only then acknowledges. A third looks after the connection.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec
import structlog
from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError, connection
from paho.mqtt import client as mqtt

from devices.directory import Directory, topic_filters
from devices.models import BrokerLink
from readings import store
from readings.ingest import Message, Outcome, ingest, now, receipt, reject
from readings.models import Protocol

log = structlog.get_logger(__name__)

DEVICE_TOPICS = "devices/+/up/#"
PROBE_TOPIC = "platform/probe/listener"
UP_FORMATS = {"readings": "native"}  # the last level of devices/{uuid}/up/… and the format it holds

LISTENER_LOCK = 7_301  # one number for the first Listener; a second process waits for it
BATCH_MESSAGES = 5_000
BATCH_BYTES = 4 * 1024 * 1024
REMEMBER_SECONDS = 1.0  # how long the Listener trusts what it knows of a device
PROBE_SECONDS = 5.0
DRAIN_SECONDS = 8.0
RETRY_FROM_SECONDS, RETRY_TO_SECONDS = 0.3, 30.0


class Arrival(NamedTuple):
    """A message as it came from the broker, with what is needed to acknowledge it."""

    generation: int  # of the connection: packet ids start anew with each
    mid: int
    qos: int
    topic: str
    payload: bytes
    received_at: datetime


class Inbox:
    """What has arrived and is not stored yet. Full means that reading stops, so that the broker holds back."""

    def __init__(self, messages: int, size: int) -> None:
        self._limits = messages, size
        self._arrivals: deque[Arrival] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self.closed = False

    def __len__(self) -> int:
        return len(self._arrivals)

    def put(self, arrival: Arrival) -> None:
        messages, size = self._limits
        with self._changed:
            while not self.closed and (len(self._arrivals) >= messages or self._bytes >= size):
                self._changed.wait(1)
            if not self.closed:  # what comes while closing stays unacknowledged, and comes again
                self._arrivals.append(arrival)
                self._bytes += len(arrival.payload)
                self._changed.notify_all()

    def take(self) -> list[Arrival]:
        """All that is waiting, up to one batch; waits a second for something to come."""
        taken: list[Arrival] = []
        size = 0
        with self._changed:
            if not self._arrivals and not self.closed:
                self._changed.wait(1)
            while self._arrivals and len(taken) < BATCH_MESSAGES and size < BATCH_BYTES:
                arrival = self._arrivals.popleft()
                size += len(arrival.payload)
                taken.append(arrival)
            self._bytes -= size
            self._changed.notify_all()
        return taken

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()


class Listener:
    """Takes readings from MQTT. Started once, in the parent process of a worker."""

    def __init__(self, name: str = "listener") -> None:
        self.name = name
        self.inbox = Inbox(settings.LISTENER_QUEUE_MESSAGES, settings.LISTENER_QUEUE_BYTES)
        self.directory = Directory(max_age_seconds=REMEMBER_SECONDS)
        self.received = 0
        self._generation = 0
        self._acking = threading.Lock()
        self._stopping = threading.Event()
        self._echoed_at: datetime | None = None
        self._connected_at: datetime | None = None
        self._sources: set[str] = set()
        self._looping = False
        self._client = self._make_client()
        self._threads = [
            threading.Thread(target=target, name=f"{name}-{target.__name__}", daemon=True)
            for target in (self.write, self.look_after)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Store and acknowledge what has arrived, then leave; what comes meanwhile waits at the broker."""
        self.inbox.close()
        self._stopping.set()
        for thread in self._threads:
            thread.join(DRAIN_SECONDS)
        self._disconnect()

    # -- reading: paho's thread -------------------------------------------------------------------------------
    def _make_client(self) -> mqtt.Client:
        # A session that outlives the connection: what is not acknowledged comes again.
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=self.name,
            clean_session=False,
            protocol=mqtt.MQTTv311,
            manual_ack=True,
        )
        address = urlsplit(settings.MQTT_URL)
        client.username_pw_set(unquote(address.username or ""), unquote(address.password or ""))
        if address.scheme == "mqtts":
            client.tls_set()
        client.reconnect_delay_set(1, 30)
        client.on_connect = self._guarded(self._on_connect)
        client.on_disconnect = self._guarded(self._on_disconnect)
        client.on_message = self._guarded(self._on_message)
        return client

    @staticmethod
    def _guarded(callback: Callable[..., None]) -> Callable[..., None]:
        """An exception would end the thread that calls, while paho still says that it is connected."""

        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception:
                log.exception("listener callback failed", callback=callback.__name__)

        return guarded

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._next_generation()
        if reason.is_failure:
            log.error("broker refused the listener", reason=str(reason))
            return
        self._connected_at = now()
        client.subscribe([(topic, 1) for topic in (DEVICE_TOPICS, PROBE_TOPIC)])
        self._sources = set()

    def _on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._next_generation()
        self._connected_at = None
        if not self._stopping.is_set():
            log.warning("listener lost the broker", reason=str(reason))

    def _next_generation(self) -> None:
        with self._acking:
            self._generation += 1

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic == PROBE_TOPIC:
            self._echoed_at = now()
            client.ack(message.mid, message.qos)
        elif message.retain:  # a replay of something old, no new reading
            client.ack(message.mid, message.qos)
        else:
            self.received += 1
            arrival = Arrival(self._generation, message.mid, message.qos, message.topic, bytes(message.payload), now())
            self.inbox.put(arrival)

    # -- writing: the writer's thread -------------------------------------------------------------------------
    def write(self) -> None:
        while not (self._stopping.is_set() and not self.inbox):
            arrivals = self.inbox.take()
            if arrivals:
                outcomes = self._store(arrivals)
                if outcomes is None:
                    return
                self._acknowledge(arrivals)
                self._guarded(self._answer)(arrivals, outcomes)
        connection.close()

    def _store(self, arrivals: list[Arrival]) -> list[Outcome] | None:
        """Until it is committed; None when the process stops before that."""
        delay = RETRY_FROM_SECONDS
        while True:
            try:
                return self._take([self._message(arrival) for arrival in arrivals])
            except (OperationalError, InterfaceError) as error:
                log.warning("database is away, batch is kept", messages=len(arrivals), error=str(error)[:200])
            except Exception:  # whatever it is, this thread must live, and the batch is neither lost nor acknowledged
                log.exception("batch is kept", messages=len(arrivals))
            connection.close()
            if self._stopping.wait(delay * random.uniform(0.8, 1.2)):  # noqa: S311  jitter needs no secrecy
                return None
            delay = min(delay * 2, RETRY_TO_SECONDS)

    def _take(self, messages: list[Message]) -> list[Outcome]:
        """Through the corridor; a message that breaks it is found by halves and kept as a Rejection."""
        try:
            return ingest(messages, self.directory)
        except (DataError, IntegrityError) as error:
            broken: Exception = error
        except (DatabaseError, InterfaceError):
            raise  # says nothing about a message: the database is away, read-only or being migrated
        except Exception as error:
            broken = error
        log.error("a message broke the corridor", messages=len(messages), exc_info=broken)
        if len(messages) == 1:
            return [reject(messages[0], f"{type(broken).__name__}: {broken}")]
        half = len(messages) // 2
        return self._take(messages[:half]) + self._take(messages[half:])

    def _message(self, arrival: Arrival) -> Message:
        levels = arrival.topic.split("/")
        device, wire_format = "", ""
        if levels[0] == "devices" and len(levels) == 4 and levels[2] == "up":
            device, wire_format = levels[1], UP_FORMATS.get(levels[3], "")
        elif levels[0] == "devices":
            device = levels[1]  # refused, as this device's
        elif source := self.directory.source(arrival.topic):
            device, wire_format = str(source.device.uuid), source.scheme
        return Message(
            device=device,
            payload=arrival.payload,
            received_at=arrival.received_at,
            protocol=Protocol.MQTT,
            topic=arrival.topic,
            format=wire_format,
        )

    def _acknowledge(self, arrivals: list[Arrival]) -> None:
        """First in, first out, and only on the connection that brought them: an older one had other ids."""
        with self._acking:
            for arrival in arrivals:
                if arrival.generation == self._generation and arrival.qos:
                    self._client.ack(arrival.mid, arrival.qos)

    def _answer(self, arrivals: list[Arrival], outcomes: list[Outcome]) -> None:
        """A device that numbers its messages is told which of them are committed."""
        for arrival, outcome in zip(arrivals, outcomes, strict=True):
            levels = arrival.topic.split("/")
            if outcome.seq is not None and levels[0] == "devices":
                answer = msgspec.json.encode({"seq": outcome.seq, **receipt(outcome)})
                self._client.publish(f"devices/{levels[1]}/down/ack", answer, qos=0)

    # -- looking after the connection: a thread of its own ----------------------------------------------------
    def look_after(self) -> None:
        """Hold the lock, keep the connection, probe it, and write down what is known of it."""
        while not self._stopping.is_set():
            try:
                self._tend()
            except (OperationalError, InterfaceError) as error:  # the lock went with the connection
                log.warning("listener cannot reach the database", error=str(error)[:200])
                connection.close()
            except OSError as error:
                log.warning("listener cannot reach the broker", error=str(error))
            except Exception:
                log.exception("listener could not look after itself")
                connection.close()
            self._stopping.wait(PROBE_SECONDS if self._connected_at else 1.0)
        connection.close()

    def _tend(self) -> None:
        if not store.try_lock(LISTENER_LOCK):
            log.info("another listener is at work, waiting")
            self._disconnect()
            return
        if not self._looping:
            self._connect()
        if self._connected_at is not None:
            self._subscribe_to_sources()
            self._client.publish(PROBE_TOPIC, str(time.time()), qos=0)
        BrokerLink.objects.update_or_create(
            name=self.name,
            defaults={
                "connected_at": self._connected_at,
                "echoed_at": self._echoed_at,
                "received": self.received,
                "waiting": len(self.inbox),
            },
        )

    def _connect(self) -> None:
        """The first connection; paho keeps it up from then on."""
        address = urlsplit(settings.MQTT_URL)
        self._client.connect(address.hostname or "127.0.0.1", address.port or 1883, keepalive=20)
        self._client.loop_start()
        self._looping = True

    def _disconnect(self) -> None:
        """Whoever holds the lock has this session now; two that fight for it would take turns for ever."""
        if self._looping:
            self._client.disconnect()
            self._client.loop_stop()
            self._looping = False

    def _subscribe_to_sources(self) -> None:
        """Each time anew, because the broker may have refused one that it allows by now."""
        wanted = set(topic_filters())
        for topic in wanted:
            self._client.subscribe(topic, 1)
        for topic in self._sources - wanted:
            self._client.unsubscribe(topic)
        self._sources = wanted


def is_connected(at: datetime | None = None) -> bool:
    """Whether the Listener, wherever it runs, heard its own probe within the last half minute."""
    at = at or datetime.now(UTC)
    link = BrokerLink.objects.filter(echoed_at__isnull=False).order_by("-echoed_at").first()
    return link is not None and link.echoed_at is not None and (at - link.echoed_at).total_seconds() < 30
