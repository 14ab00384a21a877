import { element, notice, number, table } from "./dom.js";
import { get } from "./server.js";

const COLUMNS = [
  { title: "Where", of: (one) => one.place },
  { title: "Engine", of: (one) => one.engine },
  { title: "Fits", of: (one) => element("span", { class: one.fits ? "good" : "bad" }, one.fits === null ? "not known" : one.fits ? "yes" : `no: ${one.problems.join("; ")}`) },
  { title: "At once", of: (one) => (one.concurrency === null ? one.concurrency_uncounted : number(one.concurrency)), class: "number" },
  { title: "An hour", of: (one) => (one.usd_per_hour === null ? "" : `$${one.usd_per_hour.toFixed(2)}`), class: "number" },
];

export function fit(main) {
  let ended = new AbortController();
  const shown = element("div", { role: "status" });
  const model = element("input", { type: "text", autocomplete: "off", placeholder: "the file's" });
  const context = element("input", { type: "number", min: "1", placeholder: "the file's" });
  const users = element("input", { type: "number", min: "1", placeholder: "the file's" });
  const ask = () => {
    ended.abort();
    ended = new AbortController();
    const { signal } = ended;
    const given = { model: model.value.trim(), context: context.value, parallel: users.value };
    const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value));
    shown.replaceChildren(element("p", { class: "quiet" }, "reckoning …"));
    get(`/api/fit?${query}`, signal).then((told) => shown.replaceChildren(...pictured(told)), (error) => {
      if (!signal.aborted) shown.replaceChildren(notice(error));
    });
  };
  const form = element("form", { class: "row", onsubmit: (event) => { event.preventDefault(); ask(); } },
    element("label", {}, "Model", model), element("label", {}, "Context", context), element("label", {}, "Users at once", users),
    element("button", { type: "submit" }, "Reckon"));
  main.append(element("h1", {}, "Fit and cost"), form, shown);
  ask();
  return () => ended.abort();
}

function pictured(told) {
  const { fit: found, curve, cost_error } = told;
  return [
    element("p", {}, `${found.model} with a context of ${number(found.context)} for ${number(found.parallel)} at once, in ${found.region}; list prices of ${found.prices_dated}`),
    table(COLUMNS, found.rows),
    ...found.notes.map((one) => element("p", { class: "quiet" }, one)),
    element("h2", {}, "A month on Cloud Run, by how often a day it wakes"),
    ...(cost_error ? [notice(cost_error)] : [bars(curve)]),
  ];
}

function bars(curve) {
  const most = Math.max(...curve.map((one) => one.usd_per_month));
  const rows = curve.map((one) => ({ ...one, share: (100 * one.usd_per_month) / most }));
  return table([
    { title: "Wakes a day", of: (one) => (one.wakes === null ? "always on" : number(one.wakes)) },
    { title: "A month", of: (one) => `$${one.usd_per_month.toFixed(2)}`, class: "number" },
    { title: "", of: (one) => element("meter", { min: "0", max: "100", value: one.share.toFixed(1), "aria-label": `${one.share.toFixed(0)} % of the dearest` }) },
  ], rows);
}
