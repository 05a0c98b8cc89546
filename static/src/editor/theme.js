// The editor in the colors of the pages, light and dark, through the same tokens.
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags as t } from "@lezer/highlight";

const look = EditorView.theme({
  "&": { fontSize: "var(--size-s)", color: "var(--text)", backgroundColor: "var(--surface)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  "&.code-editor-html .cm-scroller": { minHeight: "420px", maxHeight: "70vh" },
  "&.code-editor-text .cm-scroller": { minHeight: "120px", maxHeight: "50vh" },
  "&.code-editor-json .cm-scroller": { minHeight: "96px", maxHeight: "40vh" },
  ".cm-content": { caretColor: "var(--text)" },
  ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { alignSelf: "stretch", height: "auto", backgroundColor: "var(--sunken)", color: "var(--muted)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": {
    backgroundColor: "color-mix(in srgb, var(--accent) 7%, transparent)",
  },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground":
    { backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent) !important" },
  ".cm-tooltip, .cm-panels": {
    backgroundColor: "var(--raised)",
    color: "var(--text)",
    border: "1px solid var(--line)",
  },
  ".cm-panel.cm-search :is(input, button, label)": { fontSize: "var(--size-s)" },
  ".cm-panel.cm-search [name=close]": { color: "var(--text)" },
  ".cm-textfield, .cm-button": {
    padding: "2px 8px",
    backgroundImage: "none",
    backgroundColor: "var(--surface)",
    color: "var(--text)",
    border: "1px solid var(--line)",
    borderRadius: "var(--radius)",
  },
  ".cm-panel.cm-search .cm-textfield": { width: "min(100%, 240px)", minHeight: "0" },
  ".cm-button:active": { backgroundImage: "none", backgroundColor: "var(--sunken)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": {
    backgroundColor: "var(--accent-solid)",
    color: "var(--on-accent)",
  },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--sunken)", color: "var(--muted)", border: "none" },
});

const colors = HighlightStyle.define([
  { tag: [t.tagName, t.angleBracket], color: "var(--series-4)" },
  { tag: [t.attributeName, t.propertyName], color: "var(--series-1)" },
  { tag: [t.string, t.attributeValue, t.special(t.string)], color: "var(--series-2)" },
  { tag: [t.keyword, t.brace, t.operator, t.controlKeyword, t.processingInstruction], color: "var(--series-3)" },
  { tag: [t.variableName, t.function(t.variableName)], color: "var(--series-3)", fontWeight: "600" },
  { tag: [t.number, t.bool, t.null], color: "var(--series-5)" },
  { tag: t.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: t.invalid, color: "var(--bad)" },
]);

export const theme = [look, syntaxHighlighting(colors)];
