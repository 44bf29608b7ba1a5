"""What the broker lets devices, sources and our own accounts do: asked of a real Mosquitto."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from pytest_django.fixtures import Settings

from devices import broker as broker_module
from devices import keys
from devices.broker import BrokerAway, DynamicSecurity, accounts
from devices.models import Device, DeviceKey, Source
from iot_platform.tests.services import Mosquitto, program

pytestmark = pytest.mark.services

NOT_AUTHORIZED = 135
WAIT_SECONDS = 5


class Client:
    """A device, or whoever else knocks, with a stock MQTT 5 client: only that one is told why it is refused."""

    def __init__(self, broker: Mosquitto, username: str, password: str, client_id: str = "any") -> None:
        self.connected: int | None = None
        self.lost = threading.Event()
        self.received: list[tuple[str, bytes]] = []
        self.published: dict[int, int] = {}
        self.subscribed = threading.Event()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        self._client.username_pw_set(username, password)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = lambda *_: self.lost.set()
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = lambda *_: self.subscribed.set()
        self._client.on_message = lambda _client, _data, message: self.received.append((message.topic, message.payload))
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        until(lambda: self.connected is not None)

    def _on_connect(self, _client: object, _data: object, _flags: object, reason: mqtt.ReasonCode, _: object) -> None:
        self.connected = reason.value

    def _on_publish(self, _client: object, _data: object, mid: int, reason: mqtt.ReasonCode, _: object) -> None:
        self.published[mid] = reason.value

    def publish(self, topic: str, payload: str = "{}") -> int:
        """The reason code that the broker answers: below 128 is success."""
        mid = self._client.publish(topic, payload, qos=1).mid
        until(lambda: mid in self.published)
        return self.published[mid]

    def subscribe(self, *topics: str) -> None:
        self.subscribed.clear()
        self._client.subscribe([(topic, mqtt.SubscribeOptions(qos=1)) for topic in topics])
        assert self.subscribed.wait(WAIT_SECONDS)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


Connect = Callable[..., Client]


@pytest.fixture
def connect(broker: Mosquitto) -> Connect:
    clients: list[Client] = []

    def connect(username: object, password: str, client_id: str = "any") -> Client:
        clients.append(Client(broker, str(username), password, client_id))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def listener(broker: Mosquitto, connect: Connect) -> Client:
    return connect(broker.LISTENER, broker.listener_password)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


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


def test_reconcile_reads_every_page(cast: SimpleNamespace, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.control.PAGE", 2)
    devices = [
        Device.objects.create(organization=cast.acme, name=f"number {n}", device_type=cast.boiler.device_type)
        for n in range(5)
    ]
    for device in devices:
        keys.issue(device)
    report = accounts().reconcile(keys.broker_passwords())
    assert (report.removed, report.missing) == ([], [])


def test_many_commands_travel_in_several_messages(cast: SimpleNamespace, broker: Mosquitto) -> None:
    Source.objects.bulk_create(
        Source(organization=cast.acme, name="x", scheme="typed_topic", topic_filter=f"{n}/+/+", device=cast.boiler)
        for n in range(60)
    )
    accounts().update_roles()
    assert len(json.loads(broker.account_file.read_text())["roles"]) == 62


def test_several_processes_may_change_accounts_at_the_same_time(cast: SimpleNamespace, broker: Mosquitto) -> None:
    """They share one account at the broker, which lets only one of them be connected."""
    command = [program("mosquitto_ctrl"), "-h", "127.0.0.1", "-p", str(broker.port), "-u", broker.ADMIN]
    command += ["-P", broker.admin_password, "dynsec", "listClients"]
    stopping = threading.Event()

    def disturb() -> None:
        while not stopping.is_set():
            subprocess.run(command, capture_output=True, check=False)

    rival = threading.Thread(target=disturb)
    rival.start()
    try:
        for n in range(15):
            accounts().allow(f"device-{n}", "secret")
    finally:
        stopping.set()
        rival.join()
    known = {client["username"] for client in json.loads(broker.account_file.read_text())["clients"]}
    assert known >= {f"device-{n}" for n in range(15)}


def test_a_broker_that_is_away_is_said_so_at_once_and_no_key_is_left(cast: SimpleNamespace, broker: Mosquitto) -> None:
    broker.stop()
    started = time.monotonic()
    with pytest.raises(BrokerAway):
        keys.issue(cast.boiler)
    assert time.monotonic() - started < 1
    assert not DeviceKey.objects.exists()


def test_a_wrong_password_of_the_manager_is_a_broker_that_is_away(
    cast: SimpleNamespace, broker: Mosquitto, settings: Settings
) -> None:
    settings.MQTT_ADMIN_URL = broker.admin_url.replace(broker.admin_password, "guess")
    with pytest.raises(BrokerAway):
        keys.issue(cast.boiler)


def test_accounts_survive_a_broker_that_is_killed(cast: SimpleNamespace, broker: Mosquitto, connect: Connect) -> None:
    _, secret = keys.issue(cast.boiler)
    broker.crash()
    broker.start()
    assert connect(cast.boiler.uuid, secret).publish(f"devices/{cast.boiler.uuid}/up/readings") < 128


def test_the_folder_of_the_broker_is_closed_to_others(broker: Mosquitto) -> None:
    assert broker.account_file.parent.stat().st_mode & 0o077 == 0
