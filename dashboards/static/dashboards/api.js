// Requests to the API with the session of this page.

const csrf = document.querySelector("[data-csrf]")?.dataset.csrf;

/** What went wrong, in words for the person at the screen. */
export class Problem extends Error {}

/** The answer's JSON; null where it has none. Throws Problem. */
export async function send(method, url, body, options = {}) {
  const headers = { Accept: "application/json", "X-CSRFToken": csrf };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), ...options });
  } catch {
    throw new Problem("The platform could not be reached; try again.");
  }
  const text = await response.text();
  if (!response.ok) throw new Problem(explained(response.status, text));
  return text ? JSON.parse(text) : null;
}

export function read(url) {
  return send("GET", url, undefined, { cache: "no-store" });
}

function explained(status, text) {
  if (status === 401) return "You are signed out. Reload the page to sign in again.";
  try {
    const errors = JSON.parse(text).errors;
    return errors.map(({ attr, detail }) => (attr && attr !== "non_field_errors" ? `${attr}: ${detail}` : detail)).join(" ");
  } catch {
    return `The platform answered with ${status}; try again.`;
  }
}

/** Show a problem where the form keeps a place for it; null takes it away. */
export function showProblem(root, problem) {
  const place = root.querySelector("[data-problem]");
  place.hidden = !problem;
  place.textContent = problem?.message ?? "";
}
