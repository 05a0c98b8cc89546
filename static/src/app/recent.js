// The pages visited last, kept in this browser until log-out.
import { forget, recall, remember } from "./dom.js";

const KEY = "recent";
const KEPT = 8;

export function recent() {
  try {
    const found = JSON.parse(recall(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((page) => page?.url?.startsWith("/") && page.label) : [];
  } catch {
    return [];
  }
}

export function rememberPage() {
  document.querySelector("form[action$='/logout/']")?.addEventListener("submit", () => forget(KEY));
  const isPlace = document.querySelector(`.nav a[href="${CSS.escape(location.pathname)}"]`) || location.pathname.startsWith("/accounts/");
  const label = document.title.replace(/ · mailops$/, "");
  if (isPlace || location.pathname === "/" || !document.querySelector(".nav")) return;
  const others = recent().filter((page) => page.url !== location.pathname);
  remember(KEY, JSON.stringify([{ url: location.pathname, label }, ...others].slice(0, KEPT)));
}
