// Statuses as colour, icon and word: copies of what the server drew once.

const all = document.querySelector("#badges")?.content;

export function badge(word) {
  return all.querySelector(`[data-word="${CSS.escape(word)}"]`)?.cloneNode(true) ?? document.createTextNode(word);
}

export function showBadge(place, word) {
  if (place.querySelector("[data-word]")?.dataset.word !== word) place.replaceChildren(badge(word));
}
