import { asked, element, facts, notice, number, reason, stateClass, NOT_KNOWN } from "./dom.js";
import { chart } from "./chart.js";
import { at, events, get, live, post } from "./server.js";

export function endpoint(main, on, name) {
  const ended = new AbortController();
  const state = element("span", {}, "…");
  const warning = element("div", {});
  const about = element("div", {}, element("p", { class: "quiet" }, "asking …"));
  const figures = element("div", {});
  const charts = {
    tokens: chart("Tokens a second", ["out", "in"]),
    requests: chart("Requests", ["running", "waiting"]),
    ttft: chart("Time to the first token, ms", ["mean"]),
    memory: chart("Memory, MiB", ["held"]),
  };
  main.append(
    element("h1", {}, name, " ", state), warning,
    element("div", { class: "row" }, element("a", { href: `#/playground/${on}/${name}` }, "Playground")),
    element("div", { class: "charts" }, Object.values(charts).map((one) => one.figure)), figures,
    element("h2", {}, "What it is"), about,
    element("h2", {}, "Verification"), verification(on, name),
    element("h2", {}, "Log"), log(on, name, ended.signal));
  get(at(on, name, "status"), ended.signal).then((told) => about.replaceChildren(described(told, on, name)), (error) => {
    if (!ended.signal.aborted) about.replaceChildren(notice(error));
  });
  let last = 0;
  const quiet = live((told) => {
    if (told.on !== on) return;
    const one = told.endpoints.find((other) => other.name === name);
    const unread = told.error ? reason(told.error) : (told.unread ?? []).join("; ");
    const now = one?.state ?? (unread ? NOT_KNOWN : "gone");
    state.textContent = now;
    state.className = stateClass(now);
    const words = one ? one.why || one.unknown : unread || "it was taken down, or never was here";
    warning.replaceChildren(...(stateClass(now) === "good" && !one.unknown ? [] : [notice({ error: `${name} is ${now}${words ? `: ${words}` : ""}` })]));
    const seconds = one?.figures?.at ?? Date.now() / 1000;
    if (seconds === last) return;
    last = seconds;
    charts.tokens.add(seconds, [one?.rates?.output_tokens_per_s, one?.rates?.prompt_tokens_per_s]);
    charts.requests.add(seconds, [one?.figures?.running, one?.figures?.waiting]);
    charts.ttft.add(seconds, [one?.rates?.ttft_s === null || one?.rates?.ttft_s === undefined ? null : one.rates.ttft_s * 1000]);
    charts.memory.add(seconds, [one?.resident_bytes ? one.resident_bytes / 2 ** 20 : null]);
    figures.replaceChildren(element("p", { class: "quiet" },
      `KV cache ${one?.figures?.kv_cache === null || one?.figures?.kv_cache === undefined ? NOT_KNOWN : number(one.figures.kv_cache * 100, 0, " %")}, ` +
      `tokens in ${number(one?.figures?.prompt_tokens)}, out ${number(one?.figures?.output_tokens)} since the engine started` + (on === "local" ? "" : `, instances ${number(one?.instances)}`)));
  });
  return () => { ended.abort(); quiet(); Object.values(charts).forEach((one) => one.close()); };
}

function described(told, on, name) {
  const used = told.usage;
  const rows = [
    ["state", told.reason ? `${told.state}: ${told.reason}` : told.state],
    ["address", told.url ?? NOT_KNOWN],
    ["model", told.model ?? NOT_KNOWN],
    ["engine", told.engine ?? NOT_KNOWN],
    ["context", number(told.context)],
    ["at once", number(told.parallel)],
    ["since", told.started_at ?? NOT_KNOWN],
    ["for", told.spec_file ?? NOT_KNOWN],
    ["used for", used ? `requests ${number(used.requests)}, tokens in ${number(used.prompt_tokens)}, out ${number(used.output_tokens)}; cost ${used.usd === null ? NOT_KNOWN : `$${used.usd.toFixed(2)}`}` : on === "local" ? "nothing was counted yet" : NOT_KNOWN],
    ["verified", told.verified ? `${told.verified.passed ? "passed" : "failed"} at ${told.verified.at}` : "never"],
    ["weights", told.weights ? `${told.weights.source} ${told.weights.revision}` : NOT_KNOWN],
    ...Object.entries(told.traffic ?? {}).map(([revision, percent]) => ["revision", `${revision}: ${percent} % of the traffic`]),
    ...Object.entries(told.receipts ?? {}).filter(([revision]) => !(revision in (told.traffic ?? {})))
      .map(([revision, one]) => ["earlier revision", `${revision}: ${one.passed ? "passed" : "failed"} at ${one.at}`]),
  ];
  return element("div", {}, facts(rows), rollback(told, on, name));
}

