"""A script's requests of its own to Google's API: one token of gcloud's serves several, and is asked for anew in time."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from homeport.export.shell import script

GCLOUD = """#!/bin/sh
echo "$*" >>{asked}
echo "token-$(wc -l <{asked} | tr -d ' ')"
"""


@contextmanager
def google() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """An address that answers everything with nothing, and the path and the token of each request."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers["authorization"]))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(folder: Path, *lines: str, **env: str) -> tuple[list[tuple[str, str]], list[str]]:
    """What Google's API was asked by a script of these lines, and what gcloud was."""
    (folder / "bin").mkdir()
    asked, program = folder / "asked", folder / "bin" / "gcloud"
    asked.touch()
    program.write_text(GCLOUD.format(asked=asked))
    program.chmod(0o755)
    (folder / "deploy.sh").write_text(script("rehearsal", "", list(lines)))
    with google() as (url, seen):
        own = {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOMEPORT_GOOGLE_URL": url, "PYTHONPATH": ""}
        subprocess.run(
            ["bash", "deploy.sh"], cwd=folder, env={**os.environ, **own, **env}, check=True, timeout=600
        )
    return seen, asked.read_text().splitlines()


def test_looks_and_changes_of_a_few_minutes_show_one_token_and_later_ones_another(tmp_path: Path) -> None:
    seen, asked = run(
        tmp_path,
        "SECONDS=0",  # bash counts on from what it is set to
        "there rest GET run.googleapis.com /first",
        "make rest GET run.googleapis.com /second",
        "SECONDS=300",
        "there rest GET run.googleapis.com /third",
    )
    assert seen == [("/first", "Bearer token-1"), ("/second", "Bearer token-1"), ("/third", "Bearer token-2")]
    assert asked == ["auth print-access-token"] * 2


def test_the_token_is_in_the_environment_of_no_command(tmp_path: Path) -> None:
    """Not even where the one who runs the script has a variable of that name."""
    seen, _ = run(
        tmp_path,
        "there rest GET run.googleapis.com /first",
        'make rest GET run.googleapis.com "/$(env | grep -c token-1 || true)"',
        token="mine",
    )
    assert seen == [("/first", "Bearer token-1"), ("/0", "Bearer token-1")]
