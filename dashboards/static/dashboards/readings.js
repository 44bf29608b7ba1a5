// Live values: every place on the page that shows a sensor gets its newest reading, in place.

import { tick } from "./clock.js";
import { figure } from "./figures.js";

/** Take in a frame of `/ws/live-data`; `onReading(device, sensorId, time, value)` hears of each reading. */
export function showReadings(frame, onReading) {
  for (const [device, rows] of Object.entries(frame.devices)) {
    for (const [sensorId, time, value, isAnomaly] of rows) {
      for (const place of placesOf(sensorId)) show(place, time, value, isAnomaly);
      onReading?.(device, sensorId, time, value);
    }
    showHeard(device, frame.timestamp);
  }
}

export function placesOf(sensorId, root = document) {
  return root.querySelectorAll(`[data-sensor="${sensorId}"]`);
}

/** The value as the page writes it: words for a switch, else a figure. */
export function written(place, value) {
  const words = place.dataset.words?.split(",");
  if (words && (value === 0 || value === 1)) return words[value ? 0 : 1];
  return figure(value, Number(place.dataset.decimals));
}

function show(place, time, value, isAnomaly) {
  if (Date.parse(time) < timeOf(place)) return; // arrived late: the page shows a newer one
  place.querySelector("[data-value]").textContent = written(place, value);
  place.toggleAttribute("data-anomaly", isAnomaly);
  setTime(place, time);
}

function timeOf(place) {
  return Date.parse(place.querySelector("[data-age]")?.dateTime ?? 0);
}

function showHeard(device, time) {
  for (const place of document.querySelectorAll(`[data-device="${device}"] [data-heard]`)) setTime(place, time);
}

function setTime(place, time) {
  let age = place.querySelector("[data-age]");
  if (!age) {
    age = Object.assign(document.createElement("time"), { className: "age" });
    age.dataset.age = "";
    place.querySelector(".age").replaceWith(age);
  }
  age.dateTime = time;
  age.title = "";
  tick(place);
}

/** Before `fresh` takes the place of `old`: values that came in meanwhile stay. */
export function keepNewer(old, fresh) {
  for (const place of [fresh, ...fresh.querySelectorAll("[data-sensor]")]) {
    const shown = place.dataset.sensor && (old.matches("[data-sensor]") ? old : placesOf(place.dataset.sensor, old)[0]);
    if (shown && timeOf(shown) > timeOf(place)) place.replaceChildren(...shown.cloneNode(true).childNodes);
  }
}
