"""aider, as it is typed, for one message in an empty folder. It has no tools and no schemas."""

import subprocess
import sys
from pathlib import Path

from said import HELLO, WRONG, tell

AIDER = Path(sys.executable).with_name("aider")


def typed(*words):
    asked = [AIDER, "--message", HELLO, "--no-git", "--yes-always", "--no-pretty", *words]
    ran = subprocess.run(
        asked, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=200
    )
    if ran.returncode or "AuthenticationError" in ran.stdout + ran.stderr:
        raise RuntimeError((ran.stdout + ran.stderr).strip())
    return ran.stdout.strip()


def chat():
    return typed("--no-stream")


def wrong_key():
    return typed("--no-stream", "--openai-api-key", WRONG)


tell("aider-chat", chat=chat, wrong_key=wrong_key)
