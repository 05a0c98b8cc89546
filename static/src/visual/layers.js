// The list of what is in the mail, by keyboard: Enter on a name chooses that, and once more writes in it, as two presses of a
// pointer in the mail do; Enter before a name shows what is in it.
import { PRESSABLE } from "./parts.js";

export function pressLayers(editor) {
  const named = new WeakMap();
  editor.on("layer:render", ({ component, el }) => {
    const [name, arrow] = ["[data-name]", "[data-toggle-open]"].map((one) => el.querySelector(one));
    named.set(name, component);
    give(name, PRESSABLE);
    give(arrow, component.components().length ? { ...PRESSABLE, "aria-label": `What is in ${component.getName()}` } : { "aria-hidden": "true" });
  });
  // before GrapesJS, which takes Enter on a name for the end of its change
  editor.getContainer().addEventListener("keydown", (event) => {
    const component = named.get(event.target);
    if (!component || event.target.isContentEditable || !["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (editor.getSelected() === component) component.trigger("active");
    else editor.select(component);
  }, true);
}

function give(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}
