import { element, notice, number, reason, stateClass, table } from "./dom.js";
import { live } from "./server.js";

const COLUMNS = [
  { title: "Name", of: (one) => element("a", { href: `#/endpoint/${one.on}/${one.name}` }, one.name) },
  { title: "Where", of: (one) => one.region || "here", class: "optional" },
  { title: "State", of: (one) => element("span", { class: stateClass(one.state) }, one.state) },
  { title: "Model", of: (one) => one.model, class: "optional" },
  { title: "Running", of: (one) => number(one.figures?.running), class: "number" },
  { title: "Waiting", of: (one) => number(one.figures?.waiting), class: "number optional" },
  { title: "Tokens/s", of: (one) => number(one.rates?.output_tokens_per_s, 1), class: "number" },
  { title: "Memory", of: (one) => number(one.resident_bytes === null ? null : one.resident_bytes / 2 ** 20, 0, " MiB"), class: "number optional" },
  { title: "An hour", of: (one) => (one.usd_per_hour === null ? "" : `$${one.usd_per_hour.toFixed(2)}`), class: "number optional" },
];

function unread(place) {
  const whole = place.error ? [{ ...place.error, message: `${place.title}: not known, could not be read: ${reason(place.error)}` }] : [];
  return [...(place.unread ?? []).map((what) => ({ message: `${place.title}: not known, could not be read: ${what}` })), ...whole];
}

function nobody(places) {
  const where = places.filter((place) => unread(place).length === 0).map((place) => place.title);
  return where.length ? [element("p", {}, `No endpoint runs on ${where.join(" or ")}. \`homeport up\` starts one.`)] : [];
}

export function endpoints(main) {
  const places = new Map();
  const shown = element("div", {}, element("p", { class: "quiet" }, "looking …"));
  main.append(element("h1", {}, "Endpoints"), shown);
  return live((told) => {
    places.set(told.on, told);
    const all = [...places.values()].flatMap((one) => one.endpoints);
    const focused = document.activeElement?.getAttribute?.("href");
    shown.replaceChildren(
      ...[...places.values()].flatMap(unread).map((one) => notice(one)),
      ...(all.length ? [table(COLUMNS, all)] : nobody([...places.values()])));
    if (focused) shown.querySelector(`a[href="${CSS.escape(focused).replaceAll("\\/", "/").replaceAll("\\#", "#")}"]`)?.focus();
  });
}
