// Browsers keep the last pages as they stood, to show them at once by “Back”: after a log-out, to whoever sits there next.
import { recall, remember } from "./dom.js";

const KEY = "logged-out-at";

export function leaveNoPageBehind() {
  document.addEventListener("submit", (event) => {
    if (event.target.matches("form[action$='/accounts/logout/']")) remember(KEY, Date.now());
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted || Number(recall(KEY)) < performance.timeOrigin) return;
    document.body.replaceChildren();
    location.reload();
  });
}
