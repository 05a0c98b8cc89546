// MJML's elements for the editor: what may stand in each, and its commonest attributes.
const common = { "css-class": null, padding: null, "mj-class": null };
const text = { color: null, "font-family": null, "font-size": null, "font-weight": null, "line-height": null, align: ["left", "center", "right", "justify"] };
const content = ["mj-text", "mj-button", "mj-image", "mj-divider", "mj-spacer", "mj-table", "mj-social", "mj-navbar", "mj-accordion", "mj-carousel", "mj-raw"];
const element = (attrs, children) => ({ attrs: { ...common, ...attrs }, ...(children && { children }) });

export const MJML = {
  mjml: { attrs: { lang: null, dir: ["ltr", "rtl"] }, children: ["mj-head", "mj-body"] },
  "mj-head": { children: ["mj-title", "mj-preview", "mj-attributes", "mj-style", "mj-font", "mj-breakpoint", "mj-html-attributes"] },
  "mj-body": element({ "background-color": null, width: null }, ["mj-section", "mj-wrapper", "mj-hero", "mj-raw"]),
  "mj-title": {},
  "mj-preview": {},
  "mj-attributes": {},
  "mj-all": element(text),
  "mj-class": element({ name: null, ...text }),
  "mj-style": { attrs: { inline: ["inline"] } },
  "mj-font": { attrs: { name: null, href: null } },
  "mj-breakpoint": { attrs: { width: null } },
  "mj-html-attributes": {},
  "mj-wrapper": element({ "background-color": null, "full-width": ["full-width"] }, ["mj-section", "mj-hero", "mj-raw"]),
  "mj-section": element({ "background-color": null, "background-url": null, direction: ["ltr", "rtl"], "full-width": ["full-width"], "text-align": ["left", "center", "right"] }, ["mj-column", "mj-group", "mj-raw"]),
  "mj-group": element({ width: null }, ["mj-column"]),
  "mj-column": element({ width: null, "background-color": null, "vertical-align": ["top", "middle", "bottom"] }, content),
  "mj-hero": element({ mode: ["fixed-height", "fluid-height"], "background-url": null, "background-color": null, height: null }, content),
  "mj-text": element(text),
  "mj-button": element({ href: null, "background-color": null, "border-radius": null, "inner-padding": null, width: null, ...text }),
  "mj-image": element({ src: null, alt: null, href: null, width: null, height: null, align: ["left", "center", "right"] }),
  "mj-divider": element({ "border-color": null, "border-width": null, "border-style": null, width: null }),
  "mj-spacer": element({ height: null }),
  "mj-table": element({ ...text, width: null, cellpadding: null }),
  "mj-raw": {},
  "mj-social": element({ mode: ["horizontal", "vertical"], "icon-size": null, ...text }, ["mj-social-element"]),
  "mj-social-element": element({ name: null, href: null, src: null, alt: null }),
  "mj-navbar": element({ "base-url": null, hamburger: ["hamburger"] }, ["mj-navbar-link"]),
  "mj-navbar-link": element({ href: null, ...text }),
  "mj-accordion": element({}, ["mj-accordion-element"]),
  "mj-accordion-element": element({}, ["mj-accordion-title", "mj-accordion-text"]),
  "mj-accordion-title": element(text),
  "mj-accordion-text": element(text),
  "mj-carousel": element({}, ["mj-carousel-image"]),
  "mj-carousel-image": element({ src: null, alt: null, href: null }),
};
