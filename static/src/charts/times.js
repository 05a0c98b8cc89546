// ECharts knows only the browser's zone and UTC. A time in the viewer's zone is shown as if it were UTC, so days begin where the viewer's do.

const formats = new Map();

function format(zone) {
  if (!formats.has(zone)) {
    formats.set(zone, new Intl.DateTimeFormat("en-US", {
      timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
    }));
  }
  return formats.get(zone);
}

export function asIfUtc(iso, zone) {
  const time = new Date(iso);
  const parts = Object.fromEntries(format(zone).formatToParts(time).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second);
}

const DAY = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

// Whole days need no time of day.
export function words(time, step) {
  return step >= 86400000 ? DAY.format(time) : MINUTE.format(time);
}
