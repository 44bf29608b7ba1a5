"""The Listener's parts that need no broker: the bounded inbox, and what it does with a message that breaks a step."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
from django.db import InternalError, OperationalError, ProgrammingError

from iot_platform import mqtt
from iot_platform.mqtt import Arrival, Inbox, Listener
from readings import ingest as corridor
from readings.ingest import now
from readings.models import Reading, Reason, Rejection


def arrival(payload: bytes = b"x", topic: str = "t") -> Arrival:
    return Arrival(generation=1, mid=1, qos=1, topic=topic, payload=payload, received_at=now())


def test_a_full_inbox_holds_the_reader_back_until_the_writer_has_taken():
    inbox = Inbox(messages=2, size=1000)
    for _ in range(2):
        inbox.put(arrival())
    reader = threading.Thread(target=inbox.put, args=[arrival()], daemon=True)
    reader.start()
    time.sleep(0.1)
    assert reader.is_alive() and len(inbox) == 2
    assert len(inbox.take()) == 2
    reader.join(2)
    assert not reader.is_alive() and len(inbox) == 1


def test_an_inbox_is_bounded_in_bytes_as_well():
    inbox = Inbox(messages=100, size=10)
    inbox.put(arrival(b"x" * 10))
    reader = threading.Thread(target=inbox.put, args=[arrival()], daemon=True)
    reader.start()
    time.sleep(0.1)
    assert reader.is_alive()
    inbox.take()
    reader.join(2)
    assert not reader.is_alive()


def test_what_comes_while_closing_is_left_to_the_broker():
    inbox = Inbox(messages=2, size=1000)
    inbox.put(arrival())
    inbox.close()
    inbox.put(arrival())
    assert len(inbox.take()) == 1


def test_a_batch_is_bounded(monkeypatch):
    monkeypatch.setattr(mqtt, "BATCH_MESSAGES", 3)
    inbox = Inbox(messages=100, size=1000)
    for _ in range(5):
        inbox.put(arrival())
    assert [len(inbox.take()), len(inbox.take())] == [3, 2]


def test_an_ack_never_crosses_connections(settings):
    settings.MQTT_URL = "mqtt://listener:x@127.0.0.1:1"
    listener = Listener()
    acked: list[int] = []
    listener._client = SimpleNamespace(ack=lambda mid, qos: acked.append(mid))
    listener._generation = 2
    old, new = arrival()._replace(mid=7), arrival()._replace(mid=8, generation=2)
    listener._acknowledge([old, new])
    assert acked == [8]


@pytest.mark.django_db
def test_trouble_of_the_database_keeps_the_batch_until_it_is_over(cast: SimpleNamespace, settings, monkeypatch):
    """A failover or a migration raises errors that say nothing about the messages."""
    settings.MQTT_URL = "mqtt://listener:x@127.0.0.1:1"
    monkeypatch.setattr(mqtt, "RETRY_FROM_SECONDS", 0.01)
    monkeypatch.setattr(mqtt, "connection", SimpleNamespace(close=lambda: None))
    troubles = [
        ProgrammingError("no such table"),
        InternalError("read-only"),
        OperationalError("away"),
        OSError("disk"),
    ]
    take = mqtt.ingest
    monkeypatch.setattr(mqtt, "reject", lambda *_: (_ for _ in ()).throw(ProgrammingError("no such table")))

    def troubled(*arguments: object) -> object:
        if troubles:
            raise troubles.pop()
        return take(*arguments)

    monkeypatch.setattr(mqtt, "ingest", troubled)
    topic = f"devices/{cast.boiler.uuid}/up/readings"
    (outcome,) = Listener()._store([arrival(b'{"sensor":"temperature","value":1}', topic)])
    assert outcome.accepted == 1
    assert Reading.objects.count() == 1
    assert not Rejection.objects.exists()


@pytest.mark.django_db
def test_a_message_that_breaks_a_step_does_not_hold_back_the_others(cast: SimpleNamespace, settings, monkeypatch):
    """A step of ours is made to fail, as it would through a mistake of ours."""
    settings.MQTT_URL = "mqtt://listener:x@127.0.0.1:1"
    screen = corridor.screen

    def stumbling(batch: corridor.Batch) -> None:
        if any(candidate.row.value == 666 for candidate in batch.candidates):
            raise ZeroDivisionError("a mistake of ours")
        screen(batch)

    monkeypatch.setattr(corridor, "screen", stumbling)
    topic = f"devices/{cast.boiler.uuid}/up/readings"
    arrivals = [arrival(b'{"sensor":"temperature","value":%d}' % value, topic) for value in (1, 666, 3, 4)]
    outcomes = Listener()._store(arrivals)
    assert [outcome.accepted for outcome in outcomes] == [1, 0, 1, 1]
    assert sorted(Reading.objects.values_list("value", flat=True)) == [1, 3, 4]
    rejection = Rejection.objects.get()
    assert (rejection.reason, rejection.device) == (Reason.NOT_STORABLE, cast.boiler)
    assert "a mistake of ours" in rejection.detail
