// Says numbers and times of a chart, for its axes, its tooltip and a screen reader.
import { asIfUtc, words } from "./times.js";

const number = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const DAY = 86400000;
const UNITS = [[86400, "d", Infinity], [3600, "h", 24], [60, "min", 60], [1, "s", 60]];

export function points(one, zone) {
  return one.points.map(([iso, value]) => [asIfUtc(iso, zone), value]);
}

// Where each point is drawn: in the middle of its own time, so that what caused it stands before it.
export function places(data) {
  const starts = points(data.series[0], data.zone).map(([time]) => time);
  if (!data.end) return starts;
  const end = asIfUtc(data.end, data.zone);
  return starts.map((time, n) => (time + (starts[n + 1] ?? end)) / 2);
}

export function axisLabel(n, unit) {
  return unit === "percent" ? `${number.format(n)} %` : unit === "seconds" ? seconds(n) : short.format(n);
}

// A point in words: its time, a line for each series that has a value there, and what happened meanwhile.
export function told(data, index) {
  const drawn = points(data.series[0], data.zone);
  const time = drawn[index][0];
  const end = drawn[index + 1]?.[0] ?? (data.end ? asIfUtc(data.end, data.zone) : time + (time - (drawn[index - 1]?.[0] ?? time - DAY)));
  const lines = data.series
    .map((one, n) => ({ index: n, value: one.points[index]?.[1], one }))
    .filter(({ value, one }) => value != null && (value || data.type !== "bar" || one.before))
    .map(({ index: n, value, one }) => ({ index: n, text: `${one.name}: ${said(value, data.unit, one.counts?.[index])}` }));
  const happened = [
    ...(data.marks ?? []).map(({ at, label }) => ({ from: asIfUtc(at, data.zone), to: asIfUtc(at, data.zone), label })),
    ...(data.spans ?? []).map(({ from, to, label }) => ({ from: asIfUtc(from, data.zone), to: asIfUtc(to, data.zone), label })),
  ];
  const beside = happened.filter(({ from, to }) => from < end && to >= time).map(({ label }) => label);
  return { time: words(time, end - time), lines, beside: [...new Set(beside)] };
}

function said(value, unit, counts) {
  const text = unit === "percent" ? `${number.format(value)} %` : unit === "seconds" ? seconds(value) : number.format(value);
  return counts ? `${text} · ${number.format(counts[0])} of ${number.format(counts[1])}` : text;
}

// In its two largest units, as the pages say a time beside the charts.
function seconds(n) {
  if (n && n < 1) return `${number.format(n * 1000)} ms`;
  if (n < 60) return `${number.format(n)} s`;
  const parts = UNITS.map(([size, unit, most]) => [Math.floor(Math.round(n) / size) % most, unit]).filter(([count]) => count);
  return parts.slice(0, 2).map((part) => part.join(" ")).join(" ");
}
