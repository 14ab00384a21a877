// Elements are made from text, never from HTML: whatever an engine or a model says stays text.
const SVG = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export const NOT_KNOWN = "not known";

export function number(value, digits = 0, unit = "") {
  if (value === null || value === undefined) return NOT_KNOWN;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }) + unit;
}

export function facts(rows) {
  return element("dl", {}, rows.flatMap(([label, value]) => [element("dt", {}, label), element("dd", {}, value)]));
}

export function table(columns, rows) {
  const head = columns.map((one) => element("th", { scope: "col", class: one.class }, one.title));
  const body = rows.map((row) =>
    element("tr", {}, columns.map((one) => element("td", { class: one.class }, one.of(row)))));
  return element("div", { class: "wide" }, element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, body)));
}

export function reason(error) {
  // What a refusal says: homeport's errors have a message beside their class, the door's and the page's own a text alone.
  return `${error.message ?? error.error ?? error}`;
}

export function notice(error) {
  const hint = error.hint ? ` — ${error.hint}` : "";
  return element("p", { class: "notice", role: "alert" }, `${reason(error)}${hint}`);
}

export function stateClass(state) {
  if (["running", "ready", "busy"].includes(state)) return "good";
  return ["starting", "restarting", "unsupervised"].includes(state) ? "warn" : "bad";
}

export function asked(title, lines, yes) {
  // Resolves to true where a person says yes. Nothing is changed without it.
  return new Promise((resolve) => {
    const dialog = element("dialog", { "aria-label": title },
      element("h2", {}, title), lines.map((line) => element("p", {}, line)),
      element("div", { class: "row" },
        element("button", { type: "button", onclick: () => dialog.close("") , autofocus: "" }, "No"),
        element("button", { type: "button", onclick: () => dialog.close("yes"), "data-yes": "" }, yes)));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
