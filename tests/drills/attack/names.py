"""
Hostile names: a hub's listing, sources in the file, names of endpoints on the command line.

The law: nothing outside of the folder that is meant changes, no file there is read as a model, and each ends in one of
homeport's own errors.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote, urlsplit

from attack.law import MISTAKE, Attack, Canary, Watch, obeyed, shown
from attack.stage import Stage
from attack.typed import typed

GGUF = b"GGUF" + bytes(2000)
_SHA = hashlib.sha256(GGUF).hexdigest()
PATHS = (
    "../precious.gguf", "../../precious.gguf", "../" * 12 + "etc/x.gguf", "@ROOT@/a/precious.gguf", "/@ROOT@/a/precious.gguf", "//x.gguf", "/x.gguf", "a/../../../a/precious.gguf",
    "a/./../../precious.gguf", "..\\..\\precious.gguf", "C:\\x.gguf", "\x00.gguf", "x\x00/../y.gguf", "x.gguf\x00", "--help.gguf", "-rf.gguf", "-", ".gguf", "..gguf", "....//precious.gguf",
    "a" * 300 + ".gguf", "a/" * 2000 + "x.gguf", "x.gguf/", "x.gguf/.", "x.gguf/..", "~/x.gguf", "~root/x.gguf", "$HOME/x.gguf", "`id`.gguf", "$(id).gguf", "x;id.gguf", "x\n.gguf", "x\r\n.gguf",
    "\x1b[2Jx.gguf", "\x1b]0;x\x07.gguf", "\x9b31m.gguf", "\u202egguf.x.gguf", "\u2215etc\u2215x.gguf", "\uff0e\uff0e/x.gguf", "%2e%2e/%2e%2e/precious.gguf", "%00.gguf", "x.gguf?a=b", "x.gguf#a", "http://evil.example/x.gguf",
    "file:///etc/passwd.gguf", ".git/config.gguf", ".ssh/authorized_keys.gguf", "config.json", "../config.json", "CON.gguf", "nul.gguf", "x.gguf:stream", " .gguf", "\t.gguf", "\ud800.gguf", "snapshots/../../../precious.gguf",
    "..", ".", "", "/", "a//b.gguf", "a/b/c/d.gguf", "model-00001-of-00002.gguf", "../model-00001-of-00002.gguf", "*.gguf", "?.gguf", "[a].gguf", "{a,b}.gguf", "\u00e9.gguf", "e\u0301.gguf", "\ufeffx.gguf",
)  # fmt: skip
_SHAS: tuple[Any, ...] = (  # Any: JSON
    "../..",
    "../../a",
    "/",
    "",
    ".",
    "..",
    "a" * 39,
    "0" * 40 + "/../../a",
    "\x00" * 40,
    "@ROOT@/a",
    "refs/../../..",
    "A" * 40,
    "a" * 5000,
    "\x1b[2J",
    None,
    5,
    [],
)


def attacks(random: Random) -> list[Attack]:
    """All of them."""
    listed = [{"name": name, "sha": "0" * 40, "oid": _SHA, "size": len(GGUF)} for name in PATHS]
    listed += [{"name": "x.gguf", "sha": sha, "oid": _SHA, "size": len(GGUF)} for sha in _SHAS]
    listed += [{"name": "x.gguf", "sha": "0" * 40, "oid": oid, "size": len(GGUF)} for oid in _SHAS]
    listed += [
        {"name": "x.gguf", "sha": "0" * 40, "oid": "0" * 64, "size": len(GGUF)},
        {"name": "x.gguf", "sha": "0" * 40, "oid": _SHA, "size": 2**62},
    ]
    listed += [
        {"name": "x.gguf", "sha": "0" * 40, "oid": _SHA, "size": size}
        for size in (-1, 0, 1, "x", None, 1e300)
    ]
    for _ in range(80):
        pieces = [
            random.choice(("..", ".", "a", "x.gguf", "\x00", "/", "@ROOT@", "-", "~", " ", "%2e%2e", "\\"))
            for _ in range(random.randint(2, 6))
        ]
        listed.append(
            {
                "name": "/".join(pieces) + random.choice(("", ".gguf", "/x.gguf")),
                "sha": "0" * 40,
                "oid": _SHA,
                "size": len(GGUF),
            }
        )
    made = [
        Attack(door="names", kind="a hub's listing", name=repr(one)[:120], carry_out=partial(_fetched, one)) for one in listed
    ]  # fmt: skip
    schemes = (
        "hf:",
        "hf:org/",
        "hf:org/x:",
        "hf:org/x@",
        "gs://",
        "gs://b/",
        "wheel:",
        "wheel:x==",
        "file:",
        "",
        "https://",
        "hf:org/x@main:",
    )
    made += [
        Attack(door="names", kind="sources in the file", name=repr(scheme + name)[:120], carry_out=partial(_planned, scheme + name))
        for name in PATHS for scheme in random.sample(schemes, 4)
    ]  # fmt: skip
    commands = (("status",), ("down", "--yes"), ("env",), ("logs",), ("verify",), ("chat", "hi"))
    made += [
        Attack(door="names", kind="names of endpoints", name=f"{command[0]} {name!r}"[:120], carry_out=partial(_named, command, name))
        for name in PATHS if "\x00" not in name and "\ud800" not in name for command in random.sample(commands, 2)
    ]  # fmt: skip
    return made


def watches(stage: Stage) -> dict[str, Watch]:
    """Each attack looks for itself."""
    return {}


class _Liar:
    """A hub that lists whatever it is told to, and has the bytes for it."""

    def __init__(self) -> None:
        self.listing: dict[str, Any] = {}  # Any: JSON
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(urlsplit(self.path).path)
                if path.startswith("/api/models/"):
                    self._send(200, json.dumps(owner.listing).encode(), "application/json")
                else:
                    self._send(200, GGUF, "application/octet-stream")

            do_HEAD = do_GET  # noqa: N815 - the standard library's name

            def _send(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", kind)
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("ETag", f'"{_SHA}"')
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None: ...

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._http.server_port}"


_HUB: list[_Liar] = []


def _fetched(one: dict[str, Any], stage: Stage) -> str:  # Any: JSON
    """What a fetch from a hub with this listing leaves."""
    if not _HUB:
        _HUB.append(_Liar())
    hub = _HUB[0]
    root = stage.root / "names"
    given = {
        key: value.replace("@ROOT@", str(root)) if isinstance(value, str) else value
        for key, value in one.items()
    }
    sibling = {
        "rfilename": given["name"],
        "size": given["size"],
        "blobId": given["oid"],
        "lfs": {"size": given["size"], "sha256": given["oid"], "pointerSize": 1},
    }
    hub.listing = {"_id": "0", "id": "org/model", "modelId": "org/model", "sha": given["sha"], "private": False, "gated": False,
                   "tags": [], "downloads": 0, "likes": 0, "siblings": [sibling]}  # fmt: skip
    home = root / "home"
    return watched(root, home, lambda: _fetch(hub, home))


def watched(root: Path, allowed: Path, act: Callable[[], str]) -> str:
    """What `act` says, else what it has changed in `root`, outside of `allowed`."""
    canary = Canary(root, allowed=(allowed,))
    said = act()
    return said or canary.changed()


def _fetch(hub: _Liar, home: Path) -> str:
    import shutil

    from huggingface_hub import constants

    from homeport.errors import HomeportError
    from homeport.progress import Silent
    from homeport.weights import download
    from homeport.weights.sources.registry import canonical
    from homeport.weights.store import WeightsStore

    constants.ENDPOINT, constants.HF_HUB_CACHE = hub.address, str(home / "hf" / "hub")
    download.PAUSES = (0.0, 0.0, 0.0, 0.0)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    try:
        manifest = WeightsStore(home / "weights").ensure(canonical("hf:org/model", home), "gguf", Silent())
    except HomeportError as error:
        return _plain(str(error))
    if manifest.gguf is None or not manifest.gguf.resolve().is_relative_to(home):
        return f"it takes {manifest.gguf} for the model"
    if manifest.gguf.name.startswith("-"):
        return f"it takes a flag for the model: {manifest.gguf.name}"
    return ""


def _plain(text: str) -> str:
    """'' for every text here: the terminal escapes it, which is tried where commands are typed."""
    return MISTAKE if MISTAKE in text else ""


def judged(text: str, code: int) -> str:
    """Why the output of a command is none that it should have; '' where it is one."""
    if MISTAKE in text or "Traceback" in text:
        return shown(text)
    char = obeyed(text)
    if char:
        return f"the terminal obeys {char}: {shown(text)}"
    return "" if re.search(r"precious (?:precious|a/)", text) is None else shown(f"it shows a file: {text}")


def _planned(source: str, stage: Stage) -> str:
    """What `plan` says of a source."""
    folder = stage.root / "named"
    folder.mkdir(exist_ok=True)
    text = f"model = {json.dumps(source.replace('@ROOT@', str(stage.root)), ensure_ascii=False)}\n"
    (folder / "homeport.toml").write_text(text, encoding="utf-8", errors="surrogatepass")
    env = {
        **stage.env,
        "HF_HUB_OFFLINE": "1",
        "PIP_NO_INDEX": "1",
        "HOMEPORT_HOME": str(stage.root / "named-home"),
    }
    env["PATH"] = "/nowhere"
    return watched(
        stage.root / "canary-of-names", stage.root / "named", lambda: _typed(("plan",), folder, env)
    )


def _named(command: tuple[str, ...], name: str, stage: Stage) -> str:
    folder = stage.root / "names"
    folder.mkdir(exist_ok=True)
    env = {**stage.env, "HOMEPORT_HOME": str(folder / "a" / "homeport")}
    given = name.replace("@ROOT@", str(folder))
    arguments = (command[0], given, *command[1:]) if command[0] != "chat" else command
    return watched(folder, folder / "home", lambda: _typed(arguments, folder, env))


def _typed(arguments: tuple[str, ...], folder: Path, env: dict[str, str]) -> str:
    came = typed(*arguments, folder=folder, env=env)
    if came.seconds > 60:
        return f"it took {came.seconds:.0f} s"
    return judged(came.text, came.code)
