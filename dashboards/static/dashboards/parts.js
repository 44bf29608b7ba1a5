// Reading the page again: the server draws it, and each `data-part` of it takes the place of the old one.
// What is pointed at or has the focus is left alone until it is let go, so that nothing moves under a hand.

import { tick } from "./clock.js";
import { keepNewer } from "./readings.js";

const GATHER_MS = 150; // what happens together is read together
const REST_MS = 1000; // at most one request in this time, however much happens

let timer = null;
let readAt = -Infinity;

/** Read the page again soon; calls that come close together share one request. */
export function refresh() {
  timer ??= setTimeout(readAgain, Math.max(GATHER_MS, readAt + REST_MS - performance.now()));
}

async function readAgain() {
  timer = null;
  readAt = performance.now();
  const fresh = await fetchPage();
  if (fresh) replaceParts(fresh);
}

/** This page as the server draws it now; null when it cannot be had. */
export async function fetchPage() {
  try {
    const response = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } });
    if (response.redirected) location.reload(); // signed out: the server asks to sign in
    return response.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
  } catch {
    return null; // the stream that noticed says so and reads again when it is back
  }
}

function replaceParts(page) {
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (!fresh || fresh.isEqualNode(part)) continue;
    if (isHeld(part)) refreshWhenLetGo(part);
    else replace(part, fresh);
  }
  for (const list of document.querySelectorAll("[data-rows]")) {
    mergeRows(list, page.querySelector(`[data-rows="${list.dataset.rows}"]`));
  }
  tick();
}

function replace(old, fresh) {
  keepNewer(old, fresh);
  old.replaceWith(fresh);
}

function isHeld(part) {
  const isPointedAt = matchMedia("(hover: hover)").matches && part.matches(":hover");
  return (isPointedAt && part.querySelector("a, button")) || part.contains(document.activeElement);
}

function refreshWhenLetGo(part) {
  if ("waits" in part.dataset) return;
  part.dataset.waits = "";
  const retry = () => {
    delete part.dataset.waits;
    setTimeout(refresh);
  };
  part.addEventListener(part.contains(document.activeElement) ? "focusout" : "pointerleave", retry, { once: true });
}

/** Rows change where they stand; those that left the list stay dimmed, new ones wait to be asked for. */
function mergeRows(list, fresh) {
  if (!list.children.length) return void list.replaceChildren(...fresh.children);
  const rows = new Map([...fresh.cloneNode(true).children].map((row) => [row.dataset.key, row]));
  for (const row of [...list.children]) {
    const newer = rows.get(row.dataset.key);
    row.toggleAttribute("data-gone", !newer);
    if (newer && !newer.isEqualNode(row)) replaceRow(row, newer);
    rows.delete(row.dataset.key);
  }
  list.dispatchEvent(new CustomEvent("newrows", { detail: { count: rows.size, show: () => list.replaceWith(fresh) } }));
}

function replaceRow(row, newer) {
  keepNewer(row, newer);
  const focused = row.contains(document.activeElement) ? document.activeElement : null;
  row.replaceWith(newer);
  if (focused) (newer.querySelector(`[data-${focused.dataset.post ? "post" : "later"}]`) ?? newer.querySelector("a"))?.focus();
}
