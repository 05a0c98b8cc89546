// Which language a part is written in, with what can be completed in it.
import { html } from "@codemirror/lang-html";
import { json } from "@codemirror/lang-json";
import { liquid } from "@codemirror/lang-liquid";
import { MJML } from "./mjml.js";

export function languageOf(kind, { variables = [], blocks = [], files = [], syntax = "html" } = {}) {
  if (kind === "json") return json();
  const named = variables.map((label) => ({ label, type: "variable" }));
  const tags = blocks.map((name) => ({
    label: `render '${name}'`,
    apply: ` render '${name}' %}`,
    type: "function",
    detail: "block",
  }));
  const extraGlobalAttributes = { src: files.map((name) => `cid:${encodeURIComponent(name)}`) };
  const extra = syntax === "mjml" ? { extraTags: MJML, selfClosingTags: true } : {};
  const base = html({ ...extra, extraGlobalAttributes });
  return liquid({ variables: named, tags: [...STANDARD_TAGS, ...tags], base });
}

const STANDARD_TAGS = [
  ...["if", "elsif", "else", "endif", "unless", "endunless", "case", "when", "endcase"],
  ...["for", "endfor", "break", "continue", "assign", "capture", "endcapture", "cycle"],
  ...["tablerow", "endtablerow", "comment", "endcomment", "raw", "endraw", "echo", "liquid"],
].map((label) => ({ label, type: "keyword" }));
