// Requests to the console's server. The key came in the link, and is kept for this tab alone.
const KEPT = "homeport-key";

export function takeKey() {
  const found = /^#key=(.+)$/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(KEPT, decodeURIComponent(found[1]));
    history.replaceState(null, "", "/#/");
  }
  return sessionStorage.getItem(KEPT) !== null;
}

async function request(path, body, signal) {
  const headers = { authorization: `Bearer ${sessionStorage.getItem(KEPT)}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  const method = body === undefined ? "GET" : "POST";
  const response = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  if (!response.ok) throw await response.json().catch(() => ({ error: `the console answers ${response.status}` }));
  return response;
}

export async function get(path, signal) {
  return (await request(path, undefined, signal)).json();
}

export async function post(path, body) {
  return (await request(path, body)).json();
}

export function at(on, name, what) {
  return `/api/${encodeURIComponent(on)}/${encodeURIComponent(name)}/${what}`;
}

export async function events(path, { body, signal, hear }) {
  // Reads server-sent events until they end. Throws what the server refused, or that the connection broke off.
  const reader = (await request(path, body, signal)).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw { error: "the connection to the console broke off" };
    const pieces = (rest + value).split("\n\n");
    rest = pieces.pop();
    for (const piece of pieces) {
      const kind = /^event: (.*)$/m.exec(piece)?.[1];
      const data = /^data: (.*)$/m.exec(piece)?.[1];
      if (kind === "end") return;
      if (kind === "refused") throw JSON.parse(data);
      if (data !== undefined) hear(JSON.parse(data));
    }
  }
}

// One stream of figures for all pages of this tab.
const heard = new Map();
const listeners = new Set();

export function live(listener) {
  listeners.add(listener);
  for (const told of heard.values()) listener(told);
  return () => listeners.delete(listener);
}

export async function followLive(connection) {
  for (let pause = 1000; ; pause = Math.min(pause * 2, 15000)) {
    try {
      await events("/api/live", {
        hear: (told) => {
          pause = 1000;
          connection.textContent = "";
          heard.set(told.on, told);
          for (const listener of listeners) listener(told);
        },
      });
    } catch (error) {
      connection.textContent = error.exit_code ? error.message : error.error ?? "the console does not answer: was it ended?";
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
