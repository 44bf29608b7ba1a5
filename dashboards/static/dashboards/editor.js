// The editor of a dashboard: add, move, resize, rename and remove tiles; undo; save the layout as a whole.

import { send, showProblem } from "./api.js";
import { grid, placeTiles, redraw } from "./grid.js";
import { added, arranged, COLUMNS, removed } from "./layout.js";

const SIZES = { value: { w: 4, h: 3 }, chart: { w: 6, h: 4 } };
const DEEDS = {
  left: { dx: -1 }, right: { dx: 1 }, up: { dy: -1 }, down: { dy: 1 },
  narrower: { dw: -1 }, wider: { dw: 1 }, shorter: { dh: -1 }, taller: { dh: 1 },
};
const KEYS = { ArrowLeft: ["left", "narrower"], ArrowRight: ["right", "wider"], ArrowUp: ["up", "shorter"], ArrowDown: ["down", "taller"] };

const editor = document.querySelector("#editor");
const saveButton = editor.querySelector("[data-save-layout]");
const undoButton = editor.querySelector("[data-undo]");
const doneButton = editor.querySelector("[data-done]");
const saved = editor.querySelector("[data-saved]");

let tiles = [];
let before = []; // what undo goes back to, the newest last
let renaming = null; // the tile whose title is being typed: all its letters are one change

function start() {
  tiles = JSON.parse(document.querySelector("#layout").textContent).tiles;
  before = [];
  setEditing(true);
  show();
  editor.querySelector("select").focus();
}

function stop() {
  before = [];
  saved.textContent = "";
  setEditing(false);
  redraw();
}

function setEditing(isEditing) {
  editor.hidden = !isEditing;
  grid.toggleAttribute("data-editing", isEditing);
  for (const button of document.querySelectorAll("[data-edit]")) button.hidden = isEditing;
}

function change(next) {
  renaming = null;
  before.push(tiles);
  tiles = next;
  saved.textContent = "Not saved yet.";
  show();
}

function undo() {
  renaming = null;
  tiles = before.pop() ?? tiles;
  saved.textContent = before.length ? "Not saved yet." : "";
  show();
}

/** The grid as `tiles` says; tiles keep their element, so focus and charts stay. */
function show() {
  const known = new Map([...grid.querySelectorAll("[data-tile]")].map((element) => [element.dataset.tile, element]));
  for (const tile of tiles) {
    const element = known.get(tile.id) ?? grid.appendChild(placeholder(tile));
    known.delete(tile.id);
    for (const side of ["x", "y", "w", "h"]) element.dataset[side] = tile.layout[side];
    element.hidden = false;
    equip(element, tile);
  }
  for (const element of known.values()) element.hidden = true; // undo may bring it back
  placeTiles();
  saveButton.disabled = undoButton.disabled = !before.length;
  doneButton.textContent = before.length ? "Discard changes" : "Close";
}

function placeholder(tile) {
  const element = Object.assign(document.createElement("article"), { className: "tile" });
  element.dataset.tile = tile.id;
  const heading = document.createElement("h2");
  const text = Object.assign(document.createElement("p"), { className: "empty", textContent: "Its sensors appear when you save." });
  element.append(heading, text);
  return element;
}

function equip(element, tile) {
  const tools = element.querySelector(".tools") ?? element.insertAdjacentElement("afterbegin", newTools());
  const input = tools.querySelector("[data-title]");
  if (input !== document.activeElement) input.value = tile.title;
  element.querySelector("h2").textContent = tile.title || tile.id;
}

function newTools() {
  return document.querySelector("#tile-tools").content.firstElementChild.cloneNode(true);
}

function idOf(target) {
  return target.closest("[data-tile]").dataset.tile;
}

function add(form) {
  const { sensorType, device, kind, title } = Object.fromEntries(new FormData(form));
  const option = form.elements.kind.selectedOptions[0];
  const tile = {
    id: `${sensorType}-${Date.now().toString(36)}`,
    title: title || form.elements.sensorType.selectedOptions[0].text,
    sensorType,
    layout: { ...SIZES[kind] },
    kind,
    ...(device && { device }),
    ...(kind === "chart" && { range: Number(option.dataset.range) }),
  };
  change(added(tiles, tile));
  form.elements.title.value = "";
}

async function save() {
  showProblem(editor, null);
  saveButton.disabled = true;
  try {
    const { savedTiles } = await send("POST", editor.dataset.save, { tiles });
    before = [];
    await redraw();
    show();
    saved.textContent = `Saved ${savedTiles} tile${savedTiles === 1 ? "" : "s"}.`;
  } catch (problem) {
    showProblem(editor, problem);
    saveButton.disabled = false;
  }
}

document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-edit]")) return start();
  const deed = target.closest("[data-do]")?.dataset.do;
  if (deed === "remove") change(removed(tiles, idOf(target)));
  else if (DEEDS[deed]) change(arranged(tiles, idOf(target), DEEDS[deed]));
});
editor.querySelector("[data-add]").addEventListener("submit", (event) => {
  event.preventDefault();
  add(event.target);
});
saveButton.addEventListener("click", save);
undoButton.addEventListener("click", undo);
doneButton.addEventListener("click", stop);

grid.addEventListener("keydown", (event) => {
  const deeds = event.target.closest('[data-do="grip"]') && KEYS[event.key];
  if (!deeds) return;
  event.preventDefault();
  change(arranged(tiles, idOf(event.target), DEEDS[deeds[event.shiftKey ? 1 : 0]]));
});

grid.addEventListener("input", ({ target }) => {
  if (!target.matches("[data-title]")) return;
  const id = idOf(target);
  if (renaming === id) tiles = before.pop();
  change(tiles.map((tile) => (tile.id === id ? { ...tile, title: target.value } : tile)));
  renaming = id;
});

/** Dragging the grip moves the tile by whole cells; letting go is one change, so one undo takes it back. */
grid.addEventListener("pointerdown", (event) => {
  const grip = event.target.closest('[data-do="grip"]');
  if (!grip) return;
  const [id, start, origin] = [idOf(grip), tiles, event];
  const cell = grid.clientWidth / COLUMNS;
  const row = parseFloat(getComputedStyle(grid).gridAutoRows) + parseFloat(getComputedStyle(grid).rowGap);
  const move = ({ clientX, clientY }) => {
    tiles = arranged(start, id, { dx: Math.round((clientX - origin.clientX) / cell), dy: Math.round((clientY - origin.clientY) / row) });
    show();
  };
  const drop = () => {
    grip.removeEventListener("pointermove", move);
    const moved = tiles;
    tiles = start;
    if (moved !== start) change(moved);
  };
  grip.setPointerCapture(event.pointerId);
  grip.addEventListener("pointermove", move);
  grip.addEventListener("lostpointercapture", drop, { once: true });
});

addEventListener("beforeunload", (event) => before.length && event.preventDefault());
