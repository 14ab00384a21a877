// openai of npm, which reads OPENAI_API_KEY and OPENAI_BASE_URL.
import OpenAI from "openai";
import { HELLO, MODEL, SHAPE, WEATHER, WRONG, tell } from "./said.mjs";

const client = new OpenAI();
const about = (content) => ({ model: MODEL, messages: [{ role: "user", content }], max_tokens: 48 });
const schema = {
  type: "object",
  properties: { city: { enum: ["Paris", "Rome"] }, rain: { type: "boolean" } },
  required: ["city", "rain"],
  additionalProperties: false,
};
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "get_weather", description: "Get the weather.", parameters } }];

await tell("openai", {
  chat: async () => (await client.chat.completions.create(about(HELLO))).choices[0].message.content,
  stream: async () => {
    const pieces = [];
    for await (const one of await client.chat.completions.create({ ...about(HELLO), stream: true })) {
      if (one.choices[0]?.delta?.content) pieces.push(one.choices[0].delta.content);
    }
    return pieces;
  },
  tool: async () => {
    const answer = await client.chat.completions.create({ ...about(WEATHER), tools });
    return JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments);
  },
  structured: async () => {
    const response_format = { type: "json_schema", json_schema: { name: "weather", strict: true, schema } };
    return (await client.chat.completions.parse({ ...about(SHAPE), response_format })).choices[0].message.parsed;
  },
  wrong_key: async () => new OpenAI({ apiKey: WRONG }).chat.completions.create(about(HELLO)),
});
