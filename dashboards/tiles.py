"""What the tiles of a dashboard show: which sensors, in which form."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from accounts.permissions import Actor
from dashboards.models import Dashboard, Tile
from dashboards.overview import with_reading
from devices.models import Sensor

KINDS = ("value", "chart")
RANGES = {"1 h": 3_600, "24 h": 86_400, "7 d": 604_800, "14 d": 1_209_600}
COLOURS = 8  # of charts; a sensor keeps the one of its id
MOST_SENSORS = {"value": 24, "chart": 6}  # more lines in one small chart cannot be told apart


@dataclass(frozen=True, slots=True)
class DrawnTile:
    """A tile and its sensors; `left_out` says how many there was no room for."""

    tile: Tile
    kind: str
    range_seconds: int
    device: str
    sensors: list[Sensor]
    left_out: int

    @property
    def ids(self) -> str:
        return ",".join(str(sensor.pk) for sensor in self.sensors)

    @property
    def lines(self) -> list[tuple[Sensor, int]]:
        """The sensors, each with its dash: 0 is a full line, and no two lines of one colour have the same."""
        colours = [sensor.pk % COLOURS for sensor in self.sensors]
        return [(sensor, colours[:place].count(colours[place])) for place, sensor in enumerate(self.sensors)]

    @property
    def interval(self) -> int:
        """How often the slowest of its sensors sends, in seconds."""
        return max(sensor.device.reading_interval_seconds for sensor in self.sensors)


def drawn(actor: Actor, dashboard: Dashboard) -> list[DrawnTile]:
    """The tiles in reading order. A query for each sensor type and device that they name, however many tiles do."""
    found: dict[tuple[str, str], list[Sensor]] = {}
    tiles = []
    for tile in dashboard.tiles.all():
        kind = tile.options.get("kind") if tile.options.get("kind") in KINDS else KINDS[0]
        device = _device(tile)
        if (tile.sensor_type, device) not in found:
            found[tile.sensor_type, device] = _sensors(actor, tile.sensor_type, device)
        sensors = found[tile.sensor_type, device]
        most = MOST_SENSORS[kind]
        tiles.append(DrawnTile(tile, kind, _range(tile), device, sensors[:most], max(0, len(sensors) - most)))
    return tiles


def _sensors(actor: Actor, sensor_type: str, device: str) -> list[Sensor]:
    sensors = Sensor.objects.visible_to(actor).filter(sensor_type__code=sensor_type)
    if device:
        sensors = sensors.filter(device__uuid=device)
    return list(with_reading(sensors).order_by("device__name", "key")[:200])


def _device(tile: Tile) -> str:
    try:
        return str(UUID(tile.options.get("device", "")))
    except (ValueError, AttributeError, TypeError):
        return ""  # whatever another frontend keeps under this key


def _range(tile: Tile) -> int:
    wanted = tile.options.get("range")
    return wanted if wanted in RANGES.values() else RANGES["1 h"]
