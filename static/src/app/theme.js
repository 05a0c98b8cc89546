// The button that goes through system, light and dark; static/js/theme.js applies the choice before the first paint.
import { forget, icon, recall, remember } from "./dom.js";

const CHOICES = ["system", "light", "dark"];
const ICONS = { system: "system", light: "sun", dark: "moon" };

export function themeToggle() {
  const button = document.querySelector("[data-theme-toggle]");
  if (!button) return;
  show(button, recall("theme") ?? "system");
  button.addEventListener("click", () => {
    const next = CHOICES[(CHOICES.indexOf(recall("theme") ?? "system") + 1) % CHOICES.length];
    choose(next);
    show(button, next);
  });
}

function choose(theme) {
  if (theme === "system") {
    forget("theme");
    delete document.documentElement.dataset.theme;
  } else {
    remember("theme", theme);
    document.documentElement.dataset.theme = theme;
  }
  document.dispatchEvent(new CustomEvent("themechange"));
}

function show(button, theme) {
  button.querySelector(".icon").replaceWith(icon(ICONS[theme]));
  button.querySelector("span").textContent = `Theme: ${theme}`;
}
