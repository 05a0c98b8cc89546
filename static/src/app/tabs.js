// The tab of this page is in sight, however many stand before it.

export function currentTabInSight() {
  document.querySelectorAll(".tabs > [aria-current]").forEach(show);
  document.addEventListener("htmx:load", ({ target }) => target.querySelectorAll(".tabs > [aria-current]").forEach(show));
}

function show(current) {
  const tabs = current.parentElement;
  tabs.scrollLeft = current.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - current.offsetWidth) / 2;
}
