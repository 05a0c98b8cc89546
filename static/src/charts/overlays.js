// What is drawn over a chart's numbers: thresholds, changes, incidents.
import { legendHeight, limits, spanTones, toneOf } from "./legend.js";
import { asIfUtc } from "./times.js";

const TRIANGLE = 9;

export function crowdedTop(data, width) {
  return legendHeight(data, width) + (data.marks?.length ? TRIANGLE + 2 : 6);
}

// As series of their own, since the legend switches series: one of what always stands there, one for each that it names.
export function overlays(data, colors, width) {
  const at = (iso) => asIfUtc(iso, data.zone);
  const changes = (data.marks ?? []).map((mark) => ({
    xAxis: at(mark.at), name: mark.label, lineStyle: { color: colors["line-strong"], type: "dotted", width: 1 }, label: { show: false },
  }));
  const pins = (data.marks ?? []).map((mark) => ({
    coord: [at(mark.at), 1], y: crowdedTop(data, width) - TRIANGLE / 2, name: mark.label, symbol: "triangle", symbolRotate: 180, symbolSize: TRIANGLE,
    itemStyle: { color: mark.kind === "incident" ? colors.bad : colors.accent }, label: { show: false }, cursor: mark.url ? "pointer" : "default",
  }));
  const lines = (drawn) => ({ symbol: "none", silent: true, animation: false, data: drawn });
  const thresholds = limits(data).map(({ value, label, tone }) => {
    const color = colors[tone ?? "bad"];
    return { ...blank(label), itemStyle: { color }, markLine: lines([{ yAxis: value, name: label, lineStyle: { color, type: "dashed", width: 1 }, label: { show: false } }]) };
  });
  const fields = spanTones(data).map(([tone, name]) => ({ ...blank(name), itemStyle: { color: colors[tone], opacity: 0.4 }, markArea: { silent: true, animation: false, data: spans(data, colors, tone) } }));
  return [{ ...blank(""), markLine: lines(changes), markPoint: { animation: false, data: pins } }, ...thresholds, ...fields];
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
