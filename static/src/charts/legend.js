// What the colors mean: every name whole, in as many rows as that takes.

const LETTER = 6.7; // pixels, rather too many: where no browser measures
const LETTERS = 12; // pixels high
const SWATCH = 12;
const GAP = 12;
const ROW = 26;
const brush = globalThis.document?.createElement("canvas").getContext("2d");
const WORDS = { bad: "Incident", warn: "Incident, warning" };
const NARROW = 520; // pixels
const DASHES = "path://M0,4H5V6H0ZM7,4H12V6H7Z";

export function isNarrow(width) {
  return width < NARROW;
}

export function legend(data, colors, width) {
  const side = isNarrow(width) ? { left: 0, right: "auto" } : { left: "auto", right: 0 };
  return {
    show: hasLegend(data), type: "plain", top: 0, ...side, itemWidth: SWATCH, itemHeight: 10, itemGap: GAP,
    data: [
      ...data.series.map(({ name }) => name),
      ...limits(data).map(({ label }) => ({ name: label, icon: DASHES })),
      ...spanTones(data).map(([, name]) => ({ name, icon: "roundRect" })),
    ],
    textStyle: { color: colors.text, fontSize: LETTERS }, inactiveColor: colors["line-strong"],
  };
}

// The pixels that it takes above the chart.
export function legendHeight(data, width) {
  return hasLegend(data) ? 4 + ROW * rows(data, width) : 6;
}

// Thresholds are named here alone: on their lines the words would lie over the numbers.
export function limits(data) {
  return data.thresholds ?? [];
}

// The sorts of spans that are drawn, each with its words.
export function spanTones(data) {
  const tones = new Set((data.spans ?? []).map(toneOf));
  return Object.entries(WORDS).filter(([tone]) => tones.has(tone));
}

export function toneOf({ tone }) {
  return tone === "warn" ? "warn" : "bad";
}

function hasLegend(data) {
  return data.series.length > 1 || spanTones(data).length > 0 || limits(data).length > 0;
}

function rows(data, width) {
  let [count, used] = [1, 0];
  const names = [...data.series.map((one) => one.name), ...limits(data).map(({ label }) => label), ...spanTones(data).map(([, words]) => words)];
  for (const name of names) {
    const taken = SWATCH + 5 + breadth(name);
    if (used && used + taken > width - 10) [count, used] = [count + 1, 0];
    used += taken + GAP;
  }
  return count;
}

function breadth(name) {
  if (!brush) return LETTER * name.length;
  brush.font = `${LETTERS}px ${getComputedStyle(document.body).fontFamily}`;
  return brush.measureText(name).width;
}
