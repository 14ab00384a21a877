"""What an endpoint was used for, on real llama.cpp: the ledger has what its clients were told, also after the end."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
from typing import Any

import openai

from places import TAUGHT
from processes_of import spec
from schemas import ensure_valid
from user import HOMEPORT, User


def _env(user: User) -> tuple[str, str]:
    told = user.run("env", "--json").json
    return told["OPENAI_BASE_URL"], told["OPENAI_API_KEY"]


def _ask(url: str, key: str, words: str) -> Any:  # Any: OpenAI's completion
    with openai.OpenAI(base_url=url, api_key=key) as client:
        return client.chat.completions.create(
            model=TAUGHT.stem, messages=[{"role": "user", "content": words}], max_tokens=8
        )


def test_top_usage_and_status_tell_what_its_clients_were_told(user: User) -> None:
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512"))
    assert "no endpoint runs" in user.run("top").err
    user.run("up", "--yes", "--no-verify")
    (before,) = user.run("top", "--json").json
    assert before["state"] == "running"
    assert before["figures"]["requests"] is before["figures"]["ttft"] is None
    url, key = _env(user)
    answers = [_ask(url, key, words) for words in ("What is the weather in Paris?", "Hello", "And now?")]
    (after,) = looked = user.run("top", "--once", "--json").json
    ensure_valid("top", looked)
    out = sum(one.usage.completion_tokens for one in answers)
    worked = sum(one.timings["prompt_n"] for one in answers)
    assert after["figures"]["output_tokens"] - before["figures"]["output_tokens"] == out
    assert after["figures"]["prompt_tokens"] - before["figures"]["prompt_tokens"] == worked
    (name,) = [one["name"] for one in user.run("status", "--json").json]
    assert [one["name"] for one in user.run("top", name, "--json").json] == [name]
    assert "no endpoint called other runs" in user.run("top", "other", code=20).err
    (asked_too,) = user.run("top", "--json").json  # `status` asks for a token, too.
    user.run("down", "--yes")
    days = user.run("usage", "--json").json  # Two where midnight was between.
    ensure_valid("usage", days)
    assert {one["endpoint"] for one in days} == {name}
    (counted,) = user.run("usage", "--by", "caller", "--json").json
    assert counted["output_tokens"] == asked_too["figures"]["output_tokens"]
    assert counted["prompt_tokens"] == asked_too["figures"]["prompt_tokens"]
    assert counted["requests"] >= len(answers) + 1
    assert (counted["starts"], counted["usd"]) == (1, None)
    (model,) = user.run("usage", "--by", "model", "--csv").out.splitlines()[1:]
    assert model.startswith(f"{TAUGHT.stem},{name},local,{counted['requests']:.0f},")
    kept = (user.home / "usage" / "usage.sqlite3").read_bytes()
    assert b"weather" not in kept
    assert key.encode() not in kept


def test_top_is_drawn_on_a_terminal_and_ctrl_c_leaves_it_as_it_was(user: User) -> None:
    main, theirs = pty.openpty()
    process = subprocess.Popen(
        [*HOMEPORT, "top", "--every", "0.5"], cwd=user.folder, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "40", "LINES": "12"},
    )  # fmt: skip
    os.close(theirs)
    seen = ""
    while "no endpoint runs here" not in seen:
        assert select.select([main], [], [], 60)[0], seen
        seen += os.read(main, 4096).decode()
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 0
    while select.select([main], [], [], 0.2)[0]:
        try:
            seen += os.read(main, 4096).decode()
        except OSError:
            break
    os.close(main)
    assert "Traceback" not in seen
    assert seen.rindex("\x1b[?1049l") > seen.rindex("\x1b[?1049h"), "the screen that was there is back"
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l"), "and its cursor"
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen).splitlines()) <= 80
