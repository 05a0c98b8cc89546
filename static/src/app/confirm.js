// Asks before a small act: <form data-confirm="Remove this note?">, or hx-confirm. Dangerous acts have a page of their own.
import { make } from "./dom.js";

function ask(question) {
  const form = make("form", { method: "dialog", class: "actions" });
  form.append(
    make("button", { class: "button primary", value: "yes" }, "Yes"),
    make("button", { class: "button quiet", value: "no" }, "No"),
  );
  const text = make("p", { id: "confirm-question" }, question);
  const dialog = make("dialog", { class: "overlay confirm-box", "aria-labelledby": "confirm-question" }, text, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

export function confirmFirst() {
  document.addEventListener(
    "submit",
    async (event) => {
      const form = event.target;
      const question = form.dataset.confirm;
      if (!question || form.dataset.confirmed !== undefined) return;
      event.preventDefault();
      event.stopPropagation();
      if (!(await ask(question))) return;
      form.dataset.confirmed = "";
      form.requestSubmit(event.submitter);
    },
    true,
  );
  document.addEventListener("htmx:confirm", async (event) => {
    if (!event.detail.question) return;
    event.preventDefault();
    if (await ask(event.detail.question)) event.detail.issueRequest(true);
  });
}
