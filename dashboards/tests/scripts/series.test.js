import assert from "node:assert/strict";
import { test } from "node:test";

import { appended, extent, gapLength, isLone, pointsOf, withGaps } from "../../static/dashboards/series.js";

const at = (...times) => times.map((time) => [time, 1, 1, 1]);
const timesOf = (points) => points.map(([time]) => time);

test("columns become points", () => {
  assert.deepEqual(pointsOf({ times: [1, 2], min: [3, 4], max: [7, 8], avg: [5, 6] }), [[1, 3, 7, 5], [2, 4, 8, 6]]);
});

test("a line breaks where readings are missing, and only there", () => {
  const points = withGaps(at(0, 1000, 2000, 9000), 3000);
  assert.deepEqual(timesOf(points), [0, 1000, 2000, 2001, 9000]);
  assert.equal(points[3][3], null);
});

test("how long a gap is depends on how often the sensor sends, and on what is drawn", () => {
  assert.equal(gapLength(at(0, 1000, 2000), 10, 0), 30_000);
  assert.equal(gapLength(at(0, 1000, 2000), 1, 60), 180_000);
  assert.equal(gapLength(at(0, 50_000, 100_000), 1, 0), 150_000);
  assert.equal(gapLength([], 10, 0), 30_000);
});

test("a reading takes its place by time, one that came again replaces itself, old ones leave", () => {
  assert.deepEqual(timesOf(appended(at(1, 2, 3), 4, 9, 2)), [2, 3, 4]);
  assert.deepEqual(timesOf(appended(at(1, 2, 4), 3, 9, 0)), [1, 2, 3, 4]);
  assert.deepEqual(appended(at(1), 1, 9, 0), [[1, 9, 9, 9]]);
});

test("the extent spans the lowest and the highest value, not the means", () => {
  assert.deepEqual(extent([[1, 3, 7, 5], [2, 4, 8, 6]]), [3, 8]);
  assert.equal(extent([]), null);
});

test("a point between two gaps is a lone one", () => {
  const points = withGaps(at(0, 10_000, 10_500), 1000);
  assert.equal(isLone(points, 0), true);
  assert.equal(isLone(points, 1), false);
  assert.equal(isLone(points, 2), false);
});
