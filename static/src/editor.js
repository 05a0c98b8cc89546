// CodeMirror over the plain textareas of a template's editor. Without it the textareas do all the work.
import { Compartment } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { basicSetup } from "codemirror";
import { cameBack, keepTyped } from "./editor/keeping.js";
import { languageOf } from "./editor/languages.js";
import { theme } from "./editor/theme.js";

const form = document.getElementById("draft");
const editors = new Map();

if (form && !cameBack()) {
  for (const textarea of form.querySelectorAll("textarea[data-editor]")) cover(textarea);
  keepTyped(form);
  readFacts();
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "preview") readFacts();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-insert]");
    if (button) insert(button.dataset.insert);
  });
}

function cover(textarea) {
  const language = new Compartment();
  const kind = textarea.dataset.editor;
  const label = textarea.labels[0];
  const view = new EditorView({
    doc: textarea.value,
    extensions: [
      EditorView.cspNonce.of(form.dataset.nonce),
      basicSetup,
      language.of(languageOf(kind)),
      theme,
      EditorView.lineWrapping,
      lintGutter(),
      // not classList: the editor writes its class anew whenever it is configured
      EditorView.editorAttributes.of({ class: `code-editor code-editor-${kind}` }),
      EditorView.contentAttributes.of({
        "aria-label": label?.firstChild.textContent.trim() ?? kind,
        "aria-describedby": textarea.getAttribute("aria-describedby") ?? "",
      }),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged) return;
        textarea.value = update.state.doc.toString();
        textarea.dispatchEvent(new Event("input", { bubbles: true }));
      }),
    ],
  });
  view.scrollDOM.tabIndex = 0; // scrolls by keyboard, too
  textarea.after(view.dom);
  textarea.hidden = true;
  label?.addEventListener("click", () => view.focus());
  editors.set(textarea.name, { view, kind, language, names: "" });
}

// What the server found in the last preview: marks at their lines, and names to complete.
function readFacts() {
  const element = document.getElementById("editor-facts");
  if (!element) return;
  const facts = JSON.parse(element.textContent);
  const names = [facts.syntax, ...facts.variables, ...facts.blocks, ...facts.files].join("\n");
  for (const [part, editor] of editors) {
    if (editor.names !== names) {
      editor.names = names;
      const language = languageOf(editor.kind, facts);
      editor.view.dispatch({ effects: editor.language.reconfigure(language) });
    }
    mark(editor.view, facts.problems.filter((problem) => problem.part === part));
  }
}

function mark(view, problems) {
  const { doc } = view.state;
  const diagnostics = problems.map(({ line, severity, message }) => {
    const place = doc.line(Math.min(Math.max(line ?? 1, 1), doc.lines));
    return { from: place.from, to: place.to, severity, message };
  });
  diagnostics.sort((a, b) => a.from - b.from);
  view.dispatch(setDiagnostics(view.state, diagnostics));
}

// What shows a file, where the cursor is.
function insert(words) {
  const view = editors.get("html")?.view;
  if (!view) return;
  if (view.state.selection.main.to === 0) view.dispatch({ selection: { anchor: endOfBody(view.state.doc.toString()) } });
  view.dispatch(view.state.replaceSelection(words), { scrollIntoView: true });
  view.focus();
}

// Where something goes for which nobody has chosen a place.
function endOfBody(source) {
  for (const closing of ["</mj-column>", "</body>"]) {
    const at = source.lastIndexOf(closing);
    if (at >= 0) return at;
  }
  return source.length;
}
