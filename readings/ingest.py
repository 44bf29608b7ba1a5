"""The corridor: every reading, whichever door it came through, walks these steps in this order.

decode -> authorise -> screen -> store (with state, alerts and presence in one transaction) -> publish
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, transaction

from accounts.live import Event, publisher
from alerts.evaluation import Observation, evaluate
from devices import presence
from devices.directory import DeviceEntry, Directory, SensorEntry, TooManySensors
from devices.quantities import UnitMismatch, convert, type_code
from readings import store
from readings.formats import FORMATS, Measurement, Refusal, Refused
from readings.live import frames_of
from readings.models import Origin, Protocol, Reason, Rejection

log = structlog.get_logger(__name__)

KEPT_BYTES = 65_536  # of a refused message
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Message:
    """Something that arrived at a door: from which device, in which format, when."""

    device: str  # its UUID
    payload: bytes
    received_at: datetime
    protocol: Protocol
    topic: str = ""
    format: str = "native"
    origin: Origin = Origin.EDGE


@dataclass(slots=True)
class Outcome:
    """What became of a message. What is counted as accepted or duplicate is committed."""

    accepted: int = 0
    duplicates: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    readings: list[store.Key] = field(default_factory=list)  # of all that is stored, new or duplicate
    seq: int | None = None


@dataclass(slots=True)
class Candidate:
    """One measurement on its way: whose it is, and the row it may become."""

    message: int
    item: int | None
    device: DeviceEntry
    sensor: SensorEntry
    row: store.Row


@dataclass(slots=True)
class Batch:
    """Messages that walk together; an outcome for each."""

    messages: Sequence[Message]
    outcomes: list[Outcome]
    devices: dict[str, DeviceEntry] = field(default_factory=dict)
    measurements: list[tuple[int, Measurement]] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def refuse(self, message: int, reason: Reason, detail: str, item: int | None = None) -> None:
        self.outcomes[message].refusals.append(Refusal(reason, detail, item))

    def device_of(self, message: int) -> DeviceEntry | None:
        return self.devices.get(self.messages[message].device)


def ingest(messages: Sequence[Message], directory: Directory | None = None, *, history: bool = False) -> list[Outcome]:
    """Take messages in; one outcome each, in their order. When it returns, what it says is committed.

    `history`: an import or back-fill; any age is taken, and no rule, presence or live frame follows.
    Raises OperationalError when the database is away: nothing is stored then, and the whole may be sent again.
    """
    batch = Batch(messages, [Outcome() for _ in messages])
    decode(batch)
    authorise(batch, directory or Directory(), history=history)
    screen(batch)
    keep(batch, history=history)
    publisher.offer(batch.events)
    return batch.outcomes


def reject(message: Message, detail: str) -> Outcome:
    """Keep a message that a step of ours stumbled over as a Rejection, so that it cannot hold back the rest."""
    batch = Batch([message], [Outcome()], Directory().devices({message.device}))
    batch.refuse(0, Reason.NOT_STORABLE, detail)
    with transaction.atomic():
        _close(batch, history=False)
    return batch.outcomes[0]


def decode(batch: Batch) -> None:
    """Bytes become measurements, or a refusal with its reason."""
    for number, message in enumerate(batch.messages):
        outcome = batch.outcomes[number]
        decoder = FORMATS.get(message.format)
        if decoder is None:
            batch.refuse(number, Reason.UNKNOWN_TOPIC, f"Nothing is taken at {message.topic[:200]!r}.")
            continue
        try:
            decoded = decoder(message.payload, message.topic)
        except Refused as refused:
            batch.refuse(number, refused.reason, refused.detail)
            continue
        outcome.seq = decoded.seq
        outcome.refusals += decoded.refusals
        batch.measurements += ((number, measurement) for measurement in decoded.measurements)


def authorise(batch: Batch, directory: Directory, *, history: bool = False) -> None:
    """Each measurement finds its device and one of its sensors, in the sensor's unit and at a sane time."""
    batch.devices = directory.devices({message.device for message in batch.messages})
    for number, measurements in itertools.groupby(batch.measurements, key=lambda pair: pair[0]):
        message, device = batch.messages[number], batch.device_of(number)
        if device is None:
            batch.refuse(number, Reason.UNKNOWN_DEVICE, f"There is no device {message.device[:60]!r}.")
        elif device.is_disabled:
            batch.refuse(number, Reason.DEVICE_DISABLED, "The device is disabled.")
        else:
            untimed = itertools.count()  # several untimed ones lie a microsecond apart, in their order
            for _, measurement in measurements:
                try:
                    sensor = _sensor_of(device, measurement, directory)
                    value = _value_of(sensor, measurement)
                    time = _time_of(device, measurement, message, untimed, history)
                except Refused as refused:
                    batch.refuse(number, refused.reason, refused.detail, measurement.item)
                    continue
                row = store.Row(
                    sensor_id=sensor.id,
                    time=time,
                    received_at=message.received_at,
                    value=value,
                    origin=measurement.origin or message.origin,
                    protocol=message.protocol,
                    is_anomaly=measurement.is_anomaly,
                    anomaly_details=measurement.anomaly_details,
                    reading_count=measurement.reading_count,
                )
                batch.candidates.append(Candidate(number, measurement.item, device, sensor, row))


