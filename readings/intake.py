"""The HTTP door of the corridor: a bounded body becomes messages, their outcomes become the answer."""

from __future__ import annotations

import zlib
from collections import defaultdict
from dataclasses import replace
from typing import Any

import msgspec
from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException, NotFound, UnsupportedMediaType, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import Actor
from devices.models import Device, Sensor
from readings.formats import Refused
from readings.formats.payload import parse
from readings.ingest import Message, Outcome, ingest, now, receipt
from readings.models import Origin, Protocol, Reason

UNPACKED_FACTOR = 8  # a packed body may unfold to this many times the size allowed on the wire


class BodyTooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = f"At most {settings.INGEST_MAX_BYTES} bytes on the wire, {UNPACKED_FACTOR} times that unpacked."


def take_from_device(request: Request, device: Device, origin: Origin = Origin.EDGE) -> Response:
    """Readings for one device, as it would send them over MQTT."""
    message = Message(
        device=str(device.uuid),
        payload=_body(request),
        received_at=now(),
        protocol=Protocol.HTTP,
        origin=origin,
    )
    return _answer(ingest([message])[0])


def take_by_hand(request: Request, actor: Actor) -> tuple[Outcome, Response]:
    """Readings that name their sensors (`sensor_id`) or devices (`device`), written by a person."""
    try:
        body = parse(_body(request))
    except Refused as refused:
        raise ValidationError(refused.detail, code=refused.reason) from None
    items = body.get("readings", [body]) if isinstance(body, dict) else body
    if not isinstance(items, list) or not items or len(items) > settings.INGEST_MAX_READINGS:
        raise ValidationError("Send a reading or a list of readings.", code=Reason.BAD_SHAPE)
    addressed = _addressed(items, actor)
    places = list(addressed.values())
    received_at = now()
    outcomes = ingest(
        [
            Message(
                device=uuid,
                payload=msgspec.json.encode([items[place] for place in indexes]),
                received_at=received_at,
                protocol=Protocol.HTTP,
                origin=Origin.MANUAL,
            )
            for uuid, indexes in addressed.items()
        ]
    )
    merged = _merged(outcomes, places)
    return merged, _answer(merged)


def _body(request: Request) -> bytes:
    """The body, read here and not by Django, because readings may be larger than other requests."""
    if request.content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType(request.content_type, "Send readings as application/json.")
    limit = settings.INGEST_MAX_BYTES
    body = request._request.read(limit + 1)
    if len(body) > limit:
        raise BodyTooLarge
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise UnsupportedMediaType(encoding, "Content-Encoding may be gzip.")
    return _unpacked(body, limit * UNPACKED_FACTOR)


def _unpacked(body: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        content = unpacker.decompress(body, limit)
    except zlib.error:
        raise ValidationError("The body is no gzip.", code="bad_gzip") from None
    if unpacker.unconsumed_tail:
        raise BodyTooLarge
    if not unpacker.eof:
        raise ValidationError("The gzip body is cut off.", code="bad_gzip")
    return content


def _addressed(items: list[Any], actor: Actor) -> dict[str, list[int]]:
    """The places of the items by the UUID of the device they are for; a `sensor_id` is put as its device's key."""
    if not all(isinstance(item, dict) for item in items):
        raise ValidationError("A reading is an object.", code=Reason.BAD_SHAPE)
    ids = {item["sensor_id"] for item in items if _is_id(item.get("sensor_id"))}
    sensors = Sensor.objects.visible_to(actor).filter(pk__in=ids).select_related("device").in_bulk()
    devices = {str(uuid) for uuid in _visible_devices(items, actor)}
    addressed: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        sensor = sensors.get(item.get("sensor_id")) if _is_id(item.get("sensor_id")) else None
        uuid = item.pop("device", None)
        if sensor is not None:
            item["sensor_id"], uuid = sensor.key, str(sensor.device.uuid)
        if sensor is None and not (isinstance(uuid, str) and uuid in devices):
            raise NotFound("There is no such sensor or device. Name a `sensor_id` or a `device`.")
        addressed[uuid].append(place)
    return addressed


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _visible_devices(items: list[Any], actor: Actor) -> Any:
    if not any("device" in item for item in items):
        return []
    return Device.objects.visible_to(actor).values_list("uuid", flat=True)


def _merged(outcomes: list[Outcome], places: list[list[int]]) -> Outcome:
    """One outcome for the whole request, its refusals at their places in it."""
    merged = Outcome()
    for outcome, indexes in zip(outcomes, places, strict=True):
        merged.accepted += outcome.accepted
        merged.duplicates += outcome.duplicates
        merged.readings += outcome.readings
        for refusal in outcome.refusals:
            where = [refusal.item] if refusal.item is not None else range(len(indexes))
            merged.refusals += (replace(refusal, item=indexes[item]) for item in where)
    return merged


def _answer(outcome: Outcome) -> Response:
    """201 when all of it is stored, 207 when some is, 400 when nothing is."""
    return Response(receipt(outcome), status=_code(outcome))


def _code(outcome: Outcome) -> int:
    if not outcome.refusals:
        return status.HTTP_201_CREATED
    if outcome.accepted or outcome.duplicates:
        return status.HTTP_207_MULTI_STATUS
    return status.HTTP_400_BAD_REQUEST
