// Pictures that are added while one is chosen become files of the draft, as on the page of the source; `pictures` learns what
// the source calls each.
export async function addPictures(editor, files, { address, token, pictures, tell }) {
  const body = new FormData();
  body.append("csrfmiddlewaretoken", token);
  for (const file of files) body.append("file", file);
  const answer = await fetch(address, { method: "POST", body, headers: { "HX-Request": "true" } }).catch(() => ({}));
  if (answer.status !== 200 && answer.status !== 422) return refuse(editor, tell, "The picture was not added. Log in in another tab if your log-in has ended, then add it again.");
  const panel = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const row of panel.querySelectorAll("tr:has(img.thumb)")) {
    const address = row.querySelector("img.thumb").getAttribute("src");
    const cid = row.querySelector("[data-insert]")?.dataset.insert.match(/"(cid:[^"]*)"/)?.[1];
    if (!cid || address in pictures) continue;
    pictures[address] = cid;
    editor.AssetManager.add(address);
  }
  const refusals = [...panel.querySelectorAll(".problems > .bad")].map((one) => one.textContent.trim());
  if (refusals.length) refuse(editor, tell, `Not added. ${refusals.join(" ")}`);
}

function refuse(editor, tell, words) {
  editor.Modal.close(); // it would cover what is told
  tell(words);
}