def _sensor_of(device: DeviceEntry, measurement: Measurement, directory: Directory) -> SensorEntry:
    """The sensor by its key, or the only one of the type; a known type that is new on the device is discovered."""
    sensor = device.sensors.get(measurement.sensor) if measurement.sensor else device.only_of_type(measurement.type)
    if sensor is None:
        key = measurement.sensor or measurement.type
        sensor = device.sensors.get(key)
    if sensor is None:
        try:
            sensor = directory.discover(device, key, measurement.type or type_code(key), measurement.unit)
        except TooManySensors:
            limit = settings.SENSORS_PER_DEVICE
            raise Refused(Reason.TOO_MANY_SENSORS, f"The device has {limit} sensors, the most it may have.") from None
    if sensor is None:
        raise Refused(Reason.UNKNOWN_SENSOR, f"The device has no sensor {key!r}; add it, or name its `sensor_type`.")
    if sensor.is_inactive:
        raise Refused(Reason.SENSOR_INACTIVE, f"The sensor {sensor.key!r} is inactive.")
    return sensor


def _value_of(sensor: SensorEntry, measurement: Measurement) -> float:
    if measurement.is_switch:
        if not sensor.is_boolean:
            raise Refused(Reason.NOT_A_NUMBER, f"{sensor.key!r} takes numbers, not true or false.")
        return measurement.value
    if not measurement.unit or not sensor.unit:
        return measurement.value
    try:
        value = convert(measurement.value, measurement.unit, sensor.unit)
    except UnitMismatch:
        detail = f"{sensor.key!r} is measured in {sensor.unit}, not in {measurement.unit}."
        raise Refused(Reason.UNIT_MISMATCH, detail) from None
    if not math.isfinite(value):
        raise Refused(Reason.NUMBER_OUT_OF_RANGE, f"The value is too large to be one in {sensor.unit}.")
    return value


def _time_of(
    device: DeviceEntry, measurement: Measurement, message: Message, untimed: itertools.count[int], history: bool
) -> datetime:
    if measurement.time is None or (device.ignores_clock and not history):
        return message.received_at + next(untimed) * MICROSECOND
    if history:
        return measurement.time
    if measurement.time > message.received_at + timedelta(seconds=settings.READING_MAX_AHEAD_SECONDS):
        raise Refused(Reason.CLOCK_AHEAD, f"{measurement.time:%Y-%m-%d %H:%M:%SZ} has not come yet.")
    if measurement.time < message.received_at - timedelta(days=settings.READING_MAX_AGE_DAYS):
        days = settings.READING_MAX_AGE_DAYS
        raise Refused(Reason.TOO_OLD, f"{measurement.time:%Y-%m-%d %H:%M:%SZ} is more than {days} days ago.")
    return measurement.time


def screen(batch: Batch) -> None:
    """Marks what is implausible; never drops it."""
    for candidate in batch.candidates:
        sensor, value = candidate.sensor, candidate.row.value
        too_low = sensor.minimum is not None and value < sensor.minimum
        too_high = sensor.maximum is not None and value > sensor.maximum
        if too_low or too_high:
            details = {"reason": "out_of_range", "minimum": sensor.minimum, "maximum": sensor.maximum}
            candidate.row = candidate.row._replace(
                is_anomaly=True, anomaly_details={**(candidate.row.anomaly_details or {}), **details}
            )


def keep(batch: Batch, *, history: bool) -> None:
    """One transaction holds the rows, all that follows from them, and every refusal.

    When the database refuses a row, halves are stored by themselves until the one bad row is a refusal.
    """
    try:
        with transaction.atomic():
            _store(batch, batch.candidates, history=history)
            _close(batch, history=history)
        return
    except (DataError, IntegrityError) as error:
        log.warning("batch refused by the database", rows=len(batch.candidates), error=str(error)[:200])
        for outcome in batch.outcomes:
            outcome.accepted = outcome.duplicates = 0
            outcome.readings.clear()
            outcome.refusals = [refusal for refusal in outcome.refusals if refusal.reason != Reason.CONFLICT]
        batch.events.clear()
    _store_halves(batch, batch.candidates, history=history)
    with transaction.atomic():
        _close(batch, history=history)


