// GrapesJS over a template's MJML; loaded on the page of the visual editor alone.
import grapesjs from "grapesjs";
import mjml from "grapesjs-mjml";
import "grapesjs/dist/css/grapes.min.css";
import "./visual/buttons.css";

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
  editor.on("load", () => {
    name(editor);
    editor.setComponents(withoutHead(source));
  });
  const told = document.getElementById("visual-told");
  form.addEventListener("submit", (event) => {
    const made = withHead(editor.getHtml(), source);
    const lost = missing(source, made);
    if (lost.length) {
      event.preventDefault();
      told.textContent = `Not saved: the visual editor lost ${lost.slice(0, 3).join(", ")}. Write it into a text again, or edit the source.`;
      told.hidden = false;
      return;
    }
    textarea.value = made;
  });
  form.dataset.ready = "yes";
}

// The head is left alone: the browser's parser, which GrapesJS reads with, knows no elements that close themselves.
function withoutHead(source) {
  return source.replace(HEAD, "").replace(SELF_CLOSED, "<$1$2></$1>");
}

function withHead(made, source) {
  const opened = source.match(OPENED)?.[0] ?? "<mjml>";
  const body = made.match(/<mj-body\b[^]*<\/mj-body\s*>/)?.[0] ?? "<mj-body></mj-body>";
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
}

// The Liquid tags that stood in the source and don't stand in what was made.
function missing(before, after) {
  const counts = new Map();
  for (const tag of after.match(LIQUID) ?? []) counts.set(plain(tag), (counts.get(plain(tag)) ?? 0) + 1);
  return (before.match(LIQUID) ?? []).filter((tag) => {
    const left = counts.get(plain(tag)) ?? 0;
    counts.set(plain(tag), left - 1);
    return left < 1;
  });
}

function plain(tag) {
  return tag.replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&gt;", ">").replaceAll("&lt;", "<").replaceAll("&amp;", "&");
}
