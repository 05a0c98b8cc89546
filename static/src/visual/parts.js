// The parts that are dragged into a mail. GrapesJS's own bring pictures from other hosts and a font that mails load from the
// net; and its raw HTML is what it can't open again.
const OF_THE_MAIL = 'font-family="Helvetica, Arial, sans-serif"';

// What stands where a picture is still to be chosen; no file has that name, so the checks tell of it.
export const NO_PICTURE = `data:image/svg+xml;base64,${btoa('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 200"><path fill="#d5d9e0" d="M0 0h600v200H0z"/><path fill="#5b6472" d="m220 150 50-70 35 45 25-30 50 55z"/></svg>')}`;
export const NO_PICTURE_CID = "cid:choose-a-picture";

export const PRESSABLE = { role: "button", tabindex: "0" }; // by keyboard, too

export function fillParts({ Blocks }, source) {
  const font = source.includes("<mj-attributes") ? "" : OF_THE_MAIL; // else the mail's own defaults count
  const text = `<mj-text ${font} font-size="16px" line-height="1.5">Write here.</mj-text>`;
  const button = `<mj-button ${font} href="https://example.com/">Read more</mj-button>`;
  const columns = (count) => `<mj-section>${`<mj-column>${text}</mj-column>`.repeat(count)}</mj-section>`;
  const contents = {
    "mj-1-column": columns(1),
    "mj-2-columns": columns(2),
    "mj-3-columns": columns(3),
    "mj-text": text,
    "mj-button": button,
    "mj-image": `<mj-image src="${NO_PICTURE}"></mj-image>`,
    "mj-hero": `<mj-hero mode="fluid-height" background-color="#1f2430" padding="40px 0"><mj-text ${font} font-size="28px" line-height="1.3" color="#ffffff" align="center">Write here.</mj-text>${button}</mj-hero>`,
    "mj-wrapper": `<mj-wrapper padding="20px 0">${columns(1)}</mj-wrapper>`,
  };
  for (const [id, content] of Object.entries(contents)) Blocks.get(id).set({ content });
  Blocks.remove("mj-raw");
  for (const part of Blocks.getAll().models) part.set("attributes", { ...part.get("attributes"), ...PRESSABLE });
}

// A press on a part puts it behind what is chosen, else at the end, in a section of its own where there is none: dragging is
// nothing for a phone.
export function placePart(part, editor) {
  const content = part.get("content");
  const added = place(editor, content) ?? place(editor, `<mj-section><mj-column>${content}</mj-column></mj-section>`).findType(part.id)[0];
  editor.select(added);
  if (part.get("activate")) added.trigger("active");
}

function place(editor, content) {
  const found = places(editor).find(([parent, at]) => editor.Components.canMove(parent, content, at).result);
  return found && [found[0].append(content, { at: found[1] })].flat()[0];
}

function places(editor) {
  const found = [];
  for (let one = editor.getSelected(); one?.parent(); one = one.parent()) found.push([one.parent(), one.index() + 1]);
  const ends = ["mj-column", "mj-body"].map((type) => editor.getWrapper().findType(type).at(-1));
  return [...found, ...ends.filter(Boolean).map((end) => [end, end.components().length])];
}
