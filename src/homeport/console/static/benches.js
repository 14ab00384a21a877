import { element, notice, number, table } from "./dom.js";
import { get } from "./server.js";

const COLUMNS = [
  { title: "When", of: (one) => one.started_at ?? "" },
  { title: "Endpoint", of: (one) => one.endpoint ?? "" },
  { title: "Model", of: (one) => one.model ?? "", class: "optional" },
  { title: "Users", of: (one) => number(one.users), class: "number" },
  { title: "Tokens/s", of: (one) => number(one.output_tokens_per_second, 1), class: "number" },
  { title: "Valid", of: (one) => (one.valid ? "yes" : `no ${one.why}`) },
];

export function benches(main) {
  const ended = new AbortController();
  const shown = element("div", {}, element("p", { class: "quiet" }, "reading …"));
  main.append(element("h1", {}, "Benches"), shown);
  get("/api/benches", ended.signal).then(
    (found) => shown.replaceChildren(found.length ? table(COLUMNS, found) : element("p", {}, "No bench was kept. `homeport bench` measures an endpoint.")),
    (error) => { if (!ended.signal.aborted) shown.replaceChildren(notice(error)); });
  return () => ended.abort();
}
