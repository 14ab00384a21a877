import { drawn, element, facts, notice } from "./dom.js";
import { get } from "./server.js";

const WIDTH = 210, HEIGHT = 44, GAP_X = 60, GAP_Y = 16;

export function plan(main) {
  const ended = new AbortController();
  const shown = element("div", {}, element("p", { class: "quiet" }, "reading what is there …"));
  main.append(element("h1", {}, "Plan"), shown);
  get("/api/plan", ended.signal).then((told) => shown.replaceChildren(...pictured(told)), (error) => {
    if (!ended.signal.aborted) shown.replaceChildren(notice(error));
  });
  return () => ended.abort();
}

function pictured(told) {
  const pending = told.actions.filter((one) => one.kind !== "none");
  return [
    element("p", {}, `${told.file} as ${told.name}, on ${told.target}: `, pending.length ? `${pending.length} to do; \`homeport up\` does it, and asks first` : "nothing to do: it is as the file says"),
    ...told.problems.map((one) => notice({ error: `in the way: ${one}` })),
    ...told.warnings.map((one) => element("p", { class: "warn" }, `note: ${one}`)),
    element("div", { class: "wide" }, graph(told)),
    element("h2", {}, "What changes"),
    ...(pending.length ? pending.map(difference) : [element("p", { class: "quiet" }, "Nothing.")]),
    element("h2", {}, "What will be so"),
    facts(Object.entries(told.facts).map(([key, one]) => [key.replaceAll("_", " "), one.text ?? ""])),
  ];
}

function difference(action) {
  const lines = action.changes.map((one) => `${one.path || "it"}: ${plain(one.before)} → ${plain(one.after)}`);
  return element("div", {}, element("p", {}, element("strong", {}, `${action.kind} ${action.id}`), ` ${action.summary}`), lines.length ? element("pre", {}, lines.join("\n")) : null);
}

const plain = (value) => (value === null || value === undefined ? "none" : typeof value === "string" ? value : JSON.stringify(value));

function graph(told) {
  // What needs nothing stands left; each other thing right of all that it needs.
  const ids = told.actions.map((one) => one.id);
  const column = new Map();
  const depth = (id, path = []) => {
    if (column.has(id) || path.includes(id)) return column.get(id) ?? 0;
    const below = (told.needs[id] ?? []).filter((one) => ids.includes(one)).map((one) => depth(one, [...path, id]) + 1);
    column.set(id, Math.max(0, ...below));
    return column.get(id);
  };
  ids.forEach((id) => depth(id));
  const place = new Map(), filled = [];
  for (const id of ids) {
    const x = column.get(id);
    filled[x] = (filled[x] ?? 0) + 1;
    place.set(id, { x: x * (WIDTH + GAP_X) + 4, y: (filled[x] - 1) * (HEIGHT + GAP_Y) + 4 });
  }
  const width = filled.length * (WIDTH + GAP_X), height = Math.max(1, ...filled) * (HEIGHT + GAP_Y) + 8;
  const arrows = ids.flatMap((id) => (told.needs[id] ?? []).filter((one) => place.has(one)).map((need) => {
    const from = place.get(need), to = place.get(id);
    const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
    return drawn("path", { d: `M${x1},${y1} C${x1 + 30},${y1} ${x2 - 30},${y2} ${x2},${y2}` });
  }));
  const boxes = told.actions.map((one) => {
    const { x, y } = place.get(one.id);
    const cut = one.id.length > 30 ? `${one.id.slice(0, 29)}…` : one.id;
    return drawn("g", {}, drawn("title", {}, `${one.kind} ${one.id}: ${one.summary}`),
      drawn("rect", { x, y, width: WIDTH, height: HEIGHT, rx: 5, class: one.kind }),
      drawn("text", { x: x + 10, y: y + 18 }, cut), drawn("text", { x: x + 10, y: y + 35, class: "quiet" }, one.kind === "none" ? "as it should be" : one.kind));
  });
  return drawn("svg", { width, height, role: "img", "aria-label": `${ids.length} resources and what they need` }, arrows, boxes);
}
