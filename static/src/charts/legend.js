// What the colors mean: every name whole, in as many rows as that takes.

const LETTER = 6.7; // pixels, rather too many: where no browser measures
const LETTERS = 12; // pixels high
const SWATCH = 12;
const GAP = 12;
const ROW = 26;
const brush = globalThis.document?.createElement("canvas").getContext("2d");
const WORDS = { bad: "Incident", warn: "Incident, warning" };

export function legend(data, colors, isNarrow) {
  return {
    show: hasLegend(data), type: "plain", top: 0, right: isNarrow ? "auto" : 0, left: isNarrow ? 0 : "auto", itemWidth: SWATCH, itemHeight: 10, itemGap: GAP,
    data: [...data.series.map(({ name }) => name), ...spanTones(data).map(([, name]) => ({ name, icon: "roundRect" }))],
    textStyle: { color: colors.text, fontSize: LETTERS }, inactiveColor: colors["line-strong"],
  };
}

// The pixels that it takes above the chart.
export function legendHeight(data, width) {
  return hasLegend(data) ? 4 + ROW * rows(data, width) : 6;
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
  return data.series.length > 1 || spanTones(data).length > 0;
}

function rows(data, width) {
  let [count, used] = [1, 0];
  for (const name of [...data.series.map((one) => one.name), ...spanTones(data).map(([, words]) => words)]) {
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
