// Arithmetic of the grid of twelve columns. Every function answers new tiles and leaves the old ones as they were.

export const COLUMNS = 12;
const TALLEST = 50;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function overlap(a, b) {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

/** The tiles without overlaps: `first` keeps its place, those in its way move down. */
export function settled(tiles, first) {
  const order = tiles.toSorted((a, b) => (b.id === first) - (a.id === first) || a.layout.y - b.layout.y || a.layout.x - b.layout.x);
  const placed = [];
  for (const tile of order) {
    const place = { ...tile.layout };
    while (placed.some((other) => overlap(place, other.layout))) place.y += 1;
    placed.push({ ...tile, layout: place });
  }
  return tiles.map(({ id }) => placed.find((tile) => tile.id === id));
}

/** One tile moved and resized by so many cells. */
export function arranged(tiles, id, { dx = 0, dy = 0, dw = 0, dh = 0 }) {
  const changed = tiles.map((tile) => {
    if (tile.id !== id) return tile;
    const { layout } = tile;
    const w = clamp(layout.w + dw, 1, COLUMNS);
    const x = clamp(layout.x + dx, 0, COLUMNS - w);
    return { ...tile, layout: { ...layout, x, y: Math.max(0, layout.y + dy), w, h: clamp(layout.h + dh, 1, TALLEST) } };
  });
  return settled(changed, id);
}

/** One more tile, in the first place below that has room. */
export function added(tiles, tile) {
  const bottom = Math.max(0, ...tiles.map(({ layout }) => layout.y + layout.h));
  const { w, h } = tile.layout;
  for (let y = 0; y < bottom; y += 1) {
    for (let x = 0; x <= COLUMNS - w; x += 1) {
      if (!tiles.some((other) => overlap({ x, y, w, h }, other.layout))) return [...tiles, at(tile, x, y)];
    }
  }
  return [...tiles, at(tile, 0, bottom)];
}

function at(tile, x, y) {
  return { ...tile, layout: { ...tile.layout, i: tile.id, x, y } };
}

export function removed(tiles, id) {
  return tiles.filter((tile) => tile.id !== id);
}
