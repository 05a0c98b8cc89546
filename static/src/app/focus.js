// The focus stays where it was when the part around it is exchanged: on what is the same in the new part, else on that part.
// htmx sees to what has an id; a pressed button that it disables meanwhile has lost the focus already.

const FOCUSABLE = "a[href], button, input, select, textarea, summary";

export function keepFocus() {
  const pressed = new WeakMap(); // by the request
  let lost = null;
  document.addEventListener("htmx:beforeRequest", ({ detail: { elt, xhr } }) => {
    if (elt.contains(document.activeElement)) pressed.set(xhr, document.activeElement);
  });
  document.addEventListener("htmx:beforeSwap", ({ detail: { target, xhr } }) => {
    const at = isNowhere() ? pressed.get(xhr) : document.activeElement;
    if (target.id && at && target.contains(at)) lost = { part: target.id, key: keyOf(at) };
  });
  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    if (!lost || detail?.target?.id !== lost.part) return; // a part that a script exchanges comes without a request
    const part = document.getElementById(lost.part);
    if (part && isNowhere()) (twin(part, lost.key) ?? reachable(part)).focus({ preventScroll: true });
    lost = null;
  });
}

function isNowhere() {
  return document.activeElement === null || document.activeElement === document.body;
}

// What tells one thing to press from the others of its part, whatever its words are by now.
function keyOf(element) {
  const { tagName, name = "" } = element;
  const told = ["href", "formaction", "value"].map((attribute) => element.getAttribute(attribute));
  return JSON.stringify([tagName, name, ...told, element.form?.getAttribute("action")]);
}

function twin(part, key) {
  return [...part.querySelectorAll(FOCUSABLE)].find((element) => keyOf(element) === key);
}

function reachable(part) {
  const summary = part.querySelector(":scope > summary");
  if (summary) return summary;
  part.tabIndex = -1;
  return part;
}
