// The grid of a dashboard: its tiles in their places.

import { allCharts, makeCharts } from "./chart.js";
import { fetchPage } from "./parts.js";

export const grid = document.querySelector("[data-grid]");

/** Put each tile where its data says; a narrow screen shows them one below the other. */
export function placeTiles() {
  const tiles = [...grid.querySelectorAll("[data-tile]")];
  for (const { dataset, style } of tiles) {
    for (const side of ["x", "y", "w", "h"]) style.setProperty(`--${side}`, dataset[side]);
  }
  grid.dataset.placed = "";
  document.querySelector("[data-empty]").hidden = tiles.some((tile) => !tile.hidden);
}

/** Draw all tiles anew, as the server has them now. */
export async function redraw() {
  const page = await fetchPage();
  if (!page) return;
  for (const chart of allCharts()) chart.dispose();
  grid.replaceChildren(...page.querySelector("[data-grid]").children);
  document.querySelector("#layout").textContent = page.querySelector("#layout").textContent;
  placeTiles();
  makeCharts(grid);
}
