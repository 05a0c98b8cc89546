// Runs before the first paint, so that a chosen theme never flashes; app.js holds the button.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // storage is refused: the system's theme stays
  }
})();
