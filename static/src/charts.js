// Draws every [data-chart] from its json_script; the format is in docs/ui-kit.md.
import { BarChart, LineChart } from "echarts/charts";
import {
  AriaComponent, DataZoomComponent, GridComponent, LegendComponent, MarkAreaComponent, MarkLineComponent, MarkPointComponent, TitleComponent, TooltipComponent,
} from "echarts/components";
import * as echarts from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { keys } from "./charts/keys.js";
import { option } from "./charts/option.js";
import { palette } from "./charts/palette.js";
import { pressing } from "./charts/pressing.js";
import { read } from "./charts/reading.js";

echarts.use([
  AriaComponent, BarChart, DataZoomComponent, GridComponent, LegendComponent, LineChart, MarkAreaComponent, MarkLineComponent, MarkPointComponent, SVGRenderer, TitleComponent, TooltipComponent,
]);

const PAPER = 680; // pixels between the margins of a printed page
const drawn = new Map();
const paper = matchMedia("print");

function draw(element) {
  const data = read(element);
  if (!data) return;
  const chart = drawn.get(element) ?? begin(element);
  const label = element.getAttribute("aria-label");
  chart.resize(paper.matches ? { width: Math.min(PAPER, element.clientWidth || PAPER), silent: true } : { width: "auto", silent: true });
  const selected = chart.getOption()?.legend?.[0]?.selected; // what somebody switched off in the legend stays off
  chart.setOption(option(data, palette({ onPaper: paper.matches }), { label, width: chart.getWidth(), height: chart.getHeight(), selected }), { notMerge: true });
  element.setAttribute("aria-label", label);
}

function begin(element) {
  const chart = echarts.init(element, null, { renderer: "svg" });
  const resized = new ResizeObserver(() => {
    if (chart.isDisposed()) resized.disconnect(); // its element was replaced
    else if (element.isConnected && !paper.matches && !hasItsSize(element, chart)) draw(element);
  });
  resized.observe(element);
  const way = { data: () => read(element), open };
  keys(element, chart, way);
  pressing(chart, way);
  drawn.set(element, chart);
  return chart;
}

function hasItsSize(element, chart) {
  return chart.getWidth() === element.clientWidth && chart.getHeight() === element.clientHeight;
}

// A change is told on the page itself, in a part that may be closed.
function open(url) {
  if (!url) return;
  if (url.startsWith("#")) reveal(document.getElementById(url.slice(1)));
  location.assign(url);
}

function reveal(element) {
  for (let part = element?.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
}

function drawAll() {
  for (const [element, chart] of drawn) {
    if (element.isConnected) continue;
    chart.dispose();
    drawn.delete(element);
  }
  document.querySelectorAll("[data-chart]").forEach(draw);
}

drawAll();
if (location.hash.startsWith("#change-")) open(location.hash);
document.addEventListener("htmx:afterSettle", drawAll);
document.addEventListener("themechange", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
paper.addEventListener("change", drawAll);
