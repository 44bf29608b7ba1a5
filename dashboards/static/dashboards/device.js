// A device: values and charts of its sensors, how to send, its key.

import { send, showProblem } from "./api.js";
import { showBadge } from "./badges.js";
import { allCharts, appendReading, makeCharts } from "./chart.js";
import { listen } from "./live.js";
import { refresh } from "./parts.js";
import { placesOf, showReadings } from "./readings.js";
import { showToast } from "./undo.js";

const head = document.querySelector(".head[data-device]");
const { device } = head.dataset;
const KEY_PLACE = "DEVICE_KEY";

makeCharts();

listen("/ws/live-data", "readings", (frame) => showReadings(frame, takeReading), [device]);
listen("/ws/device-status", "device_status", ({ data }) => {
  if (data.device === device) showBadge(head.querySelector("[data-status]"), data.status);
});
listen("/ws/alerts", "alert", ({ data }) => data.device === device && refresh());

let offer = null;
function takeReading(of, sensorId, time, value) {
  if (of !== device) return; // what came before the subscription was taken
  appendReading(sensorId, time, value);
  if (!placesOf(sensorId).length) offer ??= showToast("A new sensor has begun to send.", "Show it", () => location.reload());
}

const ranges = document.querySelectorAll("[data-range]");
for (const button of ranges) {
  button.addEventListener("click", () => {
    for (const each of ranges) each.setAttribute("aria-pressed", each === button);
    for (const chart of allCharts()) chart.setRange(Number(button.dataset.range));
  });
}

const sending = document.querySelector("[data-sending]");
sending.querySelector("[data-issue]")?.addEventListener("click", async ({ target }) => {
  target.disabled = true;
  showProblem(sending, null);
  try {
    const { secret } = await send("POST", target.dataset.issue, {});
    for (const code of sending.querySelectorAll(".command code")) code.textContent = code.textContent.replace(KEY_PLACE, secret);
    sending.querySelector("[data-key-offer]").hidden = true;
    sending.querySelector("[data-key-issued]").hidden = false;
  } catch (problem) {
    showProblem(sending, problem);
    target.disabled = false;
  }
});
