// GrapesJS writes all in one line; laid out, the source can be read, and a comparison shows what changed.
const WORDS = "mj-(?:text|button|table|raw|social-element|navbar-link|accordion-title|accordion-text)";
const TAG = `(?:[^<>"']|"[^"]*"|'[^']*')*`;
const LIQUID = "\\{\\{[^]*?\\}\\}|\\{%[^]*?%\\}";
const PIECES = new RegExp(`<(${WORDS})\\b${TAG}>[^]*?</\\1\\s*>|</?mj-[a-z-]+${TAG}>|${LIQUID}|[^<{\\s][^<{]*|[<{]`, "g");
const EMPTY = new RegExp(`<(mj-(?:image|divider|spacer|carousel-image))\\b(${TAG})></\\1>`, "g");

export function laidOut(body, depth) {
  const lines = [];
  for (const [piece, hasWords] of body.replace(EMPTY, "<$1$2 />").matchAll(PIECES)) {
    if (piece.startsWith("</")) depth -= 1;
    lines.push("  ".repeat(depth) + piece.trimEnd());
    if (/^<mj-/.test(piece) && !hasWords && !piece.endsWith("/>")) depth += 1;
  }
  return lines.join("\n");
}
