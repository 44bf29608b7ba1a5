"""Judge new values by the rules: open an alert when one is broken, resolve it when the value goes back."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from django.utils import timezone

from accounts.live import Event
from alerts.live import event
from alerts.models import Alert, Delivery, Rule, RuleState
from alerts.notifications import notify
from devices.models import Sensor

OPENED, RESOLVED = Delivery.Event.OPENED, Delivery.Event.RESOLVED
NOTHING_JUDGED = datetime(1970, 1, 1, tzinfo=UTC)

BREAKS: Mapping[str, Callable[[float, float], bool]] = {
    Rule.Operator.ABOVE: operator.gt,
    Rule.Operator.AT_LEAST: operator.ge,
    Rule.Operator.BELOW: operator.lt,
    Rule.Operator.AT_MOST: operator.le,
    Rule.Operator.EQUAL: operator.eq,
    Rule.Operator.UNEQUAL: operator.ne,
}

Pair = tuple[int, int]  # rule id, sensor id


class Observation(NamedTuple):
    """A value that a sensor measured, and where that sensor is."""

    organization_id: int
    device_id: int
    unit_id: int | None
    sensor_id: int
    sensor_type_id: int
    time: datetime
    value: float


class Turn(NamedTuple):
    """A value at which a rule and a sensor turned from good to bad, or back."""

    rule: Rule
    state: RuleState
    observation: Observation
    event: Delivery.Event


def step(rule: Rule, is_broken: bool, value: float) -> Delivery.Event | None:
    """What this value does to a rule that is broken or not: it opens an alert, resolves it, or changes nothing."""
    breaks = BREAKS[rule.operator](value, rule.threshold)
    if breaks == is_broken:
        return None
    return OPENED if breaks else RESOLVED


def evaluate(observations: Sequence[Observation]) -> list[Event]:
    """Judge new values inside the caller's transaction; answers what to publish once that is committed.

    States are locked in the order of their ids. So of two writers with the same rule and sensor the second waits,
    and then sees what the first one did: both together open one alert.
    """
    rules, values = watched(observations)
    if not values:
        return []
    states = locked_states(values)
    turns = [
        turn for state in states for turn in judge(rules[state.rule_id], state, values[state.rule_id, state.sensor_id])
    ]
    changes = carry_out(turns) if turns else []
    RuleState.objects.bulk_create(
        states, update_conflicts=True, unique_fields=["pk"], update_fields=["alert", "judged_at"]
    )
    return [event(alert, name) for alert, name in changes]


def watched(observations: Sequence[Observation]) -> tuple[dict[int, Rule], dict[Pair, list[Observation]]]:
    """The rules of these organizations, and for every rule and sensor that belong together its values in time order."""
    by_sensor: dict[int, list[Observation]] = defaultdict(list)
    for observation in sorted(observations, key=operator.attrgetter("time")):
        by_sensor[observation.sensor_id].append(observation)
    organizations = {observation.organization_id for observation in observations}
    rules = Rule.objects.filter(organization__in=organizations, is_enabled=True).in_bulk()
    of_sensor: dict[int | None, list[Rule]] = defaultdict(list)
    of_type: dict[int | None, list[Rule]] = defaultdict(list)
    for rule in rules.values():
        (of_type[rule.sensor_type_id] if rule.sensor_id is None else of_sensor[rule.sensor_id]).append(rule)
    values = {
        (rule.pk, sensor_id): series
        for sensor_id, series in by_sensor.items()
        for rule in (*of_sensor.get(sensor_id, ()), *of_type.get(series[0].sensor_type_id, ()))
        if covers(rule, series[0])
    }
    return rules, values


def covers(rule: Rule, place: Observation) -> bool:
    """Does the rule watch this sensor? Whatever it names must fit; what it leaves open always does."""
    return (
        rule.organization_id == place.organization_id
        and rule.sensor_id in (None, place.sensor_id)
        and rule.sensor_type_id in (None, place.sensor_type_id)
        and rule.device_id in (None, place.device_id)
        and rule.unit_id in (None, place.unit_id)
    )


def locked_states(pairs: Iterable[Pair]) -> list[RuleState]:
    """The state of each pair, ours until the transaction ends; a pair never seen before gets one first."""
    wanted = set(pairs)
    states = _lock(wanted)
    missing = sorted(wanted - {(state.rule_id, state.sensor_id) for state in states})
    if missing:
        fresh = [RuleState(rule_id=rule, sensor_id=sensor, judged_at=NOTHING_JUDGED) for rule, sensor in missing]
        RuleState.objects.bulk_create(fresh, ignore_conflicts=True)  # another writer may just have made it
        states += _lock(set(missing))
    return states


def _lock(pairs: set[Pair]) -> list[RuleState]:
    rules, sensors = {rule for rule, _ in pairs}, {sensor for _, sensor in pairs}
    states = RuleState.objects.select_for_update().filter(rule__in=rules, sensor__in=sensors).order_by("pk")
    return [state for state in states if (state.rule_id, state.sensor_id) in pairs]


def judge(rule: Rule, state: RuleState, series: Iterable[Observation]) -> Iterator[Turn]:
    """Walk the values that are newer than all judged before, and answer where they turn.

    A state keeps its alert until the value is good again, even if a person resolves the alert before that:
    so the same excess does not open a second one.
    """
    is_broken = state.alert_id is not None
    for observation in series:
        if observation.time <= state.judged_at:
            continue
        state.judged_at = observation.time
        happened = step(rule, is_broken, observation.value)
        if happened:
            is_broken = not is_broken
            yield Turn(rule, state, observation, happened)


def carry_out(turns: Sequence[Turn]) -> list[tuple[Alert, Delivery.Event]]:
    """Open and resolve the alerts, with their deliveries; answers what changed, in order."""
    now = timezone.now()
    sensors = Sensor.objects.select_related("device").in_bulk({turn.state.sensor_id for turn in turns})
    standing = standing_alerts(turns, sensors)
    changes: list[tuple[Alert, Delivery.Event]] = []
    for turn in turns:
        if turn.event == OPENED:
            turn.state.alert = alert_for(turn, sensors[turn.state.sensor_id], now)
            changes.append((turn.state.alert, OPENED))
            continue
        alert, turn.state.alert = turn.state.alert, None
        if alert is not None:  # else a person has resolved it, and everybody knows
            alert.status, alert.resolved_at = Alert.Status.RESOLVED, now
            changes.append((alert, RESOLVED))
    Alert.objects.bulk_create([alert for alert, happened in changes if happened == OPENED])
    Alert.objects.filter(pk__in=[alert.pk for alert in standing.values()]).update(
        status=Alert.Status.RESOLVED, resolved_at=now
    )
    notify(changes)
    return changes


def standing_alerts(turns: Iterable[Turn], sensors: Mapping[int, Sensor]) -> dict[int | None, Alert]:
    """The open alerts from earlier batches that these turns resolve, locked and handed to their states."""
    wanted = {turn.state.alert_id for turn in turns if turn.state.alert_id is not None}
    alerts = Alert.objects.open().select_for_update().filter(pk__in=wanted).order_by("pk")
    standing: dict[int | None, Alert] = {alert.pk: alert for alert in alerts.prefetch_related("acknowledged_by")}
    for turn in turns:
        alert = turn.state.alert = standing.get(turn.state.alert_id)
        if alert is not None:
            alert.rule, alert.sensor = turn.rule, sensors[alert.sensor_id]
            alert.device = alert.sensor.device
    return standing


def alert_for(turn: Turn, sensor: Sensor, now: datetime) -> Alert:
    return Alert(
        organization_id=turn.rule.organization_id,
        rule=turn.rule,
        device=sensor.device,
        sensor=sensor,
        severity=turn.rule.severity,
        message=sentence(turn.rule, sensor, turn.observation.value),
        value=turn.observation.value,
        threshold=turn.rule.threshold,
        time=turn.observation.time,
        opened_at=now,
    )


def sentence(rule: Rule, sensor: Sensor, value: float) -> str:
    """`Boiler temperature 82.4 °C is above 80 °C`"""
    name = sensor.name[:1].upper() + sensor.name[1:]
    unit = f" {sensor.unit_symbol}" if sensor.unit_symbol else ""
    return f"{name} {number(value)}{unit} is {rule.get_operator_display()} {number(rule.threshold)}{unit}"


def number(value: float) -> str:
    """Seven digits that count: what a sensor of single precision says, without the noise after it."""
    return f"{value:.7g}" if abs(value) < 1e7 else f"{value:.15g}"
