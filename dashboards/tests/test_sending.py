"""The lines that a person copies: they name the device, and what they carry is a reading."""

from __future__ import annotations

import json
import shlex

from dashboards.sending import KEY_PLACE, curl_line, mosquitto_line
from readings.formats import native


def option(line, name):
    words = shlex.split(line)
    return words[words.index(name) + 1]


def test_the_mqtt_line_speaks_as_the_device(cast):
    line = mosquitto_line(cast.boiler, cast.temperature, "localhost", 1884)
    uuid = str(cast.boiler.uuid)
    assert [option(line, name) for name in ("-h", "-p", "-i", "-u", "-P")] == [
        "localhost",
        "1884",
        uuid,
        uuid,
        KEY_PLACE,
    ]
    assert option(line, "-t") == f"devices/{uuid}/up/readings"
    assert option(line, "-q") == "1"


def test_the_http_line_carries_the_key_as_a_bearer(cast):
    line = curl_line(cast.boiler, cast.temperature, "http://localhost:8000")
    assert shlex.split(line)[1] == f"http://localhost:8000/api/v1/devices/{cast.boiler.uuid}/readings"
    assert option(line, "-H") == f"Authorization: Bearer {KEY_PLACE}"


def test_both_carry_a_reading_that_the_platform_understands(cast):
    for sensor, key in ((cast.temperature, "temperature"), (None, "temperature")):
        for body in (
            option(mosquitto_line(cast.boiler, sensor, "h", 1), "-m"),
            option(curl_line(cast.boiler, sensor, "http://h"), "-d"),
        ):
            assert json.loads(body)["sensor"] == key
            assert [each.sensor for each in native.decode(body.encode()).measurements] == [key]
