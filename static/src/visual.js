// GrapesJS over a template's MJML; loaded on the page of the visual editor alone.
import grapesjs from "grapesjs";
import mjml from "grapesjs-mjml";
import { cameBack, keepTyped } from "./editor/keeping.js";
import { headOf, plain, withHead, withoutHead } from "./visual/head.js";
import { pressLayers } from "./visual/layers.js";
import { laidOut } from "./visual/laying_out.js";
import { NO_PICTURE, NO_PICTURE_CID, PRESSABLE, fillParts, placePart } from "./visual/parts.js";
import { pasted } from "./visual/pasting.js";
import { addPictures } from "./visual/pictures.js";
import "grapesjs/dist/css/grapes.min.css";
import "./visual/look.css";

const form = document.getElementById("visual");
const SELF_CLOSED = /<(mj-[a-z-]+)((?:[^<>"']|"[^"]*"|'[^']*')*?)\s*\/>/g;
// GrapesJS draws its buttons with a font from the net; here they say what they do.
const NAMES = {
  "sw-visibility": "Outlines",
  fullscreen: "Full screen",
  "open-sm": "Styles",
  "open-tm": "Settings",
  "open-layers": "Layers",
  "open-blocks": "Parts",
};
// Its view of the source and its import know no head, and no way leads out of its preview: the editor of the source has all three.
const NOT_OURS = ["preview", "export-template", "mjml-import"];
const NOTHING_CHOSEN = "Click on something in the mail first.";
const BOX = /<(mj-section|mj-column|mj-text)\b[^<>]*css-class="mailops-part-(\d+)"[^<>]*>[^]*?<\/\1>/g;
const LIQUID = /\{\{[^]*?\}\}|\{%[^]*?%\}/g;

if (form && !cameBack()) open(form.elements.html);

function open(textarea) {
  const editor = grapesjs.init({
    container: "#visual-canvas",
    height: "75vh",
    fromElement: false,
    storageManager: false,
    telemetry: false,
    blockManager: { appendOnClick: placePart },
    assetManager: { disableUpload: false, embedAsBase64: false, uploadFile: ({ dataTransfer, target }) => add((dataTransfer ?? target).files) },
    cssIcons: "",
    i18n: { messagesAdd: { en: { styleManager: { empty: NOTHING_CHOSEN }, traitManager: { empty: NOTHING_CHOSEN } } } },
    plugins: [mjml],
    pluginsOpts: { [mjml]: { resetDevices: true } },
  });
  fillParts(editor, textarea.defaultValue);
  pressLayers(editor);
  let source = textarea.defaultValue; // as it was saved last, or opened
  const head = headFields(source);
  const facts = JSON.parse(document.getElementById("visual-facts").textContent);
  facts.source = facts.source.replaceAll(`"${NO_PICTURE_CID}"`, `"${NO_PICTURE}"`);
  const told = document.getElementById("visual-told");
  const tell = (words) => {
    told.textContent = words;
    told.hidden = false;
  };
  const add = (files) => addPictures(editor, files, { address: form.dataset.files, token: form.elements.csrfmiddlewaretoken.value, pictures: facts.pictures, tell });
  let unread = []; // what it couldn't read: then nothing is saved
  let asRead = null; // what it makes of the source that nobody changed
  let gone = ""; // the Liquid tags that were gone at the last press
  const made = () => {
    const body = written(whole(editor), facts);
    return facts.is_fragment ? laidOut(body.replace(/^<mj-body\b[^>]*>|<\/mj-body\s*>$/g, ""), 0) : withHead(laidOut(body, 1), source, head.asked());
  };
  // A tag may have been taken out on purpose: then who presses again saves.
  const saves = () => {
    if (unread.length) return false;
    const lost = missing(source, textarea.value);
    const isNew = lost.join() !== gone;
    gone = lost.join();
    if (lost.length && isNew) tell(`Not saved yet: ${shown(lost)} is gone from the mail. Undo that, or press “Save draft” again.`);
    else told.hidden = true;
    return !lost.length || !isNew;
  };
  keepTyped(form);
  editor.on("load", () => {
    name(editor);
    editor.Canvas.getFrameEl().title = "The mail";
    document.querySelector(".gjs-pn-views-container").tabIndex = 0; // scrolls by keyboard, too
    editor.AssetManager.add(Object.keys(facts.pictures));
    facts.pictures[NO_PICTURE] = NO_PICTURE_CID;
    editor.setComponents(readable(facts.source));
    editor.Layers.setRoot(editor.getWrapper().findType("mj-body")[0]);
    // What is as it is by default it leaves out, which says something only where the head has other defaults.
    const idle = source.includes("<mj-attributes") ? new Set() : defaults(editor);
    unread = left(tokens(readable(facts.source)), tokens(editor.getHtml())).filter((one) => !idle.has(one));
    if (unread.length) tell(`The visual editor can't express ${shown(unread)}, so it saves nothing here. Edit the source.`);
    asRead = made();
    if (!source.trim()) editor.Panels.getButton("views", "open-blocks").set("active", true);
    form.dataset.ready = "yes";
    form.dispatchEvent(new Event("preview"));
  });
  const read = () => {
    if (asRead === null) return;
    textarea.value = made() === asRead ? source : made();
    textarea.dispatchEvent(new Event("input", { bubbles: true }));
  };
  editor.getContainer().addEventListener("keydown", press);
  editor.on("component:input", read);
  editor.on("update", read);
  for (const field of head.fields) field.addEventListener("input", read);
  editor.on("canvas:frame:load:body", ({ window: { document } }) => document.addEventListener("paste", paste, true));
  editor.on("canvas:dragdata", (dragged, result) => {
    if (dragged.types.includes("text/html")) result.content = `<mj-text>${pasted(dragged)}</mj-text>`;
  });
  document.body.addEventListener("saved", () => {
    document.getElementById("kept")?.remove();
    [source, asRead, gone] = [textarea.value, made(), ""];
  });
  // Asked before each preview and each save.
  document.addEventListener("htmx:confirm", async (event) => {
    const { elt, issueRequest } = event.detail;
    if (elt !== form && elt.form !== form) return;
    event.preventDefault();
    if (elt !== form) await editor.getEditing()?.view.syncContent({ noCount: true });
    textarea.value = made() === asRead ? source : made();
    if (elt === form ? !unread.length : saves()) issueRequest(true);
  });
}

// All of it as MJML, with what somebody is just writing into a text: GrapesJS reads that once the cursor has left, since
// reading moves the cursor.
function whole(editor) {
  const text = editor.getEditing();
  if (!text) return editor.getHtml();
  text.toHTML = function asOnScreen(options) {
    const [opened] = Object.getPrototypeOf(this).toHTML.call(this, options).match(/^<(?:[^<>"']|"[^"]*"|'[^']*')*>/);
    return `${opened.replace(/\s*\/>$/, ">")}${onScreen(this.view.getChildrenContainer())}</${this.get("tagName")}>`;
  };
  try {
    return editor.getHtml();
  } finally {
    delete text.toHTML;
  }
}

// What is in an element, without what GrapesJS needs there.
function onScreen(element) {
  const copy = element.cloneNode(true);
  for (const one of copy.querySelectorAll("*")) {
    for (const { name } of [...one.attributes]) if (/^(?:id|draggable|contenteditable|data-.*)$/.test(name)) one.removeAttribute(name);
    one.classList.remove(...[...one.classList].filter((each) => each.startsWith("gjs-")));
    if (!one.classList.length) one.removeAttribute("class");
  }
  const written = [...copy.childNodes].map((node) => new XMLSerializer().serializeToString(node)).join("");
  return written.replaceAll(' xmlns="http://www.w3.org/1999/xhtml"', "").replace(LIQUID, plain);
}

// GrapesJS's buttons and parts are no buttons of the browser.
function press(event) {
  if (!["Enter", " "].includes(event.key) || !event.target.matches("[role=button]")) return;
  event.preventDefault();
  event.target.click();
}

function paste(event) {
  const document = event.target.ownerDocument;
  if (!document.activeElement.isContentEditable) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const words = pasted(event.clipboardData);
  if (words) document.execCommand("insertHTML", false, words);
}

// The fields for what isn't in the body; what stands in a layout has none.
function headFields(source) {
  const fields = [...form.querySelectorAll("[data-head]")];
  const now = headOf(source);
  for (const field of fields) field.value = now[field.dataset.head];
  return { fields, asked: () => Object.fromEntries(fields.map((field) => [field.dataset.head, field.value.trim().replace(/\s+/g, " ")])) };
}

// The browser's parser, which GrapesJS reads with, knows no elements that close themselves.
function readable(source) {
  return withoutHead(source).replace(SELF_CLOSED, "<$1$2></$1>");
}

// The body as it stands in the source: with Liquid where boxes are, and pictures by their names.
function written(made, { parts, pictures }) {
  let body = made.match(/<mj-body\b[^]*<\/mj-body\s*>/)?.[0] ?? "<mj-body></mj-body>";
  body = body.replace(BOX, (_box, _element, number) => parts[number]);
  for (const [address, cid] of Object.entries(pictures)) body = body.replaceAll(`"${address}"`, `"${cid}"`);
  return body;
}

function name(editor) {
  for (const id of NOT_OURS) editor.Panels.removeButton("options", id);
  for (const panel of ["options", "views"]) {
    for (const button of editor.Panels.getPanel(panel)?.get("buttons").models ?? []) {
      const label = NAMES[button.id];
      if (label) button.set({ className: "visual-button", label, attributes: { title: label } });
    }
  }
  for (const panel of editor.Panels.getPanels().models) {
    for (const button of panel.get("buttons").models) {
      if (button.id) button.set("attributes", { ...button.get("attributes"), ...PRESSABLE });
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
  return left(...[before, after].map((each) => (withoutHead(each).match(LIQUID) ?? []).map(plain)));
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
