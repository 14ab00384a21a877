"""
The real gcloud, begun once: for each command a child of this process, which has imported all of it already.

Run by gcloud's own Python with the folder of its library and the path of a socket: `gcloud_forks.py LIB SOCKET`; each
command by `gcloud_forks.py SOCKET -- WORDS`. A command takes a third of the time, and its own environment, folder and
streams.
"""

import json
import os
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

_EARLY = (
    "googlecloudsdk.api_lib.util.apis",
    "googlecloudsdk.calliope.backend",
    "googlecloudsdk.core.credentials.requests",
    "googlecloudsdk.core.resource.resource_printer",
)
"""What nearly every command imports."""


def serve(library: str, path: str) -> None:
    """Answer on the socket for ever."""
    sys.argv = [str(Path(library) / "gcloud.py")]
    sys.path[0] = library  # instead of this folder, which has a gcloud.py, too
    import_module("gcloud")._fix_google_module()  # finds its libraries as the program does
    for name in _EARLY:
        import_module(name)
    main = import_module("googlecloudsdk.gcloud_main").main
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)
        while True:
            asked, _ = listening.accept()
            if os.fork():
                asked.close()
            else:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(asked, main)


def _answer(asked: socket.socket, main: Any) -> None:
    """Do one command in a child of one's own, and tell its exit code."""
    told, streams, _, _ = socket.recv_fds(asked, 1 << 20, 3)
    while not told.endswith(b"\n"):
        told += asked.recv(1 << 20)
    child = os.fork()
    if not child:
        _do(json.loads(told), streams, main)
    asked.sendall(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
    os._exit(0)


def _do(wanted: Any, streams: list[int], main: Any) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    sys.argv[1:] = wanted["words"]
    code: Any = 1
    try:
        code = main() or 0
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def ask(path: str, words: list[str]) -> int:
    """Have one command done with this process's environment, folder and streams; its exit code."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(path)
        told = {"words": words, "folder": str(Path.cwd()), "env": dict(os.environ)}
        socket.send_fds(asking, [json.dumps(told).encode() + b"\n"], [0, 1, 2])
        return int(asking.recv(16) or b"1")


if __name__ == "__main__":
    if sys.argv[2] == "--":
        sys.exit(ask(sys.argv[1], sys.argv[3:]))
    serve(sys.argv[1], sys.argv[2])
