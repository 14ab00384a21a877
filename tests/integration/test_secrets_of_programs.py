"""Secrets in programs: an engine with a key of somebody's file, gcloud with a token, a whole interpreter."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from homeport.errors import NoCredentials
from homeport.google import credentials as google_credentials
from homeport.secret import Secret
from places import TAUGHT
from unsendable import KINDS, PLAIN, bad, says_nothing
from user import User


def test_a_key_from_a_file_of_another_system_serves(user: User) -> None:
    """A carriage return at its end, a mark at its beginning: the engine, the checks and the client have the same key."""
    (user.folder / "key").write_bytes(f"\ufeff{PLAIN}\r\n".encode())
    user.write(f'model = "file:{TAUGHT}"\n[engine]\ncontext = 512\n[local]\nport = 0\napi_key = "file:key"\n')
    up = user.run("up", "--yes", "--json", "--no-verify")
    (user.folder / "key").write_text(f"  {PLAIN}\n\n")
    user.run("chat", "hello")
    assert "stopping" not in user.run("up", "--yes", "--no-verify").err
    assert f"OPENAI_API_KEY={PLAIN}\n" in user.run("env").out, "the one command that is there to print it"
    assert user.run("env", "--json").json["OPENAI_API_KEY"] == PLAIN
    says_nothing(up.out + up.err + user.run("logs").out)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_gcloud_gives_and_that_cannot_be_sent_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "said").write_text(bad(kind))
    program = tmp_path / "gcloud"
    program.write_text(f"#!/bin/sh\ncat {tmp_path / 'said'}\n")
    program.chmod(0o755)

    async def token() -> Secret:
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NO_GCE_CHECK": "true"}
        return await (await google_credentials.find(env)).token()

    with pytest.raises(NoCredentials) as refused:
        asyncio.run(token())
    says_nothing("".join(traceback.format_exception(refused.value)))


def test_whoever_writes_to_standard_error_by_itself_writes_no_secret() -> None:
    """Warnings, logging, a thread's traceback, one that nobody catches, a server's library, the interpreter."""
    program = f"""
import asyncio, logging, sys, threading, warnings
from homeport.cli.last_line import guard_standard_error
from homeport.secret import Secret
guard_standard_error()
key = Secret({PLAIN!r}).reveal()
warnings.warn("a warning with " + key)
logging.getLogger("x").warning("a line of a log with %s", key)
logging.basicConfig()
logging.getLogger("y").error("another with %s", key)
import uvicorn.config
logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
logging.getLogger("uvicorn.error").error("of a server with %s", key)
def fails(): raise ValueError("in a thread with " + key)
thread = threading.Thread(target=fails); thread.start(); thread.join()
class Unraisable:
    def __del__(self): raise ValueError("unraisable with " + key)
del (lambda: Unraisable())().__dict__
async def task():
    asyncio.get_running_loop().call_exception_handler({{"message": "in a loop with " + key}})
asyncio.run(task())
sys.stderr.writelines(["lines with " + key, "\\n"])
raise ValueError("nobody catches " + key)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    says_nothing(ran.stderr + ran.stdout)
    for words in ("a warning with", "a line of a log with", "another with", "of a server with", "in a thread with",
                  "unraisable with", "in a loop with", "lines with", "nobody catches"):  # fmt: skip
        assert f"{words} ***" in ran.stderr, ran.stderr