function rollback(told, on, name) {
  const command = on === "local" ? "`homeport rollback`" : `\`homeport rollback --on ${on}\``;
  if (told.rollback_unknown) return element("p", { class: "quiet" }, `Whether something is kept to go back to is not known: ${told.rollback_unknown}. ${command} looks again.`);
  if (told.rollback_refused) return element("p", { class: "quiet" }, `${command} would refuse what was verified before: ${told.rollback_refused}.`);
  if (!told.rollback_to) return element("p", { class: "quiet" }, "Nothing that was verified before is kept to go back to.");
  const said = element("span", { role: "status" });
  const button = element("button", { type: "button" }, "Roll back …");
  button.addEventListener("click", async () => {
    const plan = on === "local"
      ? [`${told.model} serves now and would end.`, `${told.rollback_to}, which was verified before, would be started, verified and serve at the same address.`]
      : [`${Object.keys(told.traffic ?? {}).join(" and ") || NOT_KNOWN} would have no traffic any more.`, `${told.rollback_to}, a revision that was verified before, would have all of it at once.`];
    if (!(await asked(`Roll back ${name}?`, plan, "Roll back"))) return;
    button.disabled = true;
    said.textContent = "rolling back …";
    try {
      said.textContent = `${(await post(at(on, name, "rollback"), { to: told.rollback_to })).serving} serves`;
    } catch (error) {
      said.replaceChildren(notice(error));
      button.disabled = false;
    }
  });
  return element("div", { class: "row" }, element("span", {}, `${told.rollback_to} was verified before.`), button, said);
}

function verification(on, name) {
  const list = element("ul", {});
  const said = element("p", { role: "status" });
  const button = element("button", { type: "button" }, "Verify now");
  button.addEventListener("click", async () => {
    button.disabled = true;
    list.replaceChildren();
    said.textContent = "asking …";
    try {
      await events(at(on, name, "verify"), {
        body: {},
        hear: ({ result, report }) => {
          if (result) list.append(element("li", { class: { passed: "good", failed: "bad" }[result.outcome] ?? "quiet" }, `${result.outcome}: ${result.title}: ${result.detail}`));
          if (report) said.textContent = report.passed ? "verified" : "NOT verified";
        },
      });
    } catch (error) {
      said.replaceChildren(notice(error));
    }
    button.disabled = false;
  });
  return element("div", {}, element("div", { class: "row" }, button, element("span", { class: "quiet" }, "asks it some dozens of questions")), said, list);
}

const MOST = 20000;

function log(on, name, signal) {
  const lines = [];
  const shown = element("div", { class: "log", tabindex: "0", role: "log", "aria-label": `Log of ${name}`, "aria-live": "off" });
  const search = element("input", { type: "search", autocomplete: "off" });
  const count = element("span", { class: "quiet", role: "status" });
  let waiting = false;
  const draw = () => {
    waiting = false;
    const wanted = search.value.toLowerCase();
    const found = wanted ? lines.filter((line) => line.toLowerCase().includes(wanted)) : lines;
    const follows = shown.scrollTop + shown.clientHeight >= shown.scrollHeight - 4;
    shown.textContent = found.join("\n");
    if (follows) shown.scrollTop = shown.scrollHeight;
    count.textContent = wanted ? `${found.length} of ${lines.length} lines` : `${lines.length} lines`;
  };
  const soon = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };
  search.addEventListener("input", soon);
  events(at(on, name, "logs"), {
    signal,
    hear: (told) => { lines.push(...told.lines); if (lines.length > MOST) lines.splice(0, lines.length - MOST); soon(); },
  }).catch((error) => { if (!signal.aborted) count.textContent = reason(error); });
  return element("div", {}, element("div", { class: "row" }, element("label", {}, "Search", search), count), shown);
}
