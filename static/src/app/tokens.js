// A page's forms have the token of one log-in. Who logged in anew in another tab goes on here: with the token of now, once.

export function freshTokens() {
  let fresh = "";
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr, elt, requestConfig } = event.detail;
    const token = xhr.status === 403 && xhr.getResponseHeader("X-CSRFToken");
    if (!token || requestConfig.headers["X-CSRFToken"] === fresh) return;
    fresh = token;
    document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": token }));
    for (const field of document.getElementsByName("csrfmiddlewaretoken")) field.value = token;
    event.stopImmediatePropagation(); // nothing to tell yet
    // htmx sends nothing for an element before it is done with what it sent last
    setTimeout(() => window.htmx.ajax(requestConfig.verb, requestConfig.path, { source: elt, event: requestConfig.triggeringEvent }));
  });
}
