// Streams of live frames: they come back by themselves, notice what they missed, and say how they are.

import { showBadge } from "./badges.js";
import { serverSays } from "./clock.js";
import { age } from "./figures.js";
import { refresh } from "./parts.js";

const SHORTEST_MS = 1000;
const LONGEST_MS = 30_000;
const PING_MS = 20_000;
const SILENT_MS = 35_000; // no pong, no frame: the line is dead although nobody closed it
const PATIENCE_MS = 4000; // a shorter gap is not worth a banner
const ASIDE_MS = 60_000; // a page that nobody sees lets its streams go
const SIGNED_OUT = 4401;

const streams = new Set();

/** Listen to a stream: `onFrame(frame)` for frames of this type, of these devices or of all. */
export function listen(path, type, onFrame, devices) {
  const stream = new Stream(path, type, onFrame, devices);
  streams.add(stream);
  stream.open();
}

class Stream {
  constructor(path, type, onFrame, devices) {
    Object.assign(this, { path, type, onFrame, devices, socket: null, attempt: 0, lostAt: null, retryAt: null, isLive: false });
  }

  open() {
    clearTimeout(this.timer);
    this.retryAt = null;
    this.seq = 0;
    this.heardAt = Date.now();
    const socket = (this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.path}`));
    socket.onmessage = ({ data }) => socket === this.socket && this.received(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.socket && this.lost(code);
    this.pulse = setInterval(() => this.ping(), PING_MS);
  }

  received(frame) {
    this.heardAt = Date.now();
    serverSays(frame.timestamp);
    if (frame.type === "connection_established") return this.established();
    if (frame.seq === undefined) return;
    if (frame.seq !== this.seq + 1) reread();
    this.seq = frame.seq;
    if (frame.type === this.type) this.onFrame(frame);
  }

  established() {
    Object.assign(this, { attempt: 0, lostAt: null, isLive: true });
    if (this.devices) this.socket.send(JSON.stringify({ type: "subscribe", devices: this.devices }));
    reread(); // of what happened before, this stream knows nothing
    showConnection();
  }

  ping() {
    if (Date.now() - this.heardAt > SILENT_MS) return this.lost();
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type: "ping", timestamp: Date.now() }));
  }

  lost(code) {
    this.leave();
    this.lostAt ??= Date.now();
    this.isSignedOut = code === SIGNED_OUT;
    const wait = Math.min(LONGEST_MS, SHORTEST_MS * 2 ** this.attempt++) * (0.75 + Math.random() / 4);
    this.retryAt = Date.now() + Math.max(SHORTEST_MS, wait);
    this.timer = setTimeout(() => this.open(), this.retryAt - Date.now());
    showConnection();
  }

  leave() {
    clearInterval(this.pulse);
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null; // what it still says is no longer heard
    this.isLive = false;
    socket?.close();
  }
}

/** Something may have been missed: the page and whoever listens for `reread` read it by HTTP. */
function reread() {
  refresh();
  document.dispatchEvent(new Event("reread"));
}

function retry() {
  for (const stream of streams) if (!stream.socket) stream.open();
}

function showConnection() {
  const all = [...streams];
  const lost = all.filter((stream) => stream.lostAt);
  const word = lost.length ? "reconnecting" : all.every((stream) => stream.isLive) ? "live" : "connecting";
  const chip = document.querySelector("[data-connection]");
  chip.dataset.on = "";
  showBadge(chip, word);
  showBanner(lost);
}

function showBanner(lost) {
  const since = Math.min(...lost.map((stream) => stream.lostAt));
  const banner = document.querySelector("[data-lost]");
  banner.hidden = !(Date.now() - since > PATIENCE_MS);
  if (banner.hidden) return;
  const wait = Math.max(0, Math.min(...lost.map((stream) => stream.retryAt ?? 0)) - Date.now()) / 1000;
  const again = wait ? `trying again in ${Math.ceil(wait)} s.` : "trying again now.";
  const text = lost.some((stream) => stream.isSignedOut)
    ? "You are signed out here: these values stand still. Sign in again in this or another tab, then try."
    : `Connection lost ${age((Date.now() - since) / 1000)}: values are from before, ${again}`;
  const place = banner.querySelector("[data-lost-text]");
  if (place.textContent !== text) place.textContent = text;
}

setInterval(() => streams.size && showConnection(), 1000);
document.querySelector("[data-retry]")?.addEventListener("click", retry);
addEventListener("online", retry);
addEventListener("offline", () => streams.forEach((stream) => stream.isLive && stream.lost()));

let aside;
document.addEventListener("visibilitychange", () => {
  clearTimeout(aside);
  if (document.hidden) aside = setTimeout(() => streams.forEach((stream) => stream.leave()), ASIDE_MS);
  else retry();
});
