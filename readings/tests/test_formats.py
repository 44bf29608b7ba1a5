"""What senders write, and what it becomes."""

from datetime import UTC, datetime

import pytest

from readings.formats import FORMATS, Refused, native
from readings.formats.payload import parse
from readings.formats.times import instant
from readings.models import Origin, Reason

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_single_object_is_one_measurement():
    (measurement,) = native.decode(
        b'{"sensor":"temp_sim_001","sensor_type":"temperature","value":21.5,"unit":"\xc2\xb0C",'
        b'"time":"2026-01-01T12:00:00Z","anomaly":true,"anomaly_details":{"z":4},"origin":"fog","reading_count":3}'
    ).measurements
    assert measurement.sensor == "temp_sim_001"
    assert measurement.type == "temperature"
    assert (measurement.value, measurement.unit, measurement.time) == (21.5, "celsius", NOON)
    assert measurement.is_anomaly and measurement.anomaly_details == {"z": 4}
    assert (measurement.origin, measurement.reading_count) == (Origin.FOG, 3)


def test_a_list_keeps_its_good_items_and_names_the_places_of_the_bad_ones():
    decoded = native.decode(b'[{"sensor":"a","value":1},{"sensor":"b","value":"12"},{"sensor":"c","value":3}]')
    assert [(m.sensor, m.item) for m in decoded.measurements] == [("a", 0), ("c", 2)]
    (refusal,) = decoded.refusals
    assert (refusal.reason, refusal.item) == (Reason.NOT_A_NUMBER, 1)
    assert refusal.content == b'{"sensor":"b","value":"12"}'


def test_an_envelope_may_number_the_message():
    decoded = native.decode(b'{"seq":7,"readings":[{"sensor":"a","value":1}]}')
    assert decoded.seq == 7
    assert len(decoded.measurements) == 1


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"21.5 degrees", Reason.BAD_JSON),
        (b"\xff\xfe{\x00}\x00", Reason.NOT_UTF8),
        (b'{"sensor":"temp\xff","value":1}', Reason.NOT_UTF8),
        (b"\xef\xbb\xbf{}", Reason.BAD_JSON),
        (b'{"sensor":"t","value":NaN}', Reason.BAD_JSON),
        (b'{"sensor":"t","value":Infinity}', Reason.BAD_JSON),
        (b'{"sensor":"t","value":1e400}', Reason.NUMBER_OUT_OF_RANGE),
        (b'{"sensor":"t","value":' + b"9" * 5000 + b"}", Reason.NUMBER_OUT_OF_RANGE),
        (b'{"sensor":"t","value":9223372036854775808}', Reason.NUMBER_OUT_OF_RANGE),
        (b'{"sensor":"t","value":null}', Reason.NOT_A_NUMBER),
        (b'{"sensor":"t","value":[1]}', Reason.NOT_A_NUMBER),
        (b'{"sensor":"t"}', Reason.BAD_SHAPE),
        (b'{"value":1}', Reason.BAD_SHAPE),
        (b"null", Reason.BAD_SHAPE),
        (b"[]", Reason.EMPTY),
        (b'{"readings":1}', Reason.BAD_SHAPE),
        (b"[" * 9 + b"]" * 9, Reason.TOO_DEEP),
        (b"[" * 100_000 + b"]" * 100_000, Reason.TOO_DEEP),
        (b"{" + b",".join(b'"k%d":1' % n for n in range(65)) + b"}", Reason.TOO_MANY_KEYS),
        (b'{"sensor":"t","value":1,"value":2}', Reason.DUPLICATE_KEY),
        (b'{"sensor":"t","value":1,"v\\u0061lue":2}', Reason.DUPLICATE_KEY),
        (b'{"sensor":"t\\u0000","value":1}', Reason.BAD_TEXT),
        (b'{"sensor":"t","value":1,"x\\u0000":1}', Reason.BAD_TEXT),
        (b'{"sensor":"\\ud800","value":1}', Reason.BAD_TEXT),
        (b'{"sensor":"../","value":1}', Reason.BAD_NAME),
        (b'{"sensor":"__proto__","value":1}', Reason.BAD_NAME),
        (b'{"sensor":"=cmd","value":1}', Reason.BAD_NAME),
        (b'{"sensor":"' + b"x" * 65 + b'","value":1}', Reason.BAD_NAME),
        ('{"sensor":"temp\u202e","value":1}'.encode(), Reason.BAD_NAME),
        ('{"sensor":"t","value":1,"unit":"\u200bC"}'.encode(), Reason.UNKNOWN_UNIT),
        (b'{"sensor":"t","value":1,"unit":7}', Reason.UNKNOWN_UNIT),
        (b'{"sensor":"t","value":1,"time":""}', Reason.BAD_TIME),
        (b'{"sensor":"t","value":1,"origin":"moon"}', Reason.BAD_SHAPE),
        (b'{"sensor":"t","value":1,"anomaly":"yes"}', Reason.BAD_SHAPE),
        (b'{"sensor":"t","value":1,"reading_count":-1}', Reason.BAD_SHAPE),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_reason(payload: bytes, reason: Reason):
    with pytest.raises(Refused) as refused:
        native.decode(payload)
    assert refused.value.reason == reason


