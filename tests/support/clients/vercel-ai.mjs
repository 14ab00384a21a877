// Vercel's AI SDK, by its provider for endpoints that are compatible with OpenAI's.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, streamText, tool } from "ai";
import { z } from "zod";
import { HELLO, MODEL, SHAPE, WEATHER, WRONG, tell } from "./said.mjs";

const provider = (apiKey) =>
  createOpenAICompatible({
    name: "homeport",
    baseURL: process.env.OPENAI_BASE_URL,
    apiKey,
    supportsStructuredOutputs: true,
  });
const model = provider(process.env.OPENAI_API_KEY)(MODEL);
const weather = tool({ description: "Get the current weather in a city.", inputSchema: z.object({ city: z.string() }) });

await tell("ai", {
  chat: async () => (await generateText({ model, prompt: HELLO, maxOutputTokens: 48 })).text,
  stream: async () => {
    const pieces = [];
    for await (const one of streamText({ model, prompt: HELLO, maxOutputTokens: 48 }).textStream) pieces.push(one);
    return pieces;
  },
  tool: async () =>
    (await generateText({ model, prompt: WEATHER, tools: { get_weather: weather } })).toolCalls[0].input,
  structured: async () => {
    const output = Output.object({ schema: z.object({ city: z.enum(["Paris", "Rome"]), rain: z.boolean() }) });
    return (await generateText({ model, prompt: SHAPE, output })).output;
  },
  wrong_key: async () => (await generateText({ model: provider(WRONG)(MODEL), prompt: HELLO, maxRetries: 0 })).text,
});
