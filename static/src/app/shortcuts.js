// Keys: Ctrl/Cmd+K, / and ? and g + letter. None fires while one types; those that are pressed alone can be switched off, since
// who speaks to a computer says letters, too (WCAG 2.1.4).
import { forget, make, recall, remember } from "./dom.js";

const WAIT = 1200;
const TYPING = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable], .cm-editor";

export function shortcuts(palette) {
  let pressedG = 0;
  palette.own.push({ label: "Keyboard", press: () => list(palette) });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      if (event.target.closest?.(".cm-editor")) return;
      event.preventDefault();
      palette.open();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !heedsSingleKeys() || isTyping(event) || document.querySelector("dialog[open]")) return;
    if (event.timeStamp - pressedG < WAIT && pressedG) {
      pressedG = 0;
      goTo(palette, event.key);
    } else if (event.key === "g") {
      pressedG = event.timeStamp;
    } else if (event.key === "/") {
      event.preventDefault();
      const field = document.querySelector("main input[type=search]");
      if (field) field.focus();
      else palette.open();
    } else if (event.key === "?") {
      event.preventDefault();
      list(palette);
    }
  });
}

function heedsSingleKeys() {
  return recall("single-keys") !== "off";
}

// A frame has a document of its own; the visual editor hands the keys of its canvas on to ours.
function isTyping(event) {
  return document.activeElement?.tagName === "IFRAME" || event.target.closest?.(TYPING);
}

async function goTo(palette, key) {
  const place = (await palette.places()).find((place) => place.key === key);
  if (place) location.assign(place.url);
}

async function list(palette) {
  const places = await palette.places();
  const rows = [
    [["Ctrl", "K"], "Go to, recent, actions, find"],
    [["/"], "Search on this page"],
    [["?"], "This list"],
    ...places.map((place) => [["g", place.key], place.label]),
  ];
  const terms = make("dl", { class: "shortcuts", tabindex: "0" }); // it scrolls on a low window
  for (const [keys, words] of rows) {
    const term = make("dt", {});
    keys.forEach((key, n) => term.append(n ? " " : "", make("kbd", {}, key)));
    terms.append(term, make("dd", {}, words));
  }
  const single = make("input", { type: "checkbox", id: "single-keys", checked: heedsSingleKeys() });
  single.addEventListener("change", () => (single.checked ? forget("single-keys") : remember("single-keys", "off")));
  const label = make("label", { for: "single-keys" }, "Keys that are pressed alone");
  const help = make("span", { class: "muted" }, "Without them, Ctrl K finds this list.");
  const choice = make("div", { class: "check overlay-foot" }, single, make("div", {}, label, " ", help));
  const close = make("form", { method: "dialog", class: "actions overlay-foot" }, make("button", { class: "button small" }, "Close"));
  const title = make("h2", { class: "overlay-title", id: "shortcuts-title" }, "Keyboard");
  const dialog = make("dialog", { class: "overlay", "aria-labelledby": "shortcuts-title" }, title, terms, choice, close);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.showModal();
}
