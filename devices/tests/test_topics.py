from __future__ import annotations

from types import SimpleNamespace

import pytest

from devices import topics
from devices.models import Source
from devices.topics import BadFilter

TYPED, SHARED = Source.Scheme.TYPED_TOPIC, Source.Scheme.SHARED_TOPIC


@pytest.mark.parametrize(
    "topic_filter", ["sensors/+/+", "sensors/temperature/+", "sensors/temperature/kitchen", "site-1/hall/sensors/+/+"]
)
def test_a_typed_source_may_have(topic_filter: str) -> None:
    topics.check(topic_filter, TYPED)


@pytest.mark.parametrize("topic_filter", ["sensor/data", "data", "Straße/büro", "a:b@c=d.e-f_g"])
def test_a_shared_source_may_have(topic_filter: str) -> None:
    topics.check(topic_filter, SHARED)


@pytest.mark.parametrize(
    "topic_filter",
    [
        "+/+/+",
        "#",
        "+/x/up",
        "devices/+/up/#",
        "devices/x/up",
        "devices",
        "platform/probe/listener",
        "$SYS/broker/uptime",
        "$CONTROL/dynamic-security/v1",
        "$share/g/sensors/+/+",
        "",
        "/sensors/+/+",
        "sensors//+",
        "sensors/+/+/",
        "sensors/#",
        "sensors/a+/b",
        "sensors/a#/b",
        "sensors/%u/x",
        "sensors/a b/x",
        "sensors/\0/x",
        "sensors/\n/x",
    ],
)
@pytest.mark.parametrize("scheme", [TYPED, SHARED])
def test_no_source_may_have(topic_filter: str, scheme: str) -> None:
    with pytest.raises(BadFilter):
        topics.check(topic_filter, scheme)


def test_a_typed_source_names_type_and_sensor() -> None:
    with pytest.raises(BadFilter, match="sensor type"):
        topics.check("sensors/+", TYPED)


def test_a_shared_source_has_one_topic() -> None:
    with pytest.raises(BadFilter, match="wildcards"):
        topics.check("sensor/+", SHARED)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+/c", "a/b/+", True),
        ("a/+/c", "a/b/d", False),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/b/#", "a/c/d", False),
    ],
)
def test_two_filters_meet_when_a_topic_falls_under_both(one: str, other: str, expected: bool) -> None:
    assert topics.meet(one, other) is expected
    assert topics.meet(other, one) is expected


def test_a_filter_is_taken_by_whatever_meets_it(cast: SimpleNamespace) -> None:
    source = Source.objects.create(
        organization=cast.globex, name="x", scheme=TYPED, topic_filter="sensors/+/kitchen", device=cast.theirs
    )
    assert topics.is_taken("sensors/temperature/+")
    assert not topics.is_taken("sensors/temperature/cellar")
    assert not topics.is_taken("sensorsX/temperature/+")
    assert not topics.is_taken("sensors/temperature/+", but_for=source.pk)
