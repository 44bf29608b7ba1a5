"""Mosquitto's own account store, spoken to over MQTT: commands of its dynamic security plugin and their answers."""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from paho.mqtt import client as mqtt
from rest_framework.exceptions import APIException

log = structlog.get_logger(__name__)

Command = dict[str, Any]

COMMANDS = "$CONTROL/dynamic-security/v1"
ANSWERS = "$CONTROL/dynamic-security/v1/response"
TIMEOUT_SECONDS = 5.0
MESSAGE_COMMANDS = 50  # in one message: far below the broker's packet limit
PAGE = 200  # accounts or roles in one answer

# What a command answers when its work was done already, as after an answer that was lost.
DONE_ALREADY = {
    "deleteClient": "Client not found",
    "createRole": "Role already exists",
    "deleteRole": "Role not found",
    "addRoleACL": "ACL with this topic already exists",
    "removeRoleACL": "ACL not found",
}


class BrokerAway(APIException):
    """The broker does not answer, or does not take the command; what was asked for has not been done."""

    status_code = 503
    default_code = "broker_away"
    default_detail = "The MQTT broker cannot be told of this now; nothing was changed. Try again."


class TakenOver(Exception):
    """Another process signed in with the same account, which ends our connection."""


class Control:
    """The account that may manage accounts. `url` is mqtt://name:password@host:port."""

    _one_at_a_time = threading.Lock()  # the account has one connection: the broker ends the older of two

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url)
        self.username = unquote(self.address.username or "")
        self.password = unquote(self.address.password or "")

    def run(self, commands: Sequence[Command]) -> list[Command]:
        """The answers, in the order of the commands. Raises BrokerAway after five seconds, or when one is refused."""
        answers: list[Command] = []
        for start in range(0, len(commands), MESSAGE_COMMANDS):
            answers += self._insist(commands[start : start + MESSAGE_COMMANDS])
        for answer in answers:
            if answer.get("error", "") not in ("", DONE_ALREADY.get(answer["command"])):
                raise BrokerAway(f"The MQTT broker refused {answer['command']}: {answer['error']}.")
        return answers

    def listed(self, command: str, items: str) -> list[Command]:
        """Every account or role there is, page by page."""
        found: list[Command] = []
        while True:
            page = {"command": command, "verbose": True, "count": PAGE, "offset": len(found)}
            data = self.run([page])[0]["data"]
            found += data[items]
            if len(found) >= data["totalCount"] or not data[items]:
                return found

    def _insist(self, commands: Sequence[Command]) -> list[Command]:
        """Again, when another process came between: every command may be given twice."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                with self._one_at_a_time:
                    return self._exchange(commands, deadline)
            except TakenOver as error:
                if time.monotonic() > deadline:
                    raise BrokerAway from error
                time.sleep(random.uniform(0.01, 0.1))  # noqa: S311  only to part the two
            except OSError as error:
                log.warning("broker accounts cannot be changed", error=str(error))
                raise BrokerAway from error

    def _exchange(self, commands: Sequence[Command], deadline: float) -> list[Command]:
        token = secrets.token_hex(8)
        message = json.dumps({"commands": [{**command, "correlationData": token} for command in commands]})
        answers: list[Command] = []
        client = self._client()
        client.on_connect = _subscribe

        def speak(*_: Any) -> None:
            client.publish(COMMANDS, message, qos=1)

        client.on_subscribe = speak
        client.on_message = lambda _client, _data, got: answers.extend(
            answer for answer in json.loads(got.payload)["responses"] if answer.get("correlationData") == token
        )
        client.connect(self.address.hostname or "127.0.0.1", self.address.port or 1883)
        try:
            while len(answers) < len(commands):
                if client.loop(0.1) != mqtt.MQTT_ERR_SUCCESS:
                    raise TakenOver
                if time.monotonic() > deadline:
                    raise TimeoutError("the broker did not answer")
        finally:
            client.disconnect()
        return answers

    def _client(self) -> mqtt.Client:
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=self.username,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        client.username_pw_set(self.username, self.password)
        client.connect_timeout = TIMEOUT_SECONDS
        if self.address.scheme == "mqtts":
            client.tls_set()
        return client


def _subscribe(client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
    if reason.is_failure:
        raise PermissionError(f"the account that manages accounts cannot sign in: {reason}")
    client.subscribe(ANSWERS, 1)
