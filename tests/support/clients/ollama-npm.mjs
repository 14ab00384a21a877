// ollama of npm: the parts that OLLAMA_PARTS names.
import { Ollama } from "ollama";
import { HELLO, MODEL, WEATHER, tell } from "./said.mjs";

const headers = { Authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
const client = new Ollama({ host: process.env.OLLAMA_HOST, headers });
const options = { temperature: 0, num_predict: 24 };
const messages = (content) => [{ role: "user", content }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "get_weather", description: "Get the weather.", parameters } }];
const collect = async (pieces) => {
  const all = [];
  for await (const one of pieces) all.push(one);
  return all;
};

const every = {
  chat: async () => {
    const answer = await client.chat({ model: MODEL, messages: messages(HELLO), options });
    return { text: answer.message.content, done: answer.done };
  },
  stream: async () => {
    const pieces = await collect(await client.chat({ model: MODEL, messages: messages(HELLO), options, stream: true }));
    const text = pieces.map((one) => one.message.content).filter(Boolean);
    return { text, end: pieces.at(-1).done_reason };
  },
  generate: async () => {
    const pieces = await collect(await client.generate({ model: MODEL, prompt: HELLO, options, stream: true }));
    return pieces.map((one) => one.response).filter(Boolean);
  },
  embed: async () => (await client.embed({ model: MODEL, input: [HELLO, WEATHER] })).embeddings,
  tool: async () => {
    const answer = await client.chat({ model: MODEL, messages: messages(WEATHER), tools, options });
    return answer.message.tool_calls.map((one) => ({ name: one.function.name, ...one.function.arguments }));
  },
  result: async () => {
    const asked = messages(WEATHER);
    const { message } = await client.chat({ model: MODEL, messages: asked, tools, options });
    asked.push(message);
    for (const call of message.tool_calls) {
      const content = `It rains in ${call.function.arguments.city}.`;
      asked.push({ role: "tool", tool_name: call.function.name, content });
    }
    const pieces = await collect(await client.chat({ model: MODEL, messages: asked, tools, options, stream: true }));
    return pieces.map((one) => one.message.content ?? "").join("");
  },
  models: async () => (await client.list()).models.map((one) => one.model),
  unknown: async () => client.chat({ model: "no-such-model", messages: messages(HELLO) }),
  forbidden: async () => client.chat({ model: MODEL, messages: messages(process.env.OLLAMA_FORBIDDEN) }),
  pulled: async () => (await client.pull({ model: MODEL, stream: false })).status,
};

const named = process.env.OLLAMA_PARTS.split(" ");
await tell("ollama", Object.fromEntries(named.map((name) => [name, every[name]])));
