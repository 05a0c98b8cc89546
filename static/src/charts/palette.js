// Reads the colors of static/css/tokens.css as the browser resolves them now, light or dark.

const NAMES = ["text", "muted", "line", "line-strong", "raised", "surface", "accent", "ok", "warn", "bad", "quiet-soft"];

// Paper is light, whatever the screen is.
export function palette({ onPaper }) {
  const probe = document.createElement("span");
  probe.hidden = true;
  if (onPaper) probe.style.colorScheme = "light";
  document.body.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const colors = Object.fromEntries(NAMES.map((name) => [name, read(name)]));
  colors.series = [1, 2, 3, 4, 5, 6, 7].map((n) => read(`series-${n}`));
  colors.ok = colors.series[1];
  colors.font = getComputedStyle(document.body).fontFamily;
  probe.remove();
  return colors;
}
