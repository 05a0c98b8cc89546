// Which language a part is written in, with what can be completed in it.
import { html } from "@codemirror/lang-html";
import { json } from "@codemirror/lang-json";
import { liquid } from "@codemirror/lang-liquid";

export function languageOf(kind, names) {
  if (kind === "json") return json();
  const variables = names.map((label) => ({ label, type: "variable" }));
  return liquid({ variables, base: html() });
}
