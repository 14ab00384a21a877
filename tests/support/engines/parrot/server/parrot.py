"""The smallest server that speaks enough of OpenAI's API: it repeats the last word that it was told."""

from __future__ import annotations

import argparse
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Parrot(BaseHTTPRequestHandler):
    """Answers one request."""

    told: argparse.Namespace
    key = ""

    def do_GET(self) -> None:
        listed = {"object": "list", "data": [{"id": self.told.name, "object": "model"}]}
        cage = {"model": self.told.name, "perch": self.told.weights}
        self._answer({"/health": {}, "/v1/models": listed, "/cage": cage}.get(self.path))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        prompt = asked["prompt"] if "prompt" in asked else asked["messages"][-1]["content"]
        word = prompt.split()[-1]
        message = {"role": "assistant", "content": word}
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": 1}
        choice = {"index": 0, "text": word, "message": message, "finish_reason": "stop"}
        said = {"id": "1", "model": self.told.name, "choices": [choice], "usage": usage}
        if not asked.get("stream"):
            self._answer(said)
            return
        event = json.dumps({**said, "choices": [{"index": 0, "delta": message, "finish_reason": "stop"}]})
        self._answer(f"data: {event}\n\ndata: [DONE]\n\n", kind="text/event-stream")

    def _answer(self, content: Any, kind: str = "application/json") -> None:
        open_ = {("GET", "/health"), *([("GET", "/cage")] if self.told.cage_open else [])}
        may = (self.command, self.path) in open_ or self.headers["Authorization"] == f"Bearer {self.key}"
        if self.key and not may:
            status, content, kind = 401, {"error": {"message": "who are you?"}}, "application/json"
        else:
            status = 404 if content is None else 200
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for flag in ("--weights", "--name", "--host", "--context", "--parallel"):
        parser.add_argument(flag, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key-on-stdin", action="store_true")
    parser.add_argument("--cage-open", action="store_true")
    Parrot.told = parser.parse_args()
    Parrot.key = json.loads(sys.stdin.readline())["api_key"] if Parrot.told.key_on_stdin else ""
    ThreadingHTTPServer((Parrot.told.host, Parrot.told.port), Parrot).serve_forever()
