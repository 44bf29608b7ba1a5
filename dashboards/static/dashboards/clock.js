// The server's time, whatever the clock of this machine says, and the ages that tick with it.

import { age } from "./figures.js";

const rendered = Number(document.querySelector("[data-now]")?.dataset.now) * 1000;
const ahead = Math.abs(rendered - Date.now()) > 60_000 ? rendered - Date.now() : 0; // a page kept by the browser is not a wrong clock

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
