// Copy buttons: [data-copy] holds the text.
import { announce } from "./toasts.js";

export function copyButtons() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      selectText(button);
      announce("Your browser refuses copying. The text is selected: press Ctrl or Cmd and C.", "warning");
      return;
    }
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1600);
    announce("Copied.", "success", 1600);
  });
}

// The clipboard needs https or localhost; without it the value beside the button is selected.
function selectText(button) {
  const code = button.parentElement.querySelector("code, pre");
  if (code) getSelection().selectAllChildren(code);
}
