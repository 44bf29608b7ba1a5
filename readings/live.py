"""Readings on their way to sockets: what the corridor hands over, and how each stream shows it."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from channels.db import database_sync_to_async

from accounts.live import Event, OrganizationConsumer, now_text, text_of
from accounts.permissions import Actor
from devices.models import Device

if TYPE_CHECKING:
    from readings.ingest import Candidate, Message

SUBSCRIPTIONS = 100
UUID_PATTERN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def frames_of(candidates: Sequence[Candidate], messages: Sequence[Message]) -> list[Event]:
    """One item per new reading: [device, sensor id, sensor key, type, topic, time, value, anomaly]."""
    return [
        (
            candidate.device.organization_id,
            "readings",
            [
                candidate.device.uuid,
                candidate.sensor.id,
                candidate.sensor.key,
                candidate.sensor.type_code,
                messages[candidate.message].topic,
                text_of(candidate.row.time),
                candidate.row.value,
                candidate.row.is_anomaly,
            ],
        )
        for candidate in candidates
    ]


class LiveDataConsumer(OrganizationConsumer):
    """Every new reading, grouped by device; `{"type": "subscribe", "devices": [uuid, …]}` narrows it."""

    kinds = frozenset({"readings"})
    features = ("readings",)
    devices: frozenset[str] | None = None

    def answers(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        return {**super().answers(), "subscribe": self.subscribe}

    async def subscribe(self, message: dict[str, Any]) -> None:
        wanted = message.get("devices")
        if not isinstance(wanted, list) or len(wanted) > SUBSCRIPTIONS:
            await self.strike(f"`devices` is a list of at most {SUBSCRIPTIONS} device UUIDs.")
            return
        visible = await database_sync_to_async(visible_devices)(self.actor, wanted)
        unknown = [uuid for uuid in wanted if not isinstance(uuid, str) or uuid not in visible]
        if unknown:
            await self.strike(f"There is no device {str(unknown[0])[:60]!r}.")
            return
        self.devices = frozenset(visible)
        await self.send_json({"type": "subscribed", "data": {"devices": sorted(visible)}, "timestamp": now_text()})

    def render(self, kind: str, items: list[Any]) -> list[dict[str, Any]]:
        grouped: dict[str, list[list[Any]]] = defaultdict(list)
        for device, sensor_id, _, _, _, time, value, anomaly in items:
            if self.devices is None or device in self.devices:
                grouped[device].append([sensor_id, time, value, anomaly])
        return [{"type": "readings", "devices": grouped, "timestamp": now_text()}] if grouped else []


def visible_devices(actor: Actor | None, wanted: list[Any]) -> set[str]:
    """Those of the UUIDs that are devices which the caller may see."""
    if actor is None:
        return set()
    uuids = {UUID(text) for text in wanted if isinstance(text, str) and UUID_PATTERN.fullmatch(text)}
    found = Device.objects.visible_to(actor).filter(uuid__in=uuids).values_list("uuid", flat=True)
    return {str(uuid) for uuid in found}


class EverythingConsumer(OrganizationConsumer):
    """All that the caller may see: one frame a sensor with its newest value, at most two a second each."""

    INTERVAL_SECONDS = 0.5

    kinds = frozenset({"readings", "alert", "device_status", "system_status"})
    features: ClassVar[tuple[str, ...]] = ("sensor_data", "system_status", "anomaly_alerts")
    greeting = "Connected to the real-time stream"

    async def welcome(self) -> None:
        self.newest: dict[int, list[Any]] = {}
        self.start(self.send_newest())
        await super().welcome()

    def render(self, kind: str, items: list[Any]) -> list[dict[str, Any]]:
        if kind != "readings":
            return super().render(kind, items)
        self.newest.update((item[1], item) for item in items)
        return [
            {"type": "anomaly_alert", "data": _sensor_data(item), "timestamp": now_text()} for item in items if item[-1]
        ]

    async def send_newest(self) -> None:
        while True:
            await asyncio.sleep(self.INTERVAL_SECONDS)
            items, self.newest = self.newest, {}
            for item in items.values():
                await self.send_json({"type": "sensor_data", "data": _sensor_data(item), "timestamp": now_text()})


def _sensor_data(item: list[Any]) -> dict[str, Any]:
    device, sensor_id, sensor_key, sensor_type, topic, time, value, anomaly = item
    return {
        "topic": topic or f"devices/{device}/up/readings",
        "payload": {"ts": time, "type": sensor_type, "value": value, "anomaly": anomaly},
        "device": device,
        "sensor_id": sensor_id,
        "sensor_key": sensor_key,
        "sensor_type": sensor_type,
        "value": value,
        "anomaly": anomaly,
    }
