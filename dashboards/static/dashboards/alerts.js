// The list of alerts: acknowledge, resolve, and what others do meanwhile.

import { send } from "./api.js";
import { listen } from "./live.js";
import { refresh } from "./parts.js";
import { showReadings } from "./readings.js";
import { later, showToast } from "./undo.js";

listen("/ws/alerts", "alert", refresh);
listen("/ws/live-data", "readings", (frame) => showReadings(frame));

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-post], [data-later]");
  if (button?.dataset.post) act(button.dataset.post);
  if (button?.dataset.later) resolve(button);
});

function resolve(button) {
  const row = button.closest("[data-key]");
  const url = button.dataset.later;
  button.disabled = true;
  later(`Resolving “${row.querySelector(".alert-message").textContent}”`, () => act(url), () => (button.disabled = false));
}

async function act(url) {
  try {
    await send("POST", url, undefined, { keepalive: true });
  } catch (problem) {
    const toast = showToast(problem.message, "Close", () => toast.remove());
  }
  refresh();
}

const showNew = document.querySelector("[data-show-new]");
document.addEventListener("newrows", ({ detail: { count, show } }) => {
  showNew.disabled = !count;
  showNew.textContent = count ? `Show ${count} new alert${count > 1 ? "s" : ""}` : "";
  showNew.onclick = () => {
    show();
    showNew.disabled = true;
    showNew.textContent = "";
  };
}, true);
