// The list of devices, live.

import { showBadge } from "./badges.js";
import { listen } from "./live.js";
import { showReadings } from "./readings.js";

const devices = [...document.querySelectorAll("tr[data-device]")].map((row) => row.dataset.device);

if (devices.length) {
  listen("/ws/live-data", "readings", (frame) => showReadings(frame), devices);
  listen("/ws/device-status", "device_status", ({ data }) => {
    const place = document.querySelector(`[data-device="${data.device}"] [data-status]`);
    if (place) showBadge(place, data.status);
  });
}
