// How a number and an age are written on pages; figures.py writes them the same way.

const NARROW_SPACE = "\u202f";
const MINUS = "\u2212";

/** A value in three or four digits that count: 0.123, 3.14, 21.4, 101 325, 1.20e12. */
export function figure(value, mostDecimals = 3) {
  const size = Math.abs(value);
  const text = size === 0 ? "0" : size >= 1e9 || size < 1e-3 ? exponential(size) : grouped(size, mostDecimals);
  return value < 0 ? MINUS + text : text;
}

function exponential(size) {
  return size.toExponential(2).replace("e+", "e");
}

function grouped(size, mostDecimals) {
  const decimals = Math.min(mostDecimals, size < 1 ? 3 : size < 10 ? 2 : size < 1000 ? 1 : 0);
  const [whole, fraction] = size.toFixed(decimals).split(".");
  const groups = whole.replace(/\B(?=(\d{3})+$)/g, NARROW_SPACE);
  return fraction ? `${groups}.${fraction}` : groups;
}

/** How long ago something was, in its largest whole unit. */
export function age(seconds) {
  if (seconds < 1) return "now";
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  }
  return `${Math.floor(seconds)} s ago`;
}
