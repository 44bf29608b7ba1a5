// What every page does: ticking ages, the theme, menus, copying, and forms that create something.

import { send, showProblem } from "./api.js";
import "./clock.js";

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
document.querySelector("[data-theme-toggle]")?.addEventListener("click", () => {
  const root = document.documentElement;
  const shown = root.dataset.theme || (prefersDark.matches ? "dark" : "light");
  root.dataset.theme = shown === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  document.dispatchEvent(new Event("themechange"));
});
prefersDark.addEventListener("change", () => document.dispatchEvent(new Event("themechange")));

const menu = document.querySelector(".menu");
document.addEventListener("click", ({ target }) => menu && !menu.contains(target) && menu.removeAttribute("open"));
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || !menu?.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button));

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  const label = button.lastChild;
  try {
    await navigator.clipboard.writeText(code.textContent);
    label.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code); // no clipboard without https: the text is marked, the hand copies it
    label.textContent = "Marked: Ctrl+C";
  }
  setTimeout(() => (label.textContent = "Copy"), 2500);
}

for (const button of document.querySelectorAll("[data-reveal]")) {
  const revealed = document.getElementById(button.dataset.reveal);
  button.addEventListener("click", () => {
    revealed.hidden = !revealed.hidden;
    button.setAttribute("aria-expanded", !revealed.hidden);
    if (!revealed.hidden) revealed.querySelector("input").focus();
  });
}

for (const form of document.querySelectorAll("[data-create]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    showProblem(form, null);
    const fields = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
    try {
      const made = await send("POST", form.dataset.create, fields);
      location.assign(form.dataset.open.replace(/\{(\w+)\}/, (_, name) => made[name]));
    } catch (problem) {
      showProblem(form, problem);
    }
  });
}

for (const select of document.querySelectorAll(".filters select")) select.addEventListener("change", () => select.form.requestSubmit());
