// The tab of this page is in sight, however many stand before it.

export function currentTabInSight() {
  for (const current of document.querySelectorAll(".tabs > [aria-current]")) {
    const tabs = current.parentElement;
    tabs.scrollLeft = current.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - current.offsetWidth) / 2;
  }
}
