// A form is sent once, however often its button is pressed; one that was refused is gone on with where it is wrong.

export function sendOnce() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || isHtmx(form)) return;
    if (form.dataset.sent !== undefined) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "";
    for (const button of form.querySelectorAll("button[type=submit], button:not([type])")) {
      button.setAttribute("aria-disabled", "true");
    }
  });
  // back from the next page: the form may be sent again
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      form.querySelectorAll("[aria-disabled]").forEach((button) => button.removeAttribute("aria-disabled"));
    }
  });
}

// A page begins at its top, and whoever pressed the button at its end would have to look for what is wrong.
export function goToMistake() {
  document.querySelector("#main .has-errors :is(input:not([type=hidden]), select, textarea)")?.focus();
}

function isHtmx(form) {
  return form.closest("[hx-boost=true]") || form.matches("[hx-post], [hx-put], [hx-delete]");
}
