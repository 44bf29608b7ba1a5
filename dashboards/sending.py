"""The lines that send a reading as a device, ready to be copied into a terminal."""

from __future__ import annotations

import json

from devices.models import Device, Sensor, SensorType

KEY_PLACE = "DEVICE_KEY"  # where the device's key goes; a page that has just issued one puts it there


def mosquitto_line(device: Device, sensor: Sensor | None, host: str, port: int) -> str:
    """Over MQTT: the device's UUID is client id, user name and topic."""
    return (
        f"mosquitto_pub -h {host} -p {port} -i {device.uuid} -u {device.uuid} -P {KEY_PLACE} -q 1"
        f" -t devices/{device.uuid}/up/readings -m '{_message(sensor)}'"
    )


def curl_line(device: Device, sensor: Sensor | None, origin: str) -> str:
    """Over HTTP. `origin` is scheme and host, without a path."""
    return (
        f"curl {origin}/api/v1/devices/{device.uuid}/readings -H 'Authorization: Bearer {KEY_PLACE}'"
        f" -H 'Content-Type: application/json' -d '{_message(sensor)}'"
    )


def _message(sensor: Sensor | None) -> str:
    """A reading of this sensor; for a device without any, of one that its first reading makes."""
    if sensor is None:
        return json.dumps({"sensor": "temperature", "sensor_type": "temperature", "value": 21.4})
    return json.dumps({"sensor": sensor.key, "value": _plausible(sensor)})


def _plausible(sensor: Sensor) -> float:
    state = getattr(sensor, "reading_state", None)
    if state is not None:
        return state.value
    return 1 if sensor.sensor_type.kind == SensorType.Kind.BOOLEAN else 21.4