def _store_halves(batch: Batch, candidates: list[Candidate], *, history: bool) -> None:
    for half in (candidates[: len(candidates) // 2], candidates[len(candidates) // 2 :]):
        if not half:
            continue
        try:
            with transaction.atomic():
                _store(batch, half, history=history)
        except (DataError, IntegrityError) as error:
            if len(half) > 1:
                _store_halves(batch, half, history=history)
            else:
                batch.refuse(half[0].message, Reason.NOT_STORABLE, str(error)[:300], half[0].item)


def _store(batch: Batch, candidates: list[Candidate], *, history: bool) -> None:
    new = store.write(candidate.row for candidate in candidates)
    fresh = _count(batch, candidates, new)
    if history or not fresh:
        return
    observations = [
        Observation(
            organization_id=candidate.device.organization_id,
            device_id=candidate.device.id,
            unit_id=candidate.device.unit_id,
            sensor_id=candidate.sensor.id,
            sensor_type_id=candidate.sensor.type_id,
            time=candidate.row.time,
            value=candidate.row.value,
        )
        for candidate in fresh
    ]
    batch.events += evaluate(observations)
    batch.events += frames_of(fresh, batch.messages)


def _count(batch: Batch, candidates: list[Candidate], new: dict[store.Key, int]) -> list[Candidate]:
    """Tell new readings from repeated and contradicting ones; answers the candidates that became rows."""
    fresh: list[Candidate] = []
    repeated: list[Candidate] = []
    unseen = set(new)
    for candidate in candidates:
        key = candidate.row.key
        (fresh if key in unseen else repeated).append(candidate)
        unseen.discard(key)
    stored = store.stored_values([candidate.row.key for candidate in repeated]) if repeated else {}
    for candidate in fresh:
        outcome = batch.outcomes[candidate.message]
        outcome.accepted += 1
        outcome.readings.append(candidate.row.key)
    for candidate in repeated:
        key, outcome = candidate.row.key, batch.outcomes[candidate.message]
        if stored.get(key) == candidate.row.value:
            outcome.duplicates += 1
            outcome.readings.append(key)
        else:
            detail = f"Another value is stored for {candidate.sensor.key!r} at that time: {stored.get(key)}."
            batch.refuse(candidate.message, Reason.CONFLICT, detail, candidate.item)
    return fresh


def _close(batch: Batch, *, history: bool) -> None:
    """What is true of whole messages: refusals are kept, and a device that spoke has been seen."""
    rejections = [
        _rejection(batch, number, refusal, is_first=place == 0)
        for number, outcome in enumerate(batch.outcomes)
        for place, refusal in enumerate(outcome.refusals)
    ]
    if rejections:
        Rejection.objects.bulk_create(rejections, batch_size=1000)
    if not history:
        batch.events += _seen(batch)


def _rejection(batch: Batch, number: int, refusal: Refusal, *, is_first: bool) -> Rejection:
    """A message is kept once, with the first of its refusals, and not once for each of a thousand bad items."""
    message, device = batch.messages[number], batch.device_of(number)
    whole = message.payload[:KEPT_BYTES] if is_first else b""
    return Rejection(
        organization_id=device.organization_id if device else None,
        device_id=device.id if device else None,
        received_at=message.received_at,
        protocol=message.protocol,
        topic=message.topic[:255].replace("\0", ""),
        reason=refusal.reason,
        detail=refusal.detail.replace("\0", "")[:300],
        item=refusal.item,
        payload=whole if refusal.content is None else refusal.content,
        payload_bytes=len(message.payload),
    )


def _seen(batch: Batch) -> list[Event]:
    """A device is alive when anything of it arrives, even what was refused."""
    seen_at: dict[int, datetime] = {}
    accepted: set[int] = set()
    refused: dict[int, str] = {}
    for number, (message, outcome) in enumerate(zip(batch.messages, batch.outcomes, strict=True)):
        device = batch.device_of(number)
        if device is None:
            continue
        seen_at[device.id] = max(message.received_at, seen_at.get(device.id, message.received_at))
        if outcome.readings:
            accepted.add(device.id)
        if outcome.refusals:
            refused[device.id] = outcome.refusals[-1].reason
    return presence.seen(seen_at, accepted, refused) if seen_at else []


def now() -> datetime:
    """The time of arrival, stamped once per message."""
    return datetime.now(UTC)


def receipt(outcome: Outcome) -> dict[str, Any]:
    """What a sender is told: over HTTP as the answer, over MQTT as the acknowledgement."""
    return {
        "accepted": outcome.accepted,
        "duplicates": outcome.duplicates,
        "rejected": [
            {"index": refusal.item or 0, "code": refusal.reason, "detail": refusal.detail}
            for refusal in outcome.refusals
        ],
    }
