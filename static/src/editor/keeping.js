// Keeps what is typed until the server has it. A save goes by htmx, so what comes to nothing (the log-in ended, the server
// is away, it is too long) is told on the page where it was typed; who leaves that page before is asked. What could not be
// kept because nobody answered is sent again until somebody does.
const SAVED = new Set(["subject", "html", "text", "sample"]);
const ANSWERED = new Set([200, 204, 422]); // then the server keeps what was sent, saved or not
const AWAY = new Set([0, 502, 503, 504]);
const PATIENCE = 5000;

// “Back” shows a page as it once came, and what was typed since is with the server: it is asked for anew.
export function cameBack() {
  if (performance.getEntriesByType("navigation")[0]?.type !== "back_forward") return false;
  openAnew();
  return true;
}

function openAnew() {
  location.replace(location.pathname + location.search);
}

export function keepTyped(form) {
  const save = document.getElementById("save");
  const addresses = [form.getAttribute("hx-post"), save.getAttribute("hx-post")];
  let kept = words(new FormData(form));
  let again = 0;
  const sendAgain = () => form.dispatchEvent(new Event("preview"));

  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr, requestConfig } = event.detail;
    if (!addresses.includes(requestConfig.path) || !ANSWERED.has(xhr.status)) return;
    clearTimeout(again);
    kept = words(requestConfig.formData);
    if (xhr.status === 422 && requestConfig.path === addresses[1]) sendWhole(); // refused: a page says why
  });
  for (const failed of ["htmx:sendError", "htmx:responseError"]) {
    document.addEventListener(failed, ({ detail: { xhr, requestConfig } }) => {
      if (requestConfig.path !== addresses[0] || !AWAY.has(xhr.status)) return;
      clearTimeout(again);
      again = setTimeout(sendAgain, PATIENCE);
    });
  }
  form.addEventListener("submit", (event) => {
    if (!event.submitter?.hasAttribute("formaction")) kept = words(new FormData(form));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    event.preventDefault();
    save.click();
  });
  window.addEventListener("pageshow", ({ persisted }) => {
    if (persisted && words(new FormData(form)) === kept) openAnew();
  });
  window.addEventListener("beforeunload", (event) => {
    if (words(new FormData(form)) !== kept) event.preventDefault();
  });

  function sendWhole() {
    kept = words(new FormData(form));
    form.submit();
  }
}

function words(data) {
  return JSON.stringify([...data].filter(([name]) => SAVED.has(name)));
}
