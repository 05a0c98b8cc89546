// A press on a chart opens the change whose triangle is there, else the time of the nearest point.
import { crowdedTop } from "./overlays.js";
import { asIfUtc } from "./times.js";
import { places } from "./words.js";

const REACH = 10; // pixels around a triangle; a fingertip is no needle

export function pressing(chart, { data, open }) {
  let tapped = -1;
  chart.getZr().on("click", ({ offsetX: x, offsetY: y }) => {
    const drawn = data();
    const mark = markAt(chart, drawn, x, y);
    if (mark) return open(mark.url);
    if (!drawn?.opens?.length || !chart.containPixel("grid", [x, y])) return;
    const index = nearest(chart, drawn, x);
    // on a touch screen the first tap only shows what stands there
    if (matchMedia("(pointer: coarse)").matches && tapped !== index) tapped = index;
    else open(drawn.opens[index]);
  });
}

function markAt(chart, drawn, x, y) {
  const top = drawn && crowdedTop(drawn, chart.getWidth());
  if (!drawn || y > top + REACH || y < top - 2 * REACH) return null;
  const marks = (drawn.marks ?? []).filter(({ url }) => url).map((mark) => ({ mark, away: Math.abs(pixel(chart, asIfUtc(mark.at, drawn.zone)) - x) }));
  const [closest] = marks.sort((a, b) => a.away - b.away);
  return closest && closest.away <= REACH ? closest.mark : null;
}

function nearest(chart, drawn, x) {
  const away = places(drawn).map((time) => Math.abs(pixel(chart, time) - x));
  return away.indexOf(Math.min(...away));
}

function pixel(chart, time) {
  return chart.convertToPixel({ xAxisIndex: 0 }, time);
}
