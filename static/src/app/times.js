// Keeps "3 minutes ago" true while a page stays open; the words are those of lib/templatetags/times.py.

const UNITS = [
  ["year", 31536000],
  ["month", 2592000],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

export function relative(then, now) {
  const seconds = Math.round((now - then) / 1000);
  const distance = Math.abs(seconds);
  if (distance < 45) return seconds >= 0 ? "just now" : "in a moment";
  const [unit, size] = UNITS.find(([, size]) => distance >= size) ?? UNITS.at(-1);
  const n = Math.max(1, Math.round(distance / size));
  const words = `${n} ${unit}${n === 1 ? "" : "s"}`;
  return seconds > 0 ? `${words} ago` : `in ${words}`;
}

function relativeDue(then, now) {
  const words = relative(then, now);
  if (words === "just now" || words === "in a moment") return "due now";
  return words.endsWith(" ago") ? `overdue by ${words.slice(0, -4)}` : words;
}

function refresh() {
  for (const time of document.querySelectorAll("time.relative")) {
    const told = time.classList.contains("due") ? relativeDue : relative;
    const words = told(new Date(time.dateTime), Date.now());
    if (time.textContent !== words) time.textContent = words;
  }
}

export function freshTimes() {
  setInterval(() => document.hidden || refresh(), 15000);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
}
