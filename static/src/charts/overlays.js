// What is drawn over a chart's numbers: thresholds, changes, incidents.
import { legendHeight, named, spanTones, toneOf } from "./legend.js";
import { asIfUtc } from "./times.js";

const TRIANGLE = 9;
const LINE = 18; // pixels of a threshold's words
const ABOVE = 3; // pixels between them and the line
const FRAME = 70; // pixels of a chart that are no scale

export function crowdedTop(data, width) {
  return legendHeight(data, width) + (data.marks?.length ? TRIANGLE + 2 : 6);
}

// As series of their own, since the legend switches series: one of what always stands there, one for each that it names.
export function overlays(data, colors, { width, height }) {
  const at = (iso) => asIfUtc(iso, data.zone);
  const lifted = lifts(data, height);
  const places = lifted.some(Boolean) ? ["insideStartTop", "insideMiddleTop", "insideEndTop"] : ["insideEndTop"];
  const above = named(data, width);
  const thresholds = (data.thresholds ?? []).map(({ value, label, tone }, n) => ({
    yAxis: value,
    name: label,
    lineStyle: { color: colors[tone ?? "bad"], type: "dashed", width: 1 },
    label: { show: !above.length, formatter: label, position: places[n % places.length], distance: [5, ABOVE + lifted[n]], backgroundColor: colors.surface, padding: [1, 4], borderRadius: 3, color: colors[tone ?? "bad"], fontSize: 11 },
  }));
  const changes = (data.marks ?? []).map((mark) => ({
    xAxis: at(mark.at), name: mark.label, lineStyle: { color: colors["line-strong"], type: "dotted", width: 1 }, label: { show: false },
  }));
  const pins = (data.marks ?? []).map((mark) => ({
    coord: [at(mark.at), 1], y: crowdedTop(data, width) - TRIANGLE / 2, name: mark.label, symbol: "triangle", symbolRotate: 180, symbolSize: TRIANGLE,
    itemStyle: { color: mark.kind === "incident" ? colors.bad : colors.accent }, label: { show: false }, cursor: mark.url ? "pointer" : "default",
  }));
  const lines = (drawn) => ({ symbol: "none", silent: true, animation: false, data: drawn });
  const limits = above.map(({ label }, n) => ({ ...blank(label), itemStyle: { color: thresholds[n].lineStyle.color }, markLine: lines([thresholds[n]]) }));
  const fields = spanTones(data).map(([tone, name]) => ({ ...blank(name), itemStyle: { color: colors[tone], opacity: 0.4 }, markArea: { silent: true, animation: false, data: spans(data, colors, tone) } }));
  return [{ ...blank(""), markLine: lines([...(limits.length ? [] : thresholds), ...changes]), markPoint: { animation: false, data: pins } }, ...limits, ...fields];
}

function blank(name) {
  return { name, type: "line", data: [], silent: true };
}

function spans(data, colors, tone) {
  const at = (iso) => asIfUtc(iso, data.zone);
  return data.spans.filter((span) => toneOf(span) === tone).map(({ from, to, label }) => [
    { xAxis: Math.max(at(from), beginning(data, at)), name: label, itemStyle: { color: colors[tone], opacity: 0.12 }, label: { show: false } }, // spans overlap: the tooltip and the list below name them
    { xAxis: at(to) },
  ]);
}

function beginning(data, at) {
  const first = data.series[0]?.points[0]?.[0];
  return first ? at(first) : -Infinity;
}

// Thresholds close to each other say their names side by side, above the highest of them: on a line none can be read.
function lifts(data, height) {
  const limits = (data.thresholds ?? []).map(({ value }) => value);
  const values = data.series.flatMap(({ points }) => points.map(([, value]) => value ?? 0));
  const pixels = (height - FRAME) / Math.max(...limits, ...values, Number.MIN_VALUE);
  const upwards = [...limits].sort((a, b) => a - b);
  return limits.map((limit) => pixels * (upwards.reduce((top, next) => (next > top && pixels * (next - top) < LINE ? next : top), limit) - limit));
}
