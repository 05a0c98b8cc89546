// A part that loads itself again, <div hx-trigger="every 5s" data-waits>, waits as long as somebody is in it.

const IN_USE = "details[open], dialog[open], .chart:hover";

export function waitForReaders() {
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.target;
    if (part.matches("[data-waits]") && isInUse(part)) event.preventDefault();
  });
}

function isInUse(part) {
  return part.contains(document.activeElement) || part.querySelector(IN_USE) !== null;
}