def test_more_items_than_one_message_may_hold_are_refused(settings):
    payload = b"[" + b",".join([b"{}"] * (settings.INGEST_MAX_READINGS + 1)) + b"]"
    with pytest.raises(Refused) as refused:
        native.decode(payload)
    assert refused.value.reason == Reason.TOO_MANY_READINGS


@pytest.mark.parametrize(("sent", "value"), [(b"true", 1), (b"false", 0), (b'"on"', 1), (b'"Closed"', 0)])
def test_switch_words_become_one_and_zero(sent: bytes, value: float):
    (measurement,) = native.decode(b'{"sensor":"door","value":' + sent + b"}").measurements
    assert measurement.is_switch and measurement.value == value


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-01-01T12:00:00Z", NOON),
        ("2026-01-01T13:00:00+01:00", NOON),
        ("2026-01-01 17:30:00+0530", NOON),
        ("2026-01-01T12:00Z", NOON),
        ("2026-01-01T12:00:00.123456789Z", NOON.replace(microsecond=123456)),
        (1767268800, NOON),
        (1767268800.25, NOON.replace(microsecond=250_000)),
        (1767268800123, NOON.replace(microsecond=123_000)),
    ],
)
def test_times_become_utc(sent, expected: datetime):
    assert instant(sent) == expected


@pytest.mark.parametrize(
    "sent",
    ["", "yesterday", "2026-01-01T12:00:00", "2026-01-01", "2026-W01-4T12:00:00Z", "2026-06-30T23:59:60Z"]
    + ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "２０２６-01-01T12:00:00Z", 1e20, -1, True, [], {}],
)
def test_what_is_no_time_is_refused(sent):
    with pytest.raises(Refused) as refused:
        instant(sent)
    assert refused.value.reason == Reason.BAD_TIME


def test_colons_in_texts_are_no_duplicate_keys():
    assert parse(b'{"time":"12:00:00","a:b":{"c":"d:e"}}') == {"time": "12:00:00", "a:b": {"c": "d:e"}}


def test_a_typed_topic_names_type_and_sensor():
    decode = FORMATS["typed_topic"]
    (measurement,) = decode(b'{"value":23.5,"type":"luminosity"}', "sensors/luminosity/lux-1").measurements
    assert (measurement.sensor, measurement.type) == ("lux-1", "light")


def test_a_body_may_not_contradict_its_topic():
    with pytest.raises(Refused) as refused:
        FORMATS["typed_topic"](b'{"value":23.5,"sensor_id":"other"}', "sensors/temperature/temp-1")
    assert refused.value.reason == Reason.BAD_SHAPE


def test_a_shared_topic_takes_one_object():
    (measurement,) = FORMATS["shared_topic"](
        b'{"sensor_type":"temperature","value":22.5,"unit":"\xc2\xb0C"}', "sensor/data"
    ).measurements
    assert (measurement.sensor, measurement.type, measurement.unit) == ("", "temperature", "celsius")
