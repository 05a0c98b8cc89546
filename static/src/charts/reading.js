// Reads a chart's numbers; what several charts share (steps, marks, where a point leads) stands once on the page.

export function read(element) {
  const own = parsed(element.dataset.chart);
  if (!own) return null;
  const zone = own.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const shared = element.dataset.axis ? parsed(element.dataset.axis) : null;
  if (!shared) return { ...own, zone };
  const { steps, ...beside } = { zone, ...shared };
  const series = own.series.map(({ values, ...one }) => ({ ...one, points: values.map((value, n) => [steps[n], value]) }));
  return { ...beside, ...own, series, end: steps.at(-1) };
}

function parsed(id) {
  const source = document.getElementById(id);
  return source ? JSON.parse(source.textContent) : null;
}
