import assert from "node:assert/strict";
import { test } from "node:test";

import { added, arranged, removed } from "../../static/dashboards/layout.js";

const tile = (id, x, y, w, h) => ({ id, title: id, colour: "red", layout: { i: id, x, y, w, h } });
const places = (tiles) => Object.fromEntries(tiles.map(({ id, layout }) => [id, [layout.x, layout.y, layout.w, layout.h]]));

test("a tile that moves pushes down what is in its way", () => {
  const tiles = [tile("a", 0, 0, 6, 2), tile("b", 6, 0, 6, 2), tile("c", 6, 2, 6, 2)];
  assert.deepEqual(places(arranged(tiles, "a", { dx: 3 })), { a: [3, 0, 6, 2], b: [6, 2, 6, 2], c: [6, 4, 6, 2] });
});

test("a tile that moves up changes places with the one above", () => {
  const tiles = [tile("a", 0, 0, 4, 2), tile("b", 0, 2, 4, 3)];
  assert.deepEqual(places(arranged(tiles, "b", { dy: -1 })), { a: [0, 4, 4, 2], b: [0, 1, 4, 3] });
});

test("no tile leaves the grid, however far it is pushed", () => {
  const tiles = [tile("a", 2, 1, 4, 2)];
  assert.deepEqual(places(arranged(tiles, "a", { dx: -9, dy: -9 })), { a: [0, 0, 4, 2] });
  assert.deepEqual(places(arranged(tiles, "a", { dx: 99 })), { a: [8, 1, 4, 2] });
  assert.deepEqual(places(arranged(tiles, "a", { dw: 99, dh: 99 })), { a: [0, 1, 12, 50] });
  assert.deepEqual(places(arranged(tiles, "a", { dw: -99, dh: -99 })), { a: [2, 1, 1, 1] });
});

test("what a tile carries besides its place stays with it, and the old layout stays as it was", () => {
  const tiles = [tile("a", 0, 0, 4, 2)];
  assert.equal(arranged(tiles, "a", { dx: 1 })[0].colour, "red");
  assert.deepEqual(places(tiles), { a: [0, 0, 4, 2] });
});

test("a new tile takes the first free place that is large enough", () => {
  const tiles = [tile("a", 0, 0, 8, 2), tile("b", 0, 2, 12, 1)];
  const place = (w, h) => places(added(tiles, { id: "n", layout: { w, h } })).n;
  assert.deepEqual(place(4, 2), [8, 0, 4, 2]);
  assert.deepEqual(place(4, 3), [0, 3, 4, 3]);
  assert.deepEqual(places(added([], { id: "n", layout: { w: 4, h: 3 } })).n, [0, 0, 4, 3]);
});

test("a removed tile leaves the others where they are", () => {
  assert.deepEqual(places(removed([tile("a", 0, 0, 4, 2), tile("b", 0, 2, 4, 2)], "a")), { b: [0, 2, 4, 2] });
});
