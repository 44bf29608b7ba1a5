"""The one table of units of measurement: codes, symbols, aliases, conversion; and the built-in sensor types."""

from __future__ import annotations

from dataclasses import dataclass

TEMPERATURE, RATIO, PRESSURE, ILLUMINANCE, LEVEL = "temperature", "ratio", "pressure", "illuminance", "level"
ENERGY, POWER, VOLTAGE, CURRENT, SPEED, COUNT, NONE = "energy", "power", "voltage", "current", "speed", "count", ""
CONCENTRATION, TIME, LENGTH, SIGNAL = "concentration", "time", "length", "signal"


@dataclass(frozen=True, slots=True)
class UnitOfMeasurement:
    """`value * scale + offset` is the value in the base unit of the dimension (K, 1, Pa, lx, J, W, V, A, m/s, …)."""

    symbol: str
    dimension: str
    scale: float = 1.0
    offset: float = 0.0
    aliases: tuple[str, ...] = ()


UNITS: dict[str, UnitOfMeasurement] = {
    "celsius": UnitOfMeasurement("°C", TEMPERATURE, 1, 273.15, ("c", "degc", "cel", "℃", "deg c", "ºc")),
    "fahrenheit": UnitOfMeasurement("°F", TEMPERATURE, 5 / 9, 459.67 * 5 / 9, ("f", "degf", "℉", "deg f")),
    "kelvin": UnitOfMeasurement("K", TEMPERATURE, 1, 0, ("k",)),
    "percentage": UnitOfMeasurement("%", RATIO, 0.01, 0, ("percent", "pct", "%rh", "%el", "rh")),
    "ratio": UnitOfMeasurement("", RATIO, 1, 0, ("/",)),
    "pascal": UnitOfMeasurement("Pa", PRESSURE),
    "hectopascal": UnitOfMeasurement("hPa", PRESSURE, 100, 0, ("mbar", "millibar")),
    "kilopascal": UnitOfMeasurement("kPa", PRESSURE, 1000),
    "bar": UnitOfMeasurement("bar", PRESSURE, 100_000),
    "psi": UnitOfMeasurement("psi", PRESSURE, 6894.757293168),
    "lux": UnitOfMeasurement("lx", ILLUMINANCE),
    "decibel": UnitOfMeasurement("dB", LEVEL, 1, 0, ("decibels", "dba", "db(a)")),
    "decibel_milliwatt": UnitOfMeasurement("dBm", SIGNAL),
    "joule": UnitOfMeasurement("J", ENERGY),
    "watt_hour": UnitOfMeasurement("Wh", ENERGY, 3600),
    "kilowatt_hour": UnitOfMeasurement("kWh", ENERGY, 3_600_000),
    "watt": UnitOfMeasurement("W", POWER),
    "kilowatt": UnitOfMeasurement("kW", POWER, 1000),
    "volt": UnitOfMeasurement("V", VOLTAGE),
    "millivolt": UnitOfMeasurement("mV", VOLTAGE, 0.001),
    "ampere": UnitOfMeasurement("A", CURRENT, 1, 0, ("amp", "amps")),
    "milliampere": UnitOfMeasurement("mA", CURRENT, 0.001),
    "metre_per_second": UnitOfMeasurement("m/s", SPEED),
    "kilometre_per_hour": UnitOfMeasurement("km/h", SPEED, 1 / 3.6, 0, ("kmh", "kph")),
    "mile_per_hour": UnitOfMeasurement("mph", SPEED, 0.44704),
    "parts_per_million": UnitOfMeasurement("ppm", CONCENTRATION),
    "second": UnitOfMeasurement("s", TIME, 1, 0, ("sec", "seconds")),
    "minute": UnitOfMeasurement("min", TIME, 60, 0, ("minutes",)),
    "hour": UnitOfMeasurement("h", TIME, 3600, 0, ("hours",)),
    "metre": UnitOfMeasurement("m", LENGTH, 1, 0, ("meter", "meters", "metres")),
    "millimetre": UnitOfMeasurement("mm", LENGTH, 0.001, 0, ("millimeter",)),
    "count": UnitOfMeasurement("", COUNT, 1, 0, ("counts", "pcs")),
    "boolean": UnitOfMeasurement("", NONE, 1, 0, ("bool",)),
}

_CASED = {"mV": "millivolt", "mA": "milliampere", "kW": "kilowatt", "Pa": "pascal", "m": "metre", "K": "kelvin"}
_BY_NAME: dict[str, str] = {
    name.casefold(): code for code, unit in UNITS.items() for name in (code, unit.symbol, *unit.aliases) if name
}


