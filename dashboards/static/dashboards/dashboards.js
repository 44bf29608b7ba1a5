// The list of dashboards: deleting one can be undone.

import { send } from "./api.js";
import { later, showToast } from "./undo.js";

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-delete]");
  if (!button) return;
  const row = button.closest("[data-key]");
  row.hidden = true;
  later(`Deleting “${row.querySelector("a").textContent}”`, () => remove(button.dataset.delete, row), () => (row.hidden = false));
});

async function remove(url, row) {
  try {
    await send("DELETE", url, undefined, { keepalive: true });
  } catch (problem) {
    row.hidden = false;
    const toast = showToast(problem.message, "Close", () => toast.remove());
  }
}
