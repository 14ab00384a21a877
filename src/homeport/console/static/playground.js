import { element, notice, number } from "./dom.js";
import { at, events } from "./server.js";

export function playground(main, on, name) {
  const messages = [];
  const talk = element("div", { "aria-live": "polite" });
  const words = element("textarea", { required: "", "aria-label": "Message" });
  const most = element("input", { type: "number", min: 1, max: 100000, value: 256 });
  const heat = element("input", { type: "number", min: 0, max: 2, step: 0.1, placeholder: "the model's" });
  const tools = element("textarea", { placeholder: "[] — as OpenAI's clients send them", spellcheck: "false" });
  const send = element("button", { type: "submit" }, "Send");
  const stop = element("button", { type: "button", disabled: "" }, "Stop");
  let running = null;

  const form = element("form", {},
    element("label", { class: "grow" }, "Message", words), element("label", {}, "Tokens at most", most),
    element("label", {}, "Temperature", heat), send, stop,
    element("details", {}, element("summary", {}, "Tools"), element("label", {}, "Tools, as JSON", tools)));
  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  stop.addEventListener("click", () => running?.abort());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let offered;
    try {
      offered = tools.value.trim() ? JSON.parse(tools.value) : undefined;
    } catch (error) {
      talk.append(notice({ error: `the tools are no JSON: ${error.message}` }));
      return;
    }
    messages.push({ role: "user", content: words.value });
    talk.append(element("div", { class: "message" }, element("span", { class: "who" }, "you"), words.value));
    words.value = "";
    const answer = new Answer(name);
    talk.append(answer.shown);
    running = new AbortController();
    send.disabled = true;
    stop.disabled = false;
    try {
      await events(at(on, name, "chat"), {
        signal: running.signal, hear: (chunk) => answer.hear(chunk),
        body: { messages, max_tokens: Number(most.value), ...(heat.value === "" ? {} : { temperature: Number(heat.value) }), ...(offered ? { tools: offered } : {}) },
      });
    } catch (error) {
      answer.shown.append(running.signal.aborted ? element("p", { class: "quiet" }, "stopped") : notice(error));
    }
    answer.end();
    messages.push({ role: "assistant", content: answer.text });
    send.disabled = false;
    stop.disabled = true;
    words.focus();
  });
  main.append(element("h1", {}, "Playground: ", element("a", { href: `#/endpoint/${on}/${name}` }, name)), talk, form);
  words.focus();
  return () => running?.abort();
}

class Answer {
  constructor(name) {
    this.begun = performance.now();
    this.first = null;
    this.text = "";
    this.usage = null;
    this.reason = null;
    this.calls = new Map();
    this.reasoning = element("div", { class: "reasoning" });
    this.said = element("div", { "data-answer": "" });
    this.called = element("pre", { hidden: "" });
    this.told = element("p", { class: "quiet", "data-timing": "" }, "waiting for the first token …");
    this.shown = element("div", { class: "message" }, element("span", { class: "who" }, name), this.reasoning, this.said, this.called, this.told);
  }

  hear(chunk) {
    this.usage = chunk.usage ?? this.usage;
    for (const choice of chunk.choices ?? []) {
      const delta = choice.delta ?? {};
      const thought = delta.reasoning ?? delta.reasoning_content;
      if ((delta.content || thought || delta.tool_calls) && this.first === null) this.first = performance.now();
      if (thought) this.reasoning.append(thought);
      if (delta.content) { this.text += delta.content; this.said.append(delta.content); }
      for (const call of delta.tool_calls ?? []) this.call(call);
      this.reason = choice.finish_reason ?? this.reason;
    }
    this.time();
  }

  call(piece) {
    const whole = this.calls.get(piece.index ?? 0) ?? { name: "", arguments: "" };
    whole.name += piece.function?.name ?? "";
    whole.arguments += piece.function?.arguments ?? "";
    this.calls.set(piece.index ?? 0, whole);
    this.called.hidden = false;
    this.called.textContent = [...this.calls.values()].map((one) => `${one.name}(${one.arguments})`).join("\n");
  }

  time() {
    const now = performance.now();
    const seconds = this.first === null ? null : (now - this.first) / 1000;
    const out = this.usage?.completion_tokens;
    const speed = out > 1 && seconds > 0 ? `, ${number((out - 1) / seconds, 1)} tokens/s after the first` : "";
    this.told.textContent = `first token ${this.first === null ? "not yet" : `${number(this.first - this.begun)} ms`}, ` +
      `all ${number(now - this.begun)} ms; tokens in ${number(this.usage?.prompt_tokens)}, out ${number(out)}${speed}` +
      (this.reason ? `; ended: ${this.reason}` : "");
  }

  end() { this.time(); }
}
