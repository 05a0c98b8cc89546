// Turns our own format into ECharts' option.
import { isNarrow, legend } from "./legend.js";
import { overlays, crowdedTop } from "./overlays.js";
import { asIfUtc } from "./times.js";
import { axisLabel, places, told } from "./words.js";

const QUICKEST = 0.001; // seconds; a logarithmic scale has no zero
const EVEN = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400]; // seconds between two marks
const MARKS = 5; // of a scale, at most
const APART = 28; // pixels between two marks
const TIMES = [QUICKEST, 0.01, 0.1, 1, 10, 60, 600, 3600, 21600, 86400, 604800, 2592000]; // marks of such a scale

export function option(data, colors, { label, width, height, selected }) {
  const times = data.series.length ? places(data) : [];
  const series = data.series.map((one, n) => drawnSeries(one, n, times, data, colors));
  const isEmpty = !data.series.some((one) => one.points.some(([, value]) => (data.type === "bar" ? value : value != null)));
  const { customValues, ...vertical } = scale(data);
  const [top, bottom] = [crowdedTop(data, width), zooms(data) ? 44 : 8];
  return {
    useUTC: true,
    animation: false,
    color: colors.series,
    textStyle: { fontFamily: colors.font, color: colors.text },
    title: { show: isEmpty, text: "Nothing to draw in this time", left: "center", top: "middle", textStyle: { color: colors.muted, fontSize: 13, fontWeight: 400 } },
    aria: { enabled: true, label: { description: label } },
    grid: { left: 8, right: isNarrow(width) ? 8 : 16, top, bottom, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    legend: { ...legend(data, colors, width), selected },
    tooltip: tooltip(data, colors),
    dataZoom: zooms(data) ? zoom(colors) : [],
    xAxis: {
      type: "time",
      ...ends(data),
      axisLine: { lineStyle: { color: colors.line } },
      axisTick: { show: false },
      axisLabel: { color: colors.muted, hideOverlap: true, fontSize: 11, formatter: { year: "{yyyy}", month: "{MMM}", day: "{d} {MMM}", hour: "{HH}:{mm}", minute: "{HH}:{mm}" } },
      splitNumber: isNarrow(width) ? 3 : 6,
    },
    yAxis: {
      splitNumber: Math.min(MARKS, Math.max(2, Math.floor((height - top - bottom) / APART))),
      ...vertical,
      axisLabel: { color: colors.muted, fontSize: 11, customValues, showMaxLabel: data.log || !data.thresholds?.length, formatter: (n) => axisLabel(n, data.unit) },
      splitLine: { lineStyle: { color: colors.line } },
    },
    series: series.length ? [...series, ...overlays(data, colors, width)] : [],
  };
}

function drawnSeries(one, n, times, data, colors) {
  const drawn = one.points.map(([, value], at) => [times[at], value != null && data.log ? Math.max(value, QUICKEST) : value]);
  if (one.before) {
    return {
      name: one.name, type: "line", data: drawn, showSymbol: false, symbol: "none", z: 1, silent: true, emphasis: { disabled: true },
      lineStyle: { color: colors["line-strong"], width: 1.5, type: "dashed" }, itemStyle: { color: colors["line-strong"] },
    };
  }
  const color = colors[one.tone] ?? colors.series[n % colors.series.length];
  if (data.type === "bar") {
    return { name: one.name, type: "bar", data: drawn, itemStyle: { color }, stack: data.stacked ? "all" : undefined, barMaxWidth: 80, barMinWidth: 1, cursor: data.opens ? "pointer" : "default" };
  }
  const isLonely = (at) => drawn[at - 1]?.[1] == null && drawn[at + 1]?.[1] == null; // no line leads to it
  return {
    name: one.name, type: "line", data: drawn, showSymbol: true, showAllSymbol: true, symbolSize: (_, { dataIndex }) => (isLonely(dataIndex) ? 7 : 0), symbol: "circle", connectNulls: false,
    lineStyle: { color, width: 2 }, itemStyle: { color }, areaStyle: n === 0 && data.unit !== "seconds" && !data.top ? { color, opacity: 0.1 } : undefined, emphasis: { disabled: true },
  };
}

// Times lie between a millisecond and days; shares of what should be whole are looked at from the top.
function scale(data) {
  if (data.log) return spans(data);
  if (data.top) return { type: "value", max: data.top, min: ({ min }) => (Number.isFinite(min) ? Math.max(0, Math.floor((min - 1) / 5) * 5) : 0) };
  if (data.unit === "seconds") return evenly(data);
  return { type: "value", min: 0, max: ceiling(data), minInterval: data.unit === "count" ? 1 : 0 };
}

// From the mark of time below all values to the one above them.
function spans(data) {
  const values = [...data.series.flatMap((one) => one.points.map(([, value]) => value)), ...(data.thresholds ?? []).map(({ value }) => value)].filter((value) => value != null);
  const least = Math.max(Math.min(...values), QUICKEST);
  const min = TIMES.findLast((time) => time <= least) ?? QUICKEST;
  const max = TIMES.find((time) => time > min && time >= Math.max(...values)) ?? TIMES.at(-1);
  const marks = TIMES.filter((time) => time >= min && time <= max);
  return { type: "log", min, max, axisTick: { show: false, customValues: marks }, customValues: marks };
}

// Steps that are whole in the unit they are said in: tens of seconds below a minute, minutes above.
function evenly(data) {
  const highest = Math.max(1, ...data.series.flatMap((one) => one.points.map(([, value]) => value ?? 0)), ...(data.thresholds ?? []).map(({ value }) => value));
  const interval = EVEN.find((step) => highest <= MARKS * step) ?? Math.ceil(highest / MARKS / EVEN.at(-1)) * EVEN.at(-1);
  return { type: "value", min: 0, max: Math.ceil(highest / interval) * interval, interval };
}

// The scale reaches the next threshold above the data: the distance to it is what one looks for.
function ceiling(data) {
  const limits = (data.thresholds ?? []).map(({ value }) => value).sort((a, b) => a - b);
  return ({ max: found }) => {
    const max = Number.isFinite(found) ? found : 0;
    const next = limits.find((limit) => limit >= max) ?? limits.at(-1) ?? 0;
    return max > next ? undefined : next ? next * 1.2 : undefined;
  };
}

// All of the asked time, so that what changed just now is on it.
function ends(data) {
  if (!data.end) return {};
  return { min: asIfUtc(data.series[0].points[0][0], data.zone), max: asIfUtc(data.end, data.zone) };
}

// Where a point opens its own time, the page is the zoom.
function zooms(data) {
  return !data.opens && Math.max(0, ...data.series.map((one) => one.points.length)) > 40;
}

function zoom(colors) {
  const quiet = { color: colors["quiet-soft"] };
  return [
    { type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseMove: true, preventDefaultMouseMove: false },
    { type: "slider", height: 20, bottom: 6, borderColor: colors.line, fillerColor: colors["quiet-soft"], textStyle: { color: colors.muted, fontSize: 10 }, dataBackground: { lineStyle: quiet, areaStyle: quiet }, handleStyle: { color: colors.raised, borderColor: colors["line-strong"] }, brushSelect: false },
  ];
}

function tooltip(data, colors) {
  return {
    trigger: "axis",
    renderMode: "richText", // the CSP lets no HTML tooltip set its styles
    confine: true,
    backgroundColor: colors.raised,
    borderColor: colors.line,
    textStyle: { color: colors.text, fontSize: 12, rich: { title: { fontWeight: 600, fontSize: 12, color: colors.text, lineHeight: 20 }, note: { color: colors.muted, fontSize: 11, lineHeight: 18 } } },
    axisPointer: { lineStyle: { color: colors["line-strong"] } },
    formatter: (items) => {
      if (!items.length) return "";
      const { time, lines, beside } = told(data, items[0].dataIndex);
      const markers = new Map(items.map(({ seriesIndex, marker }) => [seriesIndex, marker]));
      return [
        `{title|${time}}`,
        ...lines.map(({ index, text }) => `${markers.get(index) ?? ""} ${text}`),
        ...beside.map((one) => `{note|${one.replace(/[{}|]/g, " ")}}`),
      ].join("\n");
    },
  };
}
