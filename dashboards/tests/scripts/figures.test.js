import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { age, figure } from "../../static/dashboards/figures.js";

const cases = JSON.parse(readFileSync(new URL("../figures.json", import.meta.url)));

test("a value is written as the server writes it", () => {
  for (const [value, mostDecimals, text] of cases.figures) assert.equal(figure(value, mostDecimals), text);
});

test("an age is written as the server writes it", () => {
  for (const [seconds, text] of cases.ages) assert.equal(age(seconds), text);
});
