"""What the broker lets devices, sources and our own accounts do: asked of a real Mosquitto."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from devices import broker as broker_module
from devices import keys, tasks
from devices.broker import DynamicSecurity, accounts
from devices.control import Control
from devices.models import DeviceKey, Source
from devices.tests.clients import NOT_AUTHORIZED, WAIT_SECONDS, Client, Connect, until
from iot_platform.tests.services import Mosquitto

pytestmark = pytest.mark.services


def a_source(cast: SimpleNamespace, topic_filter: str = "sensors/+/+", **fields: object) -> Source:
    source = Source.objects.create(
        organization=cast.acme,
        name="older boards",
        scheme=Source.Scheme.TYPED_TOPIC,
        topic_filter=topic_filter,
        device=cast.boiler,
        **fields,
    )
    accounts().update_roles()
    return source


def test_what_a_device_publishes_under_its_own_topic_reaches_the_listener(
    cast: SimpleNamespace, connect: Connect, listener: Client
) -> None:
    listener.subscribe("devices/+/up/#")
    _, secret = keys.issue(cast.boiler)
    topic = f"devices/{cast.boiler.uuid}/up/readings"
    assert connect(cast.boiler.uuid, secret).publish(topic, "7") == 0
    until(lambda: listener.received == [(topic, b"7")])


@pytest.mark.parametrize(
    "topic",
    [
        "devices/{theirs}/up/readings",
        "devices/{own}/down/commands",
        "devices/{own}/../{theirs}/up/readings",
        "sensors/temperature/kitchen",
        "platform/probe/listener",
        "$CONTROL/dynamic-security/v1",
        "anything",
    ],
)
def test_a_device_may_not_publish_anywhere_else(cast: SimpleNamespace, connect: Connect, topic: str) -> None:
    _, secret = keys.issue(cast.boiler)
    device = connect(cast.boiler.uuid, secret)
    assert device.publish(f"devices/{cast.boiler.uuid}/up/readings") < 128  # the broker is well and knows it
    assert device.publish(topic.format(own=cast.boiler.uuid, theirs=cast.theirs.uuid)) == NOT_AUTHORIZED


def test_a_device_that_subscribes_to_everything_hears_only_what_is_meant_for_it(
    cast: SimpleNamespace, connect: Connect, listener: Client
) -> None:
    _, secret = keys.issue(cast.boiler)
    _, their_secret = keys.issue(cast.theirs)
    device, theirs = connect(cast.boiler.uuid, secret), connect(cast.theirs.uuid, their_secret)
    device.subscribe("#", "devices/#", "$SYS/#", "$share/all/devices/#")
    theirs.publish(f"devices/{cast.theirs.uuid}/up/readings", "not yours")
    device.publish(f"devices/{cast.boiler.uuid}/up/readings", "not even your own")
    listener.publish(f"devices/{cast.theirs.uuid}/down/commands", "not yours")
    listener.publish("platform/probe/listener", "not yours")
    listener.publish(f"devices/{cast.boiler.uuid}/down/commands", "yours")
    until(lambda: device.received)
    assert set(device.received) == {(f"devices/{cast.boiler.uuid}/down/commands", b"yours")}


def test_nobody_gets_in_without_a_key(cast: SimpleNamespace, connect: Connect) -> None:
    keys.issue(cast.boiler)
    _, their_secret = keys.issue(cast.theirs)
    assert connect(None, "").connected == NOT_AUTHORIZED
    assert connect("", "").connected == NOT_AUTHORIZED
    assert connect(cast.boiler.uuid, "guess").connected == NOT_AUTHORIZED
    assert connect(cast.boiler.uuid, their_secret).connected == NOT_AUTHORIZED
    assert connect("listener", "guess").connected == NOT_AUTHORIZED


def test_a_revoked_key_loses_its_live_session(cast: SimpleNamespace, connect: Connect) -> None:
    key, secret = keys.issue(cast.boiler)
    device = connect(cast.boiler.uuid, secret)
    keys.revoke(key)
    assert device.lost.wait(WAIT_SECONDS)
    assert connect(cast.boiler.uuid, secret).connected == NOT_AUTHORIZED


def test_a_new_key_takes_the_place_of_the_one_before(cast: SimpleNamespace, connect: Connect) -> None:
    older, older_secret = keys.issue(cast.boiler)
    device = connect(cast.boiler.uuid, older_secret)
    _, secret = keys.issue(cast.boiler)
    assert device.lost.wait(WAIT_SECONDS)
    assert connect(cast.boiler.uuid, older_secret).connected == NOT_AUTHORIZED
    newer = connect(cast.boiler.uuid, secret)
    keys.revoke(older)  # which was no password at the broker any more
    assert newer.publish(f"devices/{cast.boiler.uuid}/up/readings") < 128


def test_a_device_that_calls_itself_by_the_listeners_client_id_takes_nothing(
    cast: SimpleNamespace, connect: Connect, listener: Client
) -> None:
    listener.subscribe("devices/+/up/#")
    _, secret = keys.issue(cast.boiler)
    thief = connect(cast.boiler.uuid, secret, client_id="listener")
    thief.subscribe("devices/+/up/#")
    thief.publish(f"devices/{cast.boiler.uuid}/up/readings", "7")
    until(lambda: listener.received)
    assert not listener.lost.is_set()
    assert thief.received == []


def test_a_source_writes_its_topic_filter_and_nothing_else(
    cast: SimpleNamespace, connect: Connect, listener: Client
) -> None:
    source = a_source(cast)
    _, secret = keys.issue(cast.boiler, source=source)
    listener.subscribe("sensors/+/+")
    board = connect(source.uuid, secret)
    assert board.publish("sensors/temperature/kitchen", "7") == 0
    until(lambda: listener.received == [("sensors/temperature/kitchen", b"7")])
    assert board.publish("sensors/temperature") == NOT_AUTHORIZED
    assert board.publish(f"devices/{cast.boiler.uuid}/up/readings") == NOT_AUTHORIZED
    assert connect(cast.boiler.uuid, secret).connected == NOT_AUTHORIZED  # its key is not the device's


def test_a_source_that_is_switched_off_is_silenced_at_once(cast: SimpleNamespace, connect: Connect) -> None:
    source = a_source(cast)
    _, secret = keys.issue(cast.boiler, source=source)
    board = connect(source.uuid, secret)
    source.is_enabled = False
    source.save()
    accounts().update_roles()
    assert board.lost.is_set() or board.publish("sensors/temperature/kitchen") == NOT_AUTHORIZED
    assert connect(source.uuid, secret).publish("sensors/temperature/kitchen") == NOT_AUTHORIZED
    source.is_enabled = True
    source.save()
    accounts().update_roles()
    assert connect(source.uuid, secret).publish("sensors/temperature/kitchen") < 128


def test_the_manager_of_accounts_hears_no_readings(broker: Mosquitto, cast: SimpleNamespace, connect: Connect) -> None:
    _, secret = keys.issue(cast.boiler)
    manager = connect(broker.ADMIN, broker.admin_password)
    manager.subscribe("#")
    connect(cast.boiler.uuid, secret).publish(f"devices/{cast.boiler.uuid}/up/readings")
    assert manager.publish(f"devices/{cast.boiler.uuid}/down/commands") == NOT_AUTHORIZED
    assert manager.received == []


def test_a_second_setup_leaves_every_role_as_it_is(cast: SimpleNamespace, broker: Mosquitto) -> None:
    a_source(cast)
    before = json.loads(broker.account_file.read_text())["roles"]
    DynamicSecurity().setup()
    assert json.loads(broker.account_file.read_text())["roles"] == before


def test_roles_that_are_right_are_left_alone(cast: SimpleNamespace, broker: Mosquitto) -> None:
    a_source(cast)
    written = broker.account_file.stat().st_mtime_ns
    accounts().update_roles()
    assert broker.account_file.stat().st_mtime_ns == written


def test_a_role_that_nobody_knows_any_more_is_deleted(cast: SimpleNamespace, broker: Mosquitto) -> None:
    source = a_source(cast)
    source.delete()
    accounts().update_roles()
    names = {role["rolename"] for role in json.loads(broker.account_file.read_text())["roles"]}
    assert names == {"admin", "listener"}


def test_reconcile_deletes_strangers_and_names_the_missing(
    cast: SimpleNamespace, broker: Mosquitto, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = keys.issue(cast.boiler)
    _, stranger_secret = keys.issue(cast.theirs)
    stranger = connect(cast.theirs.uuid, stranger_secret)
    monkeypatch.setattr(broker_module, "FRESH", broker_module.FRESH * 0)
    report = accounts().reconcile([str(cast.boiler.uuid), "gone"])
    assert report.removed == [str(cast.theirs.uuid)]
    assert report.missing == ["gone"]
    assert stranger.lost.wait(WAIT_SECONDS)
    assert connect(cast.boiler.uuid, secret).connected == 0


def test_reconcile_leaves_an_account_alone_whose_key_may_not_be_committed_yet(
    cast: SimpleNamespace, broker: Mosquitto
) -> None:
    accounts().allow("being-issued", "secret")
    assert accounts().reconcile([]).removed == []


@pytest.mark.parametrize("words", ["", "not ours", "2999-01-01T00:00:00"])
def test_reconcile_deletes_an_account_that_somebody_else_made(
    cast: SimpleNamespace, broker: Mosquitto, words: str
) -> None:
    made = {"command": "createClient", "username": "backdoor", "password": "x", "textdescription": words}
    Control(broker.admin_url).run([made])
    assert accounts().reconcile([]).removed == ["backdoor"]


def test_the_clock_brings_the_broker_in_step(
    cast: SimpleNamespace, broker: Mosquitto, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "FRESH", broker_module.FRESH * 0)
    keys.issue(cast.boiler)
    key, _ = keys.issue(cast.theirs)
    DeviceKey.objects.filter(pk=key.pk).update(revoked_at=key.created_at)  # as if the broker had been away
    source = Source.objects.create(
        organization=cast.acme, name="x", scheme="shared_topic", topic_filter="sensor/data", device=cast.boiler
    )
    tasks.reconcile_broker()
    kept = json.loads(broker.account_file.read_text())
    assert {client["username"] for client in kept["clients"]} == {"admin", "listener", str(cast.boiler.uuid)}
    assert {role["rolename"] for role in kept["roles"]} == {"admin", "listener", str(source.uuid)}


def test_accounts_survive_a_broker_that_is_killed(cast: SimpleNamespace, broker: Mosquitto, connect: Connect) -> None:
    _, secret = keys.issue(cast.boiler)
    broker.crash()
    broker.start()
    assert connect(cast.boiler.uuid, secret).publish(f"devices/{cast.boiler.uuid}/up/readings") < 128


def test_what_waits_for_the_listener_survives_a_broker_that_is_killed(
    cast: SimpleNamespace, broker: Mosquitto, connect: Connect
) -> None:
    def listen() -> mqtt.Client:
        """As the Listener does: MQTT 3.1.1, with a session that outlives the connection."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, broker.LISTENER, clean_session=False)
        client.username_pw_set(broker.LISTENER, broker.listener_password)
        client.on_message = lambda _client, _data, message: received.append(message.payload)
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        return client

    received: list[bytes] = []
    subscribed = threading.Event()
    listener = listen()
    listener.subscribe("devices/+/up/#", 1)
    assert subscribed.wait(WAIT_SECONDS)
    listener.disconnect()
    listener.loop_stop()

    _, secret = keys.issue(cast.boiler)
    device = connect(cast.boiler.uuid, secret)
    sent = [str(n) for n in range(1500)]  # more than Mosquitto keeps by default
    device.publish_all(f"devices/{cast.boiler.uuid}/up/readings", sent)
    time.sleep(2.5)
    broker.crash()
    broker.start()
    listener = listen()
    until(lambda: len(received) >= len(sent))
    listener.disconnect()
    listener.loop_stop()
    assert received == [payload.encode() for payload in sent]


def test_a_packet_beyond_the_limit_ends_the_connection(cast: SimpleNamespace, connect: Connect) -> None:
    _, secret = keys.issue(cast.boiler)
    device = connect(cast.boiler.uuid, secret)
    topic = f"devices/{cast.boiler.uuid}/up/readings"
    assert device.publish(topic, "x" * 65_000) < 128
    assert device.publish(topic, "x" * 65_536) is None
    assert device.lost.is_set()


def test_the_folder_of_the_broker_is_closed_to_others(broker: Mosquitto) -> None:
    assert broker.account_file.parent.stat().st_mode & 0o077 == 0
