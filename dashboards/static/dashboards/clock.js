// The server's time, whatever the clock of this machine says, and the ages that tick with it.

import { age } from "./figures.js";

const TOLERATED_MS = 2000;

let ahead = 0;

/** Each live frame says what time it is at the server. */
export function serverSays(time) {
  const difference = Date.parse(time) - Date.now();
  if (Number.isFinite(difference)) ahead = Math.abs(difference) > TOLERATED_MS ? difference : 0;
}

/** Milliseconds since 1970. */
export function now() {
  return Date.now() + ahead;
}

export function secondsSince(time) {
  return (now() - Date.parse(time)) / 1000;
}

/** Write every age anew, and let values that have grown old look old. */
export function tick(root = document) {
  for (const element of root.querySelectorAll("[data-age]")) {
    const seconds = secondsSince(element.dateTime);
    const text = age(seconds);
    if (element.textContent !== text) element.textContent = text;
    element.title ||= new Date(element.dateTime).toLocaleString();
    const reading = element.closest("[data-stale-after]");
    reading?.toggleAttribute("data-stale", seconds > Number(reading.dataset.staleAfter));
  }
}

setInterval(tick, 1000, document);
tick();
