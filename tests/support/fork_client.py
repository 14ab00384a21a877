"""
One command, done by a child of a program that was begun before it: see fork_server.py.

    fork_client.py SOCKET WORDS

Python is started for this alone, so that it imports next to nothing.
"""

import json
import os
import socket
import sys


def _umask() -> int:
    before = os.umask(0o077)
    os.umask(before)
    return before


def ask(path: str, words: list[str]) -> int:
    """Have one command done with this process's environment, folder and streams; its exit code."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
        told = {"words": words, "folder": os.getcwd(), "env": dict(os.environ), "umask": _umask()}  # noqa: PTH109 - pathlib takes longer to import than all else here
        socket.send_fds(asking, [json.dumps(told).encode() + b"\n"], [0, 1, 2])
        with asking.makefile() as answers:
            answers.readline()  # the number of its process
            return int(answers.readline() or "1")


if __name__ == "__main__":
    sys.exit(ask(sys.argv[1], sys.argv[2:]))
