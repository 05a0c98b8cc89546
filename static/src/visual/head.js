// The language and the preheader of a mail stand outside of what GrapesJS is given, so they have fields of their own. All
// else of the head stays as it is written.
const HEAD = /<mj-head\b[^]*?<\/mj-head\s*>/;
const OPENED = /<mjml\b(?:[^<>"']|"[^"]*"|'[^']*')*>/;
const LANG = /\s+lang\s*=\s*(?:"([^"]*)"|'([^']*)')/;
const PREVIEW = /<!--[^]*?-->|[ \t]*<mj-preview\b[^>]*>([^]*?)<\/mj-preview\s*>\n?/g;
const LIQUID = /(\{\{[^]*?\}\}|\{%[^]*?%\})/;

export function withoutHead(source) {
  return source.replace(HEAD, "");
}

export function headOf(source) {
  const [, double, single] = source.match(OPENED)?.[0].match(LANG) ?? [];
  return { lang: plain(double ?? single ?? ""), preheader: plain(preview(source.match(HEAD)?.[0] ?? "")?.[1] ?? "").trim().replace(/\s+/g, " ") };
}

// The source around a body: its own, but for what is asked for otherwise.
export function withHead(body, source, { lang, preheader }) {
  const was = headOf(source);
  let [opened, head] = [source.match(OPENED)?.[0] ?? "<mjml>", source.match(HEAD)?.[0] ?? ""];
  if (lang !== was.lang) opened = opened.replace(LANG, "").replace(/^<mjml/, () => `<mjml${lang && ` lang="${escaped(lang)}"`}`);
  if (preheader !== was.preheader) head = withPreview(head, preheader);
  return `${[opened, head && `  ${head}`, body, "</mjml>"].filter(Boolean).join("\n")}\n`;
}

function withPreview(head, words) {
  const found = preview(head);
  const line = words && `    <mj-preview>${escaped(words)}</mj-preview>\n`;
  if (found) return head.slice(0, found.index) + line + head.slice(found.index + found[0].length);
  if (!head) return `<mj-head>\n${line}  </mj-head>`;
  return head.replace(/^<mj-head\b[^>]*>\n?/, (tag) => `${tag.trimEnd()}\n${line}`);
}

function preview(head) {
  return [...head.matchAll(PREVIEW)].find((one) => one[1] !== undefined);
}

// As markup, but for Liquid, which is written as it is.
function escaped(words) {
  return words
    .split(LIQUID)
    .map((part, n) => (n % 2 ? part : part.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")))
    .join("");
}

export function plain(words) {
  return words.replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&#x27;", "'").replaceAll("&gt;", ">").replaceAll("&lt;", "<").replaceAll("&amp;", "&");
}
