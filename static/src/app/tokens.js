// A page's forms have the token of one log-in. Who logged in anew in another tab goes on here: with the token of now, once.

const KEPT = "token";

export function freshTokens() {
  let fresh = "";
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr, elt, requestConfig } = event.detail;
    const token = xhr.status === 403 && xhr.getResponseHeader("X-CSRFToken");
    if (!token || requestConfig.headers["X-CSRFToken"] === fresh) return;
    fresh = token;
    use(token);
    event.stopImmediatePropagation(); // nothing to tell yet
    // htmx sends nothing for an element before it is done with what it sent last
    setTimeout(() => window.htmx.ajax(requestConfig.verb, requestConfig.path, { source: elt, event: requestConfig.triggeringEvent }));
  });
}

// A form that htmx doesn't send ends on a page that says so, and holds the token of now for the one that is gone back to.
export function handOnToken() {
  const refusal = document.querySelector("[data-fresh-token]");
  const back = refusal?.querySelector("[data-back]");
  back?.removeAttribute("hidden");
  if (refusal) window.addEventListener("focus", renew); // whoever comes from another tab may have logged in there
  back?.addEventListener("click", async () => {
    await renew();
    history.back();
  });
  window.addEventListener("pageshow", (event) => {
    if (refusal) return keep(refusal.dataset.freshToken);
    const token = take();
    const isBack = event.persisted || performance.getEntriesByType("navigation")[0]?.type === "back_forward";
    if (token && isBack) use(token);
  });
}

// What comes without a token is refused with the one of now.
async function renew() {
  try {
    const answer = await fetch(location.href, { method: "POST", headers: { "HX-Request": "true" } });
    const token = answer.status === 403 && answer.headers.get("X-CSRFToken");
    if (token) keep(token);
  } catch {
    // the one that the page came with is kept
  }
}

function use(token) {
  document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": token }));
  for (const field of document.getElementsByName("csrfmiddlewaretoken")) field.value = token;
}

// of this tab alone; where storage is refused, the page says what to do
function keep(token) {
  try {
    sessionStorage.setItem(KEPT, token);
  } catch {
    // forgotten
  }
}

function take() {
  try {
    const token = sessionStorage.getItem(KEPT);
    sessionStorage.removeItem(KEPT);
    return token;
  } catch {
    return null;
  }
}
