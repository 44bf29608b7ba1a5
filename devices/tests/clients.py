"""Stock MQTT clients that knock at a real broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from iot_platform.tests.services import Mosquitto

NOT_AUTHORIZED = 135
WAIT_SECONDS = 5


class Client:
    """A device, or whoever else knocks, with a stock MQTT 5 client: only that one is told why it is refused."""

    def __init__(self, broker: Mosquitto, username: str | None, password: str, client_id: str = "any") -> None:
        self.connected: int | None = None
        self.lost = threading.Event()
        self.received: list[tuple[str, bytes]] = []
        self.published: dict[int, int] = {}
        self.subscribed = threading.Event()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        if username is not None:
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

    def publish(self, topic: str, payload: str = "{}") -> int | None:
        """The reason code that the broker answers, below 128 is success; None when it ends the connection instead."""
        mid = self._client.publish(topic, payload, qos=1).mid
        until(lambda: mid in self.published or self.lost.is_set())
        return self.published.get(mid)

    def publish_all(self, topic: str, payloads: list[str]) -> None:
        """Without waiting for one before the next is sent."""
        for sent in [self._client.publish(topic, payload, qos=1) for payload in payloads]:
            sent.wait_for_publish(WAIT_SECONDS)

    def subscribe(self, *topics: str) -> None:
        self.subscribed.clear()
        self._client.subscribe([(topic, mqtt.SubscribeOptions(qos=1)) for topic in topics])
        assert self.subscribed.wait(WAIT_SECONDS)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


Connect = Callable[..., Client]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
