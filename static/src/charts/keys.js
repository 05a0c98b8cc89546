// A chart by keyboard: the arrows go from point to point and say it, Enter opens it.
import { told } from "./words.js";

export function keys(element, chart, { data, open }) {
  const voice = document.createElement("p");
  voice.className = "visually-hidden";
  voice.setAttribute("aria-live", "polite");
  element.after(voice);
  let at = -1;

  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const drawn = data();
    const last = (drawn?.series[0]?.points.length ?? 0) - 1;
    const next = { ArrowLeft: at < 0 ? last : at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (next !== undefined && last >= 0) {
      event.preventDefault();
      at = Math.min(Math.max(next, 0), last);
      chart.dispatchAction({ type: "showTip", seriesIndex: 0, dataIndex: at });
      const { time, lines, beside } = told(drawn, at);
      voice.textContent = [time, ...lines.map(({ text }) => text), ...beside].join(", ");
    } else if (event.key === "Enter" && at >= 0 && drawn.opens?.[at]) {
      event.preventDefault();
      open(drawn.opens[at]);
    } else if (event.key === "Escape") {
      chart.dispatchAction({ type: "hideTip" });
    }
  });
  element.addEventListener("blur", () => chart.dispatchAction({ type: "hideTip" }));
}
