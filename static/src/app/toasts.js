// Notices: one that says "done" goes away by itself, an error stays until closed.
import { icon, make } from "./dom.js";

const STAYS = 6000;
const ICONS = { success: "check", error: "error", warning: "warning", info: "info" };
// By the status of the answer; 0 where none came.
const AWAY = {
  0: "mailops can't be reached.",
  502: "mailops does not answer.",
  503: "The database does not answer.",
  504: "mailops does not answer.",
};
const LOOKED = "What this page shows may be old; it is asked for again by itself.";
const RELOAD = "Reload the page to see what was done.";
const AGAIN = "What you typed is still here: press again, or copy it before you reload the page.";
const TYPED = "What you type stays on this page, and is kept as soon as mailops answers.";
const PRESSED = "What you pressed may not have been done: look again in a moment.";
const LOGGED_OUT = "Your log-in has ended. Log in in another tab, then press again: what you typed stays here.";
const REFUSED = {
  401: LOGGED_OUT,
  403: "Your role does not allow this.",
  404: "This no longer exists. Reload the page.",
  429: "Too many attempts. Wait a few minutes.",
};

export function toasts() {
  document.querySelectorAll(".toast").forEach((toast) => watch(toast));
  window.addEventListener("load", sayAgain);
  document.addEventListener("click", (event) => {
    event.target.closest("[data-close]")?.closest(".toast")?.remove();
  });
  document.addEventListener("htmx:oobAfterSwap", () => {
    document.querySelectorAll("#toasts .toast:not([data-watched])").forEach((toast) => (isSaid(toast) ? toast.remove() : watch(toast)));
  });
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr: { status }, requestConfig: { verb } } = event.detail;
    if (AWAY[status]) tellAway(status, event.detail);
    else announceOnce(REFUSED[status] ?? `Something broke on our side (${status}). ${verb === "get" ? RELOAD : AGAIN}`);
  });
  document.addEventListener("htmx:sendError", (event) => tellAway(0, event.detail));
  document.addEventListener("htmx:afterOnLoad", (event) => event.detail.xhr.status < 500 && takeBack(LOOKED));
  document.addEventListener("htmx:afterOnLoad", (event) => event.detail.xhr.status < 400 && takeBack(LOGGED_OUT));
  document.addEventListener("htmx:afterOnLoad", (event) => event.detail.xhr.status < 500 && keeps(event.detail) && takeBack(TYPED));
}

// A screen reader says what comes into the page, and not what stood in it from its beginning, as after a form was sent.
function sayAgain() {
  for (const p of document.querySelectorAll("#toasts .toast > p")) {
    p.replaceChildren(...[...p.childNodes].map((node) => node.cloneNode(true)));
  }
}

function tellAway(status, detail) {
  const pressed = detail.requestConfig.verb === "get" ? LOOKED : PRESSED;
  announceOnce(`${AWAY[status]} ${keeps(detail) ? TYPED : pressed}`);
}

// Nobody pressed anything: an editor keeps what is typed in it.
function keeps({ elt }) {
  return elt.matches("[data-keeps]");
}

// What was said of pages that may be old is over, and of a log-in; what was pressed stays to be looked after.
function takeBack(words) {
  for (const p of document.querySelectorAll("#toasts .toast p")) {
    if (p.textContent.endsWith(words)) p.closest(".toast").remove();
  }
}

export function announce(text, level = "success", stays = STAYS) {
  const close = make("button", { type: "button", class: "toast-close", "data-close": true, "aria-label": "Close this notice" }, icon("close"));
  const role = level === "error" && "alert"; // the others are said by the region that they stand in
  const toast = make("div", { class: `toast ${level}`, role }, icon(ICONS[level] ?? "info"), make("p", {}, text), close);
  document.getElementById("toasts")?.append(toast);
  watch(toast, stays);
}

// A page that polls would say the same every few seconds.
function announceOnce(text) {
  if (!shows(text)) announce(text, "error");
}

// An error that the server tells once more, while it still stands there.
function isSaid(toast) {
  return toast.matches(".error") && shows(toast.querySelector("p").textContent, "[data-watched]");
}

function shows(text, which = "") {
  return [...document.querySelectorAll(`#toasts .toast${which} p`)].some((p) => p.textContent === text);
}

function watch(toast, stays = STAYS) {
  toast.dataset.watched = "";
  if (!toast.matches(".success, .info")) return;
  const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : toast.remove());
  setTimeout(leave, stays);
}
