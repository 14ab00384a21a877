"""A script's requests of its own to Google's API: one token of gcloud's serves several, and is asked for anew in time."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from building import TOKEN
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport.export import export
from homeport.export.shell import script
from pipelines import chosen, target

GCLOUD = """#!/bin/sh
echo "$*" >>{asked}
echo "token-$(wc -l <{asked} | tr -d ' ')"
"""
Answers = dict[str, list[tuple[int, str]]]
"""By path, one after another; the last stays."""


@contextmanager
def google(answers: Answers) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """An address with these answers, else an empty one, and the path and the token of each request."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers["authorization"]))
            left = answers.get(self.path, [])
            status, text = (left.pop(0) if len(left) > 1 else left[0]) if left else (200, "{}")
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

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


@dataclass(frozen=True)
class Ran:
    """What came of a script: what Google's API was asked, what gcloud was, what was said, and how it ended."""

    seen: list[tuple[str, str]]
    asked: list[str]
    said: str
    code: int


def ran(
    folder: Path,
    *lines: str,
    answers: Answers | None = None,
    gcloud: str = GCLOUD,
    flags: str = "",
    **env: str,
) -> Ran:
    (folder / "bin").mkdir()
    asked, program = folder / "asked", folder / "bin" / "gcloud"
    asked.touch()
    program.write_text(gcloud.format(asked=asked))
    program.chmod(0o755)
    (folder / "deploy.sh").write_text(script("rehearsal", "", list(lines)))
    (folder / "body.json").write_text("{}")
    with google(answers or {}) as (url, seen):
        own = {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOMEPORT_GOOGLE_URL": url, "PYTHONPATH": ""}
        ended = subprocess.run(
            ["bash", *flags.split(), "deploy.sh"], cwd=folder, env={**os.environ, **own, **env}, check=False,
            timeout=600, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    return Ran(seen, asked.read_text().splitlines(), ended.stdout, ended.returncode)


def run(folder: Path, *lines: str, **env: str) -> tuple[list[tuple[str, str]], list[str]]:
    """What Google's API was asked by a script of these lines, and what gcloud was."""
    done = ran(folder, *lines, answers=None, gcloud=GCLOUD, flags="", **env)
    assert done.code == 0, done.said
    return done.seen, done.asked


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


REFUSED = (401, '{"error": {"code": 401, "status": "UNAUTHENTICATED"}}')
OPERATION = '{"name": "projects/rehearsal/operations/1"}'
DONE = (200, '{"name": "projects/rehearsal/operations/1", "done": true}')


def test_a_token_that_google_refuses_is_shown_no_more_and_another_is_asked_for(tmp_path: Path) -> None:
    done = ran(
        tmp_path,
        "there rest GET run.googleapis.com /first",
        "there rest GET run.googleapis.com /second",
        "there rest GET run.googleapis.com /third",
        answers={"/second": [REFUSED, (200, "{}")]},
    )
    assert done.code == 0, done.said
    assert done.seen[:3] == [
        ("/first", "Bearer token-1"),
        ("/second", "Bearer token-1"),
        ("/second", "Bearer token-2"),
    ]
    assert done.seen[3:] == [("/third", "Bearer token-3")], "the one that was refused is not kept"


def test_a_token_that_ends_while_an_operation_is_waited_for_repeats_no_change(tmp_path: Path) -> None:
    done = ran(
        tmp_path,
        "make rest POST run.googleapis.com /v2/change body.json",
        answers={
            "/v2/change": [(200, OPERATION)],
            "/v2/projects/rehearsal/operations/1": [(200, OPERATION), REFUSED, DONE],
        },
    )
    assert done.code == 0, done.said
    paths = [path.rpartition("/")[2] for path, _ in done.seen]
    assert paths == ["change", "1", "1", "1"]
    assert [token for _, token in done.seen] == ["Bearer token-1"] * 3 + ["Bearer token-2"]


def test_who_is_refused_with_every_token_is_told_so(tmp_path: Path) -> None:
    done = ran(tmp_path, "there rest GET run.googleapis.com /first", answers={"/first": [REFUSED]})
    assert done.code == 1
    assert "HTTPError 401" in done.said
    assert len(done.seen) == 2


HURRIED = """import time
now = [0.0]
time.monotonic = lambda: now[0]
time.sleep = lambda seconds: now.__setitem__(0, now[0] + 100 * seconds)
"""


def test_an_operation_that_does_not_end_is_waited_for_no_longer_than_a_service_takes(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HURRIED)
    done = ran(
        tmp_path,
        "make rest POST run.googleapis.com /v2/change body.json",
        answers={
            "/v2/change": [(200, OPERATION)],
            "/v2/projects/rehearsal/operations/1": [(200, OPERATION)],
        },
        PYTHONPATH=str(tmp_path),
    )
    assert done.code == 1
    assert "projects/rehearsal/operations/1 is not done after 2400 s: run this again" in done.said
    assert len(done.seen) == 26


LOGIN = """#!/bin/sh
echo "$*" >>{asked}
echo "ERROR: Reauthentication failed. Please run: gcloud auth login" >&2
exit 1
"""


def test_gclouds_own_words_say_why_it_has_no_token(tmp_path: Path) -> None:
    done = ran(tmp_path, "there rest GET run.googleapis.com /first", gcloud=LOGIN)
    assert done.code == 1
    assert "Reauthentication failed" in done.said
    assert done.seen == [], "nobody is asked without a token"


@pytest.mark.parametrize("flags", ["-x", "-a", "-ax"])
def test_a_script_that_shows_each_command_or_hands_on_each_variable_tells_no_token(
    tmp_path: Path, flags: str
) -> None:
    done = ran(
        tmp_path,
        "there rest GET run.googleapis.com /first",
        'make rest GET run.googleapis.com "/$(env | grep -c token-[0-9] || true)"',
        "if grep -r 'token-[0-9]' \"$work\"; then exit 1; fi",
        "there rest GET run.googleapis.com /refused || say gone",
        "there rest GET run.googleapis.com /last",
        'say "still $-"',
        answers={"/refused": [REFUSED, (404, '{"error": {"status": "NOT_FOUND"}}')]},
        flags=flags,
    )
    assert done.code == 0, done.said
    assert not re.search(r"token-\d", done.said)
    assert [path for path, _ in done.seen] == ["/first", "/0", "/refused", "/refused", "/last"]
    assert "gone" in done.said, "what is shown of the command is not taken for Google's words"
    assert set(flags[1:]) <= set(done.said.rpartition("still ")[2]), "all else is shown as before"


@pytest.mark.parametrize("flags", ["-x", "-a"])
def test_the_value_of_a_secret_is_neither_shown_nor_handed_on(tmp_path: Path, flags: str) -> None:
    things = target(google_for(Cloud(delays=AT_ONCE)), chosen("vllm"), token=TOKEN).resources()
    parts = export("gcloud", things)["deploy.sh"].split("\n\n")
    (lines,) = [part.splitlines() for part in parts if "secret=${HF_TOKEN" in part]
    gcloud = """#!/bin/sh
env | grep -c hf_only >>{asked}
case "$*" in *" access "*) echo hf_only_before ;; *" add "*) cat >/dev/null ;; esac
"""
    done = ran(tmp_path, *lines, gcloud=gcloud, flags=flags, HF_TOKEN="hf_only_mine", secret="x")
    assert done.code == 0, done.said
    assert done.asked == ["0", "0"]
    assert "hf_only" not in done.said
