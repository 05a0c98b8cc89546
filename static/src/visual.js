// GrapesJS over a template's MJML; loaded on the page of the visual editor alone.
import grapesjs from "grapesjs";
import mjml from "grapesjs-mjml";
import { keepTyped } from "./editor/keeping.js";
import "grapesjs/dist/css/grapes.min.css";
import "./visual/look.css";

const form = document.getElementById("visual");
const HEAD = /<mj-head\b[^]*?<\/mj-head\s*>/;
const SELF_CLOSED = /<(mj-[a-z-]+)((?:[^<>"']|"[^"]*"|'[^']*')*?)\s*\/>/g;
const OPENED = /<mjml\b[^>]*>/;
// GrapesJS draws its buttons with a font from the net; here they say what they do.
const NAMES = {
  "sw-visibility": "Outlines",
  preview: "Preview",
  fullscreen: "Full screen",
  "export-template": "Source",
  "open-sm": "Styles",
  "open-tm": "Settings",
  "open-layers": "Layers",
  "open-blocks": "Parts",
};
const BOX = /<(mj-section|mj-column|mj-text)\b[^<>]*css-class="mailops-part-(\d+)"[^<>]*>[^]*?<\/\1>/g;
const LIQUID = /\{\{[^]*?\}\}|\{%[^]*?%\}/g;

if (form) open(form.elements.html);

function open(textarea) {
  const editor = grapesjs.init({
    container: "#visual-canvas",
    height: "75vh",
    fromElement: false,
    storageManager: false,
    telemetry: false,
    cssIcons: "",
    plugins: [mjml],
    pluginsOpts: { [mjml]: { resetDevices: true } },
  });
  const source = textarea.defaultValue;
  const facts = JSON.parse(document.getElementById("visual-facts").textContent);
  const told = document.getElementById("visual-told");
  const tell = (words) => {
    told.textContent = words;
    told.hidden = false;
  };
  let unread = []; // what it couldn't read: then nothing is saved
  let asRead = null; // what it makes of the source that nobody changed
  const made = () => {
    const body = written(editor.getHtml(), facts);
    return facts.is_fragment ? body.replace(/^<mj-body\b[^>]*>|<\/mj-body\s*>$/g, "") : withHead(body, source);
  };
  const refused = () => {
    const lost = missing(source, textarea.value);
    if (lost.length) tell(`Not saved: the visual editor lost ${shown(lost)}. Write it into a text again, or edit the source.`);
    else if (!unread.length) told.hidden = true;
    return lost.length || unread.length;
  };
  keepTyped(form);
  editor.on("load", () => {
    name(editor);
    editor.AssetManager.add(Object.keys(facts.pictures));
    editor.setComponents(withoutHead(facts.source));
    // What is as it is by default it leaves out, which says something only where the head has other defaults.
    const idle = source.includes("<mj-attributes") ? new Set() : defaults(editor);
    unread = left(tokens(withoutHead(facts.source)), tokens(editor.getHtml())).filter((one) => !idle.has(one));
    if (unread.length) tell(`The visual editor can't express ${shown(unread)}, so it saves nothing here. Edit the source.`);
    asRead = made();
    form.dataset.ready = "yes";
  });
  // A text that the cursor is in is read once it has left, since reading moves it; who leaves the page before is asked.
  editor.on("component:input", () => {
    textarea.value = `${made()}\n`;
  });
  editor.on("update", () => {
    if (asRead === null) return;
    textarea.value = made() === asRead ? source : made();
    textarea.dispatchEvent(new Event("input", { bubbles: true }));
  });
  // Asked before each preview and each save.
  document.addEventListener("htmx:confirm", async (event) => {
    const { elt, issueRequest } = event.detail;
    if (elt !== form && elt.form !== form) return;
    event.preventDefault();
    if (elt !== form) await editor.getEditing()?.view.syncContent({ noCount: true });
    textarea.value = elt === form && made() === asRead ? source : made();
    if (!refused()) issueRequest(true);
  });
}

// The head is left alone: the browser's parser, which GrapesJS reads with, knows no elements that close themselves.
function withoutHead(source) {
  return source.replace(HEAD, "").replace(SELF_CLOSED, "<$1$2></$1>");
}

// The body as it stands in the source: with Liquid where boxes are, and pictures by their names.
function written(made, { parts, pictures }) {
  let body = made.match(/<mj-body\b[^]*<\/mj-body\s*>/)?.[0] ?? "<mj-body></mj-body>";
  body = body.replace(BOX, (_box, _element, number) => parts[number]);
  for (const [address, cid] of Object.entries(pictures)) body = body.replaceAll(`"${address}"`, `"${cid}"`);
  return body;
}

function withHead(body, source) {
  const opened = source.match(OPENED)?.[0] ?? "<mjml>";
  const head = source.match(HEAD)?.[0] ?? "";
  return `${opened}\n${head}\n${body}\n</mjml>\n`;
}

function name(editor) {
  for (const panel of ["options", "views"]) {
    for (const button of editor.Panels.getPanel(panel)?.get("buttons").models ?? []) {
      const label = NAMES[button.id];
      if (label) button.set({ className: "visual-button", label, attributes: { title: label } });
    }
  }
  for (const sector of editor.StyleManager.getSectors({ array: true })) {
    for (const property of sector.getProperties().filter((one) => one.getType() === "radio")) {
      property.setOptions(property.getOptions().map(({ className, ...option }) => option));
    }
  }
}

// The Liquid tags that stood in the source and don't stand in what was made.
function missing(before, after) {
  const body = before.replace(HEAD, "");
  return left((body.match(LIQUID) ?? []).map(plain), (after.replace(HEAD, "").match(LIQUID) ?? []).map(plain));
}

// The elements, attributes and words of a source, however they are written.
function tokens(source) {
  const found = [];
  const words = source.replace(/<([a-z][\w-]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>|<\/[^>]*>/gi, (_tag, element, attributes) => {
    if (!element || element === "mjml") return " ";
    found.push(`<${element}>`);
    for (const [, name, value] of attributes.matchAll(/([\w:-]+)\s*=\s*("[^"]*"|'[^']*')/g)) {
      found.push(`${name}="${plain(value.slice(1, -1)).replace(/\s+|;\s*$/g, "")}"`);
    }
    return " ";
  });
  return [...found, ...plain(words).split(/\s+/).filter(Boolean)];
}

function defaults(editor) {
  const all = editor.Components.getTypes().map(({ model }) => model.prototype.defaults?.["style-default"] ?? {});
  return new Set(all.flatMap((style) => Object.entries(style).map(([name, value]) => `${name}="${String(value).replace(/\s+/g, "")}"`)));
}

// What is in `before` more often than in `after`.
function left(before, after) {
  const counts = new Map();
  for (const one of after) counts.set(one, (counts.get(one) ?? 0) + 1);
  return before.filter((one) => {
    const rest = counts.get(one) ?? 0;
    counts.set(one, rest - 1);
    return rest < 1;
  });
}

function shown(lost) {
  return lost.slice(0, 3).join(", ");
}

function plain(tag) {
  return tag.replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&#x27;", "'").replaceAll("&gt;", ">").replaceAll("&lt;", "<").replaceAll("&amp;", "&");
}
