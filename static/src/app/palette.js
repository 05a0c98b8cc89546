// The palette (Ctrl or Cmd and K): go to, recent, actions, and what the server's search finds.
import { make } from "./dom.js";
import { recent, rememberPage } from "./recent.js";

const PAUSE = 180;

export function palette() {
  const opener = document.querySelector("[data-palette]");
  rememberPage();
  if (!opener) return { open() {}, places: () => [], own: [] };
  const box = new Palette(opener.dataset.palette);
  opener.addEventListener("click", (event) => {
    event.preventDefault();
    box.open();
  });
  return box;
}

class Palette {
  constructor(url) {
    this.url = url;
    this.offers = null;
    this.sequence = 0;
    this.own = []; // actions of the page itself, which are pressed and lead nowhere
  }

  async open() {
    if (this.dialog?.open) return;
    this.draw();
    this.dialog.showModal();
    this.offers ??= await getJson(this.url);
    this.show();
  }

  draw() {
    this.input = make("input", {
      class: "palette-input", type: "text", role: "combobox", placeholder: "Go to, or find a domain, campaign, template, recipient, message id",
      "aria-label": "Go to or find", "aria-expanded": "true", "aria-controls": "palette-results", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
    });
    this.results = make("div", { class: "palette-results", id: "palette-results", role: "listbox", "aria-label": "Results" });
    this.note = make("p", { class: "palette-note", role: "status" }); // no option, so it stands beside them
    this.dialog = make("dialog", { class: "overlay", "aria-label": "Go to or find" }, this.input, this.results, this.note);
    document.body.append(this.dialog);
    this.dialog.addEventListener("close", () => this.dialog.remove());
    this.dialog.addEventListener("click", (event) => this.clicked(event));
    this.input.addEventListener("input", () => this.show());
    this.input.addEventListener("keydown", (event) => this.pressed(event));
  }

  clicked(event) {
    const item = event.target.closest(".palette-item");
    if (item) go(item, event);
    else if (event.target === this.dialog) this.dialog.close();
  }

  pressed(event) {
    const items = [...this.results.querySelectorAll(".palette-item")];
    const at = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown") this.select(items[(at + 1) % items.length]);
    else if (event.key === "ArrowUp") this.select(items.at(at <= 0 ? -1 : at - 1));
    else if (event.key === "Enter" && items[at]) go(items[at], event);
    else return;
    event.preventDefault();
  }

  select(item) {
    if (!item) return;
    this.results.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
    item.setAttribute("aria-selected", "true");
    item.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", item.id);
  }

  show() {
    const query = this.input.value.trim();
    const fits = (entry) => entry.label.toLowerCase().includes(query.toLowerCase());
    const { places = [], actions = [] } = this.offers ?? {};
    this.list([
      ["Recent", query ? [] : recent().filter(({ url }) => url !== location.pathname)],
      ["Go to", places.filter(fits)],
      ["Actions", [...actions, ...this.own].filter(fits)],
    ]);
    if (query.length > 1 && this.offers?.search) this.search(query);
  }

  search(query) {
    const mine = ++this.sequence;
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const found = await getJson(`${this.offers.search}?q=${encodeURIComponent(query)}`);
      if (mine === this.sequence && this.dialog.open && this.input.value.trim() === query) this.add("Found", found.results ?? []);
    }, PAUSE);
  }

  tell(words) {
    this.note.textContent = words;
    this.input.setAttribute("aria-expanded", String(!words));
  }

  list(groups) {
    this.sequence += 1;
    this.results.replaceChildren();
    for (const [name, entries] of groups) this.add(name, entries);
    if (this.results.children.length) return;
    this.input.removeAttribute("aria-activedescendant");
    this.tell(this.offers ? "Nothing with this name." : "Loading …");
  }

  add(name, entries) {
    if (!entries.length) return;
    this.tell("");
    const group = make("div", { role: "group", "aria-label": name }, make("div", { class: "palette-group", "aria-hidden": "true" }, name));
    for (const entry of entries) group.append(drawn(entry));
    this.results.append(group);
    if (!this.results.querySelector("[aria-selected=true]")) this.select(this.results.querySelector(".palette-item"));
  }

  async places() {
    this.offers ??= await getJson(this.url);
    return this.offers.places ?? [];
  }
}

let count = 0;

function drawn(entry) {
  count += 1;
  const item = make("div", { class: "palette-item", role: "option", id: `palette-${count}`, "data-url": entry.url, "aria-selected": "false" }, make("span", {}, entry.label));
  item.press = entry.press;
  if (entry.kind) item.append(make("span", { class: "muted" }, entry.kind));
  if (entry.key) item.append(make("span", { class: "muted", "aria-hidden": "true" }, make("kbd", {}, "g"), " ", make("kbd", {}, entry.key)));
  return item;
}

function go(item, event) {
  if (item.press) {
    item.closest("dialog").close();
    item.press();
  } else if (event.ctrlKey || event.metaKey) window.open(item.dataset.url, "_blank", "noopener");
  else location.assign(item.dataset.url);
}

async function getJson(url) {
  try {
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}
