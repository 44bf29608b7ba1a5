// Undo rather than "are you sure": the deed waits a few seconds in which it can be taken back.

const WAIT_MS = 6000;

/** Say what is being done, then do it, unless it is undone first. Leaving the page does it at once. */
export function later(text, deed, undone) {
  const toast = showToast(text, "Undo", () => {
    settle();
    undone?.();
  });
  const run = () => {
    settle();
    deed();
  };
  const settle = () => {
    clearTimeout(timer);
    removeEventListener("pagehide", run);
    toast.remove();
  };
  const timer = setTimeout(run, WAIT_MS);
  addEventListener("pagehide", run);
}

/** A line at the edge of the screen, with a button. */
export function showToast(text, label, onClick) {
  const toast = Object.assign(document.createElement("p"), { className: "toast" });
  const button = Object.assign(document.createElement("button"), { className: "button small", type: "button", textContent: label });
  button.addEventListener("click", onClick);
  toast.append(Object.assign(document.createElement("span"), { textContent: text }), button);
  document.querySelector("[data-toasts]").append(toast);
  return toast;
}
