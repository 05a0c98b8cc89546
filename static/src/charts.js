// Draws every [data-chart] from its json_script; the format is in docs/ui-kit.md.
import { BarChart, LineChart } from "echarts/charts";
import {
  AriaComponent, DataZoomComponent, GridComponent, LegendComponent, MarkAreaComponent, MarkLineComponent, MarkPointComponent, TitleComponent, TooltipComponent,
} from "echarts/components";
import * as echarts from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { option } from "./charts/option.js";
import { palette } from "./charts/palette.js";

echarts.use([
  AriaComponent, BarChart, DataZoomComponent, GridComponent, LegendComponent, LineChart, MarkAreaComponent, MarkLineComponent, MarkPointComponent, SVGRenderer, TitleComponent, TooltipComponent,
]);

const drawn = new Map();

function draw(element) {
  const source = document.getElementById(element.dataset.chart);
  if (!source) return;
  const chart = drawn.get(element) ?? begin(element);
  const data = JSON.parse(source.textContent);
  const label = element.getAttribute("aria-label");
  chart.setOption(option(data, palette(), { label, isNarrow: element.clientWidth < 520 }), { notMerge: true });
  element.setAttribute("aria-label", label);
}

function begin(element) {
  const chart = echarts.init(element, null, { renderer: "svg" });
  const resized = new ResizeObserver(() => chart.resize());
  resized.observe(element);
  chart.on("click", ({ data }) => data?.url && location.assign(data.url));
  drawn.set(element, chart);
  return chart;
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
document.addEventListener("htmx:afterSettle", drawAll);
document.addEventListener("themechange", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
