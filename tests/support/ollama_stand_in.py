"""
What stands in for `ollama`, where a test wants one: its API as its documentation has it, over a real llama.cpp.

`ollama --version` and `ollama serve`. Blobs are kept by their sha256, which is checked; a model is made of one of them, and
is answered by its own name alone, with 404 for any other. No more is known of Ollama here than that.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from homeport.free_ports import free_port

STORE = Path(os.environ.get("OLLAMA_MODELS", "store"))
SERVER = Path(__file__).parents[2] / "src/homeport/engines/llamacpp/server/homeport_llamacpp.py"
ENGINES: dict[str, int] = {}
"""The port of llama.cpp by the name of a model."""


class Handler(BaseHTTPRequestHandler):
    """Answers as Ollama is documented to."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._say(200 if (STORE / self.path.rpartition("/")[2]).exists() else 404, b"")

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            return self._say(200, json.dumps({"data": [{"id": name} for name in ENGINES]}).encode())
        return self._say(200, b'{"version": "0.0.1"}')

    def do_POST(self) -> None:
        told = self.rfile.read(int(self.headers["content-length"]))
        with (STORE / "asked").open("a") as asked:
            print(self.path, file=asked)
        if self.path.startswith("/api/blobs/"):
            digest = f"sha256:{hashlib.sha256(told).hexdigest()}"
            if digest != self.path.rpartition("/")[2]:
                return self._say(400, b'{"error": "digest mismatch"}')
            (STORE / digest).write_bytes(told)
            return self._say(201, b"")
        if self.path == "/api/create":
            return self._create(json.loads(told))
        name = json.loads(told).get("model")
        if name not in ENGINES:
            return self._say(404, json.dumps({"error": {"message": f"model {name!r} not found"}}).encode())
        return self._pass_on(ENGINES[name], told)

    def _create(self, told: dict[str, object]) -> None:
        files = told["files"]
        assert isinstance(files, dict)
        ((name, digest),) = files.items()
        if not (STORE / digest).exists():
            return self._say(400, b'{"error": "blob not found"}')
        weights, port = STORE / name, free_port("127.0.0.1")
        shutil.copy(STORE / digest, weights)
        command = [sys.executable, str(SERVER), "--model", str(weights), "--alias", str(told["model"])]
        command += ["--host", "127.0.0.1", "--port", f"{port}", "--threads", "1"]
        command += [
            "--context",
            os.environ["OLLAMA_CONTEXT_LENGTH"],
            "--parallel",
            os.environ["OLLAMA_NUM_PARALLEL"],
        ]
        subprocess.Popen(command, stdin=subprocess.DEVNULL)
        ENGINES[str(told["model"])] = port
        return self._say(200, b'{"status": "success"}')

    def _pass_on(self, port: int, told: bytes) -> None:
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{self.path}", told, headers)
        for _ in range(600):
            try:
                with urllib.request.urlopen(request) as answer:
                    return self._say(answer.status, answer.read(), answer.headers["content-type"])
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    return self._say(error.code, error.read())
            except urllib.error.URLError:
                pass
            time.sleep(0.05)  # It does not listen yet, or loads.
        return self._say(500, b'{"error": "the runner did not start"}')

    def _say(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def main() -> None:
    """Say a version, or serve."""
    if sys.argv[1:] == ["--version"]:
        print("ollama version is 0.0.1")
        return
    assert sys.argv[1:] == ["serve"]
    STORE.mkdir(parents=True, exist_ok=True)
    host, _, port = os.environ["OLLAMA_HOST"].rpartition(":")
    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
