// What every client of Node is asked here, and how it tells what came of it: one line of JSON, as said.py does.
import fs from "node:fs";

export const MODEL = process.env.OPENAI_MODEL;
export const HELLO = "Hello, how are you?";
export const WEATHER = "What is the weather in Paris?";
export const SHAPE = "A city, and whether it rains there, as JSON.";
export const WRONG = "sk-wrong";

export async function tell(name, parts) {
  const here = new URL(`node_modules/${name}/package.json`, import.meta.url);
  const told = { version: JSON.parse(fs.readFileSync(here)).version };
  for (const [part, ask] of Object.entries(parts)) {
    try {
      told[part] = { said: await ask() };
    } catch (error) {
      told[part] = { raised: error.constructor.name, text: `${error.statusCode ?? error.status}: ${error.message}` };
    }
  }
  console.log(JSON.stringify(told));
}
