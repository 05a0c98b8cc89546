// What is pasted from elsewhere, reduced to what the text of a mail is made of: styles, frames and scripts stay behind.
const KEPT = new Set("A B BR EM H1 H2 H3 H4 I LI OL P S STRONG SUB SUP U UL".split(" "));
const LEFT = new Set("HEAD IFRAME FRAME IMG MATH NOSCRIPT OBJECT SCRIPT STYLE SVG TEMPLATE TITLE VIDEO".split(" "));
const LINES = new Set("BLOCKQUOTE DIV DL DD DT FIGURE H5 H6 PRE SECTION TABLE TR".split(" "));
const ADDRESS = /^(?:https?:|mailto:|tel:|\{\{)/i;

// The text of a paste, as HTML; "" where it has none, as a picture.
export function pasted(clipboard) {
  const html = clipboard.getData("text/html");
  if (!html) return ofLines(clipboard.getData("text/plain"));
  return inside(new DOMParser().parseFromString(html, "text/html").body).trim();
}

function ofLines(text) {
  return text.trim().split(/\r?\n/).map(escaped).join("<br>");
}

function inside(element) {
  return [...element.childNodes].map(reduced).join("");
}

function reduced(node) {
  if (node.nodeType === Node.TEXT_NODE) return escaped(node.data.replace(/[ \t\r\n]+/g, " "));
  const name = node.nodeName.toUpperCase();
  if (node.nodeType !== Node.ELEMENT_NODE || LEFT.has(name)) return "";
  const words = inside(node);
  if (name === "BR") return "<br>";
  if (!words.trim()) return words;
  if (KEPT.has(name)) return isPlain(node, name) ? words : `<${name.toLowerCase()}${attributes(node)}>${words}</${name.toLowerCase()}>`;
  if (LINES.has(name)) return /<(?:p|h\d|[ou]l)\b/.test(words) ? words : `<p${attributes(node)}>${words}</p>`;
  return emphasized(node, name === "TD" || name === "TH" ? `${words} ` : words);
}

// Programs for documents wrap all in a <b> that isn't bold, and write what is bold as a style.
function isPlain(node, name) {
  return (name === "B" && node.style.fontWeight === "normal") || (name === "A" && !ADDRESS.test(node.getAttribute("href") ?? ""));
}

function emphasized({ style }, words) {
  const slanted = style.fontStyle === "italic" ? `<i>${words}</i>` : words;
  return style.fontWeight === "bold" || style.fontWeight >= 600 ? `<b>${slanted}</b>` : slanted;
}

function attributes(node) {
  return ["href", "dir", "lang"]
    .filter((name) => node.getAttribute(name) && (name !== "href" || node.nodeName === "A"))
    .map((name) => ` ${name}="${escaped(node.getAttribute(name)).replaceAll('"', "&quot;")}"`)
    .join("");
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
