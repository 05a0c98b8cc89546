// Turns our own format into ECharts' option.
import { asIfUtc, words } from "./times.js";

const number = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export function option(data, colors, { label, isNarrow }) {
  const zone = data.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const at = (iso) => asIfUtc(iso, zone);
  const isPercent = data.unit === "percent";
  const step = stepOf(data, at);
  const series = data.series.map((one, n) => drawnSeries(one, n, data, colors, at));
  const isEmpty = !data.series.some(({ points }) => points.some(([, value]) => (data.type === "bar" ? value : value != null)));
  if (series.length) Object.assign(series[0], overlays(data, colors, at));
  return {
    useUTC: true,
    animation: false,
    color: colors.series,
    textStyle: { fontFamily: colors.font, color: colors.text },
    title: { show: isEmpty, text: "Nothing to draw in this time", left: "center", top: "middle", textStyle: { color: colors.muted, fontSize: 13, fontWeight: 400 } },
    aria: { enabled: true, label: { description: label } },
    grid: { left: 8, right: isNarrow ? 8 : 16, top: data.series.length > 1 ? 36 : 12, bottom: zooms(data) ? 44 : 8, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    legend: { show: data.series.length > 1, top: 0, right: isNarrow ? "auto" : 0, left: isNarrow ? 0 : "auto", icon: "roundRect", itemWidth: 10, itemHeight: 10, itemGap: 16, textStyle: { color: colors.text, fontSize: 12 }, inactiveColor: colors["line-strong"], type: "scroll" },
    tooltip: tooltip(data, colors, step, isPercent, at),
    dataZoom: zooms(data) ? zoom(colors) : [],
    xAxis: {
      type: "time",
      axisLine: { lineStyle: { color: colors.line } },
      axisTick: { show: false },
      axisLabel: { color: colors.muted, hideOverlap: true, fontSize: 11 },
      splitNumber: isNarrow ? 3 : 8,
    },
    yAxis: {
      type: "value",
      min: 0,
      max: ceiling(data),
      minInterval: isPercent ? 0 : 1,
      axisLabel: { color: colors.muted, fontSize: 11, showMaxLabel: !data.thresholds?.length, formatter: (n) => (isPercent ? `${number.format(n)} %` : short.format(n)) },
      splitLine: { lineStyle: { color: colors.line } },
    },
    series,
  };
}

function drawnSeries(one, n, data, colors, at) {
  const color = colors[one.tone] ?? colors.series[n % colors.series.length];
  const points = one.points.map(([iso, value]) => [at(iso), value]);
  const isLonely = points.filter(([, value]) => value != null).length < 3;
  if (data.type === "bar") {
    return { name: one.name, type: "bar", data: points, itemStyle: { color }, stack: data.stacked ? "all" : undefined, barMaxWidth: 28 };
  }
  return {
    name: one.name, type: "line", data: points, showSymbol: isLonely, symbolSize: 5, symbol: "circle", connectNulls: false,
    lineStyle: { color, width: 2 }, itemStyle: { color }, areaStyle: n === 0 ? { color, opacity: 0.1 } : undefined, emphasis: { disabled: true },
  };
}

function overlays(data, colors, at) {
  const below = crowded(data);
  const thresholds = (data.thresholds ?? []).map(({ value, label, tone }) => ({
    yAxis: value,
    name: label,
    lineStyle: { color: colors[tone ?? "bad"], type: "dashed", width: 1 },
    label: { formatter: label, position: below.has(value) ? "insideEndBottom" : "insideEndTop", backgroundColor: colors.surface, padding: [1, 4], borderRadius: 3, color: colors[tone ?? "bad"], fontSize: 11 },
  }));
  const changes = (data.marks ?? []).map((mark) => ({
    xAxis: at(mark.at), name: mark.label, url: mark.url, lineStyle: { color: colors["line-strong"], type: "dotted", width: 1 }, label: { show: false },
  }));
  const spans = (data.spans ?? []).map(({ from, to, label, tone }) => [
    { xAxis: at(from), name: label, itemStyle: { color: colors[tone ?? "bad"], opacity: 0.12 }, label: { show: false } }, // spans overlap: the tooltip and the list below name them
    { xAxis: to ? at(to) : "max" },
  ]);
  const pins = (data.marks ?? []).map((mark) => ({
    coord: [at(mark.at), 0], name: mark.label, url: mark.url, symbol: "triangle", symbolSize: 9, symbolOffset: [0, -4], itemStyle: { color: colors.accent }, label: { show: false }, cursor: mark.url ? "pointer" : "default",
  }));
  return {
    markLine: { symbol: "none", silent: true, animation: false, data: [...thresholds, ...changes] },
    markArea: { silent: true, animation: false, data: spans },
    markPoint: { animation: false, data: pins },
  };
}

// A threshold close under another one says its name below its line, not on top of the other's.
function crowded(data) {
  const limits = (data.thresholds ?? []).map(({ value }) => value).sort((a, b) => a - b);
  const values = data.series.flatMap(({ points }) => points.map(([, value]) => value ?? 0));
  const top = Math.max(...limits.slice(-1), ...values, 0);
  return new Set(limits.filter((limit, n) => n + 1 < limits.length && limits[n + 1] - limit < 0.12 * top));
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

function zooms(data) {
  return Math.max(0, ...data.series.map(({ points }) => points.length)) > 40;
}

function zoom(colors) {
  const quiet = { color: colors["quiet-soft"] };
  return [
    { type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseMove: true, preventDefaultMouseMove: false },
    { type: "slider", height: 20, bottom: 6, borderColor: colors.line, fillerColor: colors["quiet-soft"], textStyle: { color: colors.muted, fontSize: 10 }, dataBackground: { lineStyle: quiet, areaStyle: quiet }, handleStyle: { color: colors.raised, borderColor: colors["line-strong"] }, brushSelect: false },
  ];
}

function stepOf(data, at) {
  const points = data.series[0]?.points ?? [];
  return points.length > 1 ? at(points[1][0]) - at(points[0][0]) : 86400000;
}

function tooltip(data, colors, step, isPercent, at) {
  const changes = [
    ...(data.marks ?? []).map(({ at: iso, label }) => ({ from: at(iso), to: at(iso), label })),
    ...(data.spans ?? []).map(({ from, to, label }) => ({ from: at(from), to: to ? at(to) : Infinity, label })),
  ];
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
      const time = items[0].value[0];
      const lines = items.filter(({ value }) => value[1] != null).map((item) => `${item.marker} ${item.seriesName}: ${said(data.series[item.seriesIndex], item, isPercent)}`);
      const near = changes.filter(({ from, to }) => from < time + step && to >= time).map(({ label }) => `{note|${label.replace(/[{}|]/g, " ")}}`);
      return [`{title|${words(time, step)}}`, ...lines, ...new Set(near)].join("\n");
    },
  };
}

function said(series, item, isPercent) {
  const value = isPercent ? `${number.format(item.value[1])} %` : number.format(item.value[1]);
  const counts = series.counts?.[item.dataIndex];
  return counts ? `${value} · ${number.format(counts[0])} of ${number.format(counts[1])}` : value;
}