class UnknownUnit(ValueError):
    """Nobody has heard of a unit of this name."""


class UnitMismatch(ValueError):
    """The two units measure different dimensions."""


def unit_code(name: str) -> str:
    """The canonical code of a unit however it was spelled: `°C`, `C` and `degC` are `celsius`. Raises UnknownUnit."""
    name = name.strip()
    code = _CASED.get(name) or _BY_NAME.get(name.casefold())
    if code is None:
        raise UnknownUnit(name)
    return code


def convert(value: float, given: str, wanted: str) -> float:
    """A value in the unit `given` as one in the unit `wanted` (both codes). Raises UnitMismatch across dimensions."""
    if given == wanted:
        return value
    source, target = UNITS[given], UNITS[wanted]
    if source.dimension != target.dimension:
        raise UnitMismatch(f"{given} is no unit of {target.dimension or wanted}")
    converted = (value * source.scale + source.offset - target.offset) / target.scale
    return float(f"{converted:.12g}")  # 68 °F is 20 °C, not 20.000000000000057


@dataclass(frozen=True, slots=True)
class Quantity:
    """A built-in sensor type; the range is what is plausible anywhere on earth or in a machine."""

    name: str
    unit: str
    minimum: float | None = None
    maximum: float | None = None
    is_boolean: bool = False
    aliases: tuple[str, ...] = ()


def _switch(name: str, *aliases: str) -> Quantity:
    return Quantity(name, "boolean", 0, 1, True, aliases)


QUANTITIES: dict[str, Quantity] = {
    "temperature": Quantity("Temperature", "celsius", -50, 1000, aliases=("temp",)),
    "humidity": Quantity("Humidity", "percentage", 0, 100, aliases=("hum", "relative_humidity")),
    "pressure": Quantity("Pressure", "pascal", 0, 10_000_000),
    "light": Quantity("Light", "lux", 0, 200_000, aliases=("luminosity", "illuminance")),
    "brightness": Quantity("Brightness", "percentage", 0, 100),
    "sound": Quantity("Sound", "decibel", 0, 200, aliases=("noise",)),
    "motion": Quantity("Motion", "count", 0, 1_000_000),
    "motion_detected": _switch("Motion detected", "occupancy", "presence"),
    "sensitivity": Quantity("Sensitivity", "percentage", 0, 100),
    "locked": _switch("Locked", "lock"),
    "contact": _switch("Contact", "door", "window"),
    "battery_level": Quantity("Battery level", "percentage", 0, 100, aliases=("battery",)),
    "power_on": _switch("Power on", "switch", "relay"),
    "energy_usage": Quantity("Energy usage", "kilowatt_hour", 0, None, aliases=("energy",)),
    "power": Quantity("Power", "watt", -1_000_000_000, 1_000_000_000),
    "voltage": Quantity("Voltage", "volt", -1_000_000, 1_000_000),
    "current": Quantity("Current", "ampere", -100_000, 100_000),
    "co2": Quantity("Carbon dioxide", "parts_per_million", 0, 100_000),
    "speed": Quantity("Speed", "metre_per_second", -100_000, 100_000),
    "distance": Quantity("Distance", "metre", 0, None),
    "signal_strength": Quantity("Signal strength", "decibel_milliwatt", -150, 20, aliases=("rssi",)),
    "occupancy_rate": Quantity("Occupancy rate", "percentage", 0, 100),
    "travel_time": Quantity("Travel time", "second", 0, None),
    "count": Quantity("Count", "count"),
}
_TYPE_BY_NAME = {name: code for code, quantity in QUANTITIES.items() for name in (code, *quantity.aliases)}


def type_code(name: str) -> str:
    """The canonical code of a sensor type: `luminosity` is `light`. Other names stay as they are, in lower case."""
    folded = name.strip().casefold()
    return _TYPE_BY_NAME.get(folded, folded)


DEVICE_TYPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "thermostat": ("Thermostat", ("temperature", "humidity", "pressure")),
    "camera": ("Camera", ("motion_detected", "brightness")),
    "motion_sensor": ("Motion sensor", ("motion_detected", "sensitivity")),
    "door_lock": ("Door lock", ("locked", "battery_level")),
    "smart_plug": ("Smart plug", ("power_on", "energy_usage")),
    "environment_sensor": (
        "Environment sensor",
        ("temperature", "humidity", "pressure", "motion", "light", "sound"),
    ),
    "generic": ("Generic device", ()),
}
