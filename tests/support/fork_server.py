"""
A program that was begun once for many commands: for each a child, which has imported nearly all of it already.

    fork_server.py gcloud LIB SOCKET      run by gcloud's own Python, with the folder of its library
    fork_server.py homeport SOCKET
    fork_client.py SOCKET WORDS           one command

A command has its own process, environment, folder and streams, as if it had been typed; what is not shared is only the
time that the imports take: two thirds of a command of gcloud's, nine tenths of one of homeport's.
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

_GCLOUD = (
    "googlecloudsdk.api_lib.util.apis",
    "googlecloudsdk.calliope.backend",
    "googlecloudsdk.core.credentials.requests",
    "googlecloudsdk.core.resource.resource_printer",
)
"""What nearly every command of gcloud's imports."""
_GCLOUD_MOSTLY = (
    "googlecloudsdk.core.updater.update_manager",
    "googlecloudsdk.core.credentials.google_auth_credentials",
    "googlecloudsdk.core.credentials.p12_service_account",
    "googlecloudsdk.core.credentials.transports",
    "googlecloudsdk.calliope.parser_completer",
    "proto",
    "googlecloudsdk.command_lib.util.concepts.concept_parsers",
    "googlecloudsdk.command_lib.iam.iam_util",
    "googlecloudsdk.command_lib.projects.util",
    "googlecloudsdk.command_lib.artifacts.requests",
    "googlecloudsdk.api_lib.compute.base_classes",
    "googlecloudsdk.generated_clients.apis.compute.v1.compute_v1_client",
    "googlecloudsdk.api_lib.container.fleet.client",
    "googlecloudsdk.command_lib.run.flags",
    "googlecloudsdk.command_lib.run.serverless_operations",
    "googlecloudsdk.generated_clients.apis.run.v1.run_v1_client",
)
"""What many commands import, each at a cost of tens of milliseconds; another version of gcloud may have it elsewhere."""
_PAUSES = (
    ("googlecloudsdk.core.util.retry", "_SleepMs"),
    ("googlecloudsdk.api_lib.util.waiter", "_SleepMs"),
    ("googlecloudsdk.command_lib.util.time_util", "Sleep"),
)
"""By what gcloud lets time pass between two looks at an operation, one second and more; without one, it is as slow as it is."""
_FASTER = 20
"""How much shorter those are: the clock of a rehearsal runs some hundred times as fast as this machine's."""
_HOMEPORT = (
    "homeport.cli",
    "homeport.deployment",
    "homeport.sync",
    "homeport.targets.local.lifecycle",
    "homeport.targets.cloudrun.lifecycle",
    "homeport.terminal",
    "homeport.verify.runner",
)
"""What most commands of homeport's import, and what reads no environment while it is imported."""


def _gcloud(library: str) -> Any:
    sys.argv = [str(Path(library) / "gcloud.py")]
    sys.path[0] = library  # instead of this folder, which has a gcloud.py, too
    import_module("gcloud")._fix_google_module()  # finds its libraries as the program does
    for name in _GCLOUD:
        import_module(name)
    main = import_module("googlecloudsdk.gcloud_main").main
    for name in _GCLOUD_MOSTLY:
        with suppress(ImportError):
            import_module(name)
    shorten(_PAUSES)
    return main


def shorten(pauses: Any) -> None:
    """Let each of these pauses, named by module and function, be short; of one that another gcloud has not, say so."""
    for name, pause in pauses:
        try:
            module = import_module(name)
            setattr(module, pause, _shortened(getattr(module, pause)))
        except (ImportError, AttributeError) as missing:
            print(
                f"fork_server.py: THIS GCLOUD'S WAITS ARE AS LONG AS THEY ARE, since {name}.{pause} is not there: {missing}",
                file=sys.stderr, flush=True,
            )  # fmt: skip


def _shortened(pause: Any) -> Any:
    return lambda time: pause(time / _FASTER)


def _homeport() -> Any:
    for name in _HOMEPORT:
        import_module(name)
    return import_module("homeport.cli").main


def serve(path: str, main: Any) -> None:
    """Answer on the socket until the process that began this one is gone: then its standard input is at its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        gc.freeze()  # What is imported stays, in every child: none looks through it, and all share its memory.
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([listening, sys.stdin], [], [])
            if sys.stdin in readable:
                Path(path).unlink(missing_ok=True)
                os._exit(0)
            asked, _ = listening.accept()
            if os.fork():
                asked.close()
            else:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(asked, main)


def _answer(asked: socket.socket, main: Any) -> None:
    """Do one command in a child of one's own; tell its number at once and its exit code at the end."""
    told, streams, _, _ = socket.recv_fds(asked, 1 << 20, 3)
    while not told.endswith(b"\n"):
        told += asked.recv(1 << 20)
    child = os.fork()
    if not child:
        asked.close()
        _do(json.loads(told), streams, main)
    for number in streams:
        os.close(number)
    asked.sendall(f"{child}\n".encode())
    asked.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())
    os._exit(0)


def _do(wanted: Any, streams: list[int], main: Any) -> None:
    for number, theirs in enumerate(streams):
        os.dup2(theirs, number)
        os.close(theirs)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.chdir(wanted["folder"])
    os.umask(wanted["umask"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    sys.argv[1:] = wanted["words"]
    code: Any = 1
    try:
        code = main() or 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:  # noqa: BLE001 - as Python itself does
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # nobody reads any more, or it was closed
                code = code or 120
        _at_exit()
        os._exit(code if isinstance(code, int) else 1)


def _at_exit() -> None:
    """Do what Python does when it ends, so that what is temporary goes; a fork that ends at once leaves it."""
    if "homeport" in sys.modules:
        atexit._run_exitfuncs()


if __name__ == "__main__":
    serve(sys.argv[-1], _gcloud(sys.argv[2]) if sys.argv[1] == "gcloud" else _homeport())
