"""
Planted secrets: keys and tokens of odd shapes, and every command with errors that come near them.

The law: whatever goes wrong, with `--json` and `--debug`, too, no secret is printed, logged, recorded or in the
environment or arguments of a process; a reference to one may be.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random

import psutil

from attack.law import MISTAKE, Attack, Watch, shown, told
from attack.stage import Stage
from attack.typed import typed
from kept_files import contents
from places import TAUGHT

_CORE = "planted-7f3a9c52e8b1d604"
_SHAPES = {
    "plain": _CORE, "with CR": _CORE + "\r", "with LF": _CORE + "\n", "with CRLF": _CORE + "\r\n", "with an inner LF": f"{_CORE}\n{_CORE}2", "with an inner CR": f"{_CORE}\r{_CORE}2",
    "beyond ASCII": _CORE + "é", "beyond Latin-1": _CORE + "ключ", "with a tab": f"{_CORE}\t{_CORE}2", "with a space": f"{_CORE} {_CORE}2", "with an escape": f"\x1b[2J{_CORE}", "with quotes": f"'{_CORE}\"$(id)`",
    "with a header": f"{_CORE}\r\nX-Injected: yes", "with percents": f"{_CORE}%s%(x)s{{0}}", "long": _CORE * 500, "like markup": f"[bold]{_CORE}[/bold]",
}  # fmt: skip
_COMMANDS = (
    ("plan",), ("up", "--yes"), ("status",), ("env",), ("chat", "hi"), ("verify", "nothing"), ("logs",), ("plan", "--on", "cloudrun"), ("status", "--on", "cloudrun"),
    ("export", "terraform", "out"), ("export", "gcloud", "out"), ("weights", "fetch", "hf:org/x"), ("fit", "hf:org/x"), ("doctor",), ("down", "--yes"), ("proxy", "--port", "0"), ("models",), ("cost",),
)  # fmt: skip


def attacks(random: Random) -> list[Attack]:
    """All of them."""
    made = []
    for shape in _SHAPES:
        for source in ("env", "file", "HF_TOKEN"):
            for command in random.sample(_COMMANDS, 3):
                flags = random.choice(((), ("--debug",), ("--json",)))
                name = f"{' '.join((*flags, *command))} with a key {shape} in {source}"
                made.append(
                    Attack(
                        door="secrets",
                        kind="printed",
                        name=name,
                        carry_out=partial(_said, shape, source, command, flags),
                    )
                )
    made += [
        Attack(door="secrets", kind="kept or handed on", name=name, carry_out=look)
        for name, look in (("in files", _in_files), ("in arguments", _in_processes), ("in environments", _in_environments), ("files that others read", _readable), ("on other addresses", _listening))
    ]  # fmt: skip
    return made


def watches(stage: Stage) -> dict[str, Watch]:
    """Each attack looks for itself."""
    return {}


def _said(shape: str, source: str, command: tuple[str, ...], flags: tuple[str, ...], stage: Stage) -> str:
    from homeport.weights import download

    download.PAUSES = (0.0, 0.0, 0.0, 0.0)
    secret = _SHAPES[shape]
    folder = stage.root / "planted"
    folder.mkdir(exist_ok=True)
    reference = "env:PLANTED" if source == "env" else "file:key.txt"
    lines = [
        f'model = "file:{TAUGHT}"',
        "[engine]",
        "context = 256",
        "[local]",
        f"port = {stage.engine.port}",
        'host = "127.0.0.1"',
    ]
    if source != "HF_TOKEN":
        lines.append(f'api_key = "{reference}"')
    lines += [
        "[cloudrun]",
        'project = "rehearsal-x"',
        f'hub_token = "{reference if source != "HF_TOKEN" else "env:HF_TOKEN"}"',
    ]
    (folder / "homeport.toml").write_text("\n".join(lines) + "\n")
    (folder / "key.txt").write_text(secret, newline="")
    (folder / "key.txt").chmod(0o600)
    env = {**stage.env, "PLANTED": secret, "HF_TOKEN": secret, "HOMEPORT_HOME": str(stage.root / "planted-home"), "HOMEPORT_GOOGLE_URL": "http://127.0.0.1:9", "HF_ENDPOINT": "http://127.0.0.1:9",
           "CLOUDSDK_AUTH_ACCESS_TOKEN": "a-token-of-nobody", "GOOGLE_CLOUD_PROJECT": "rehearsal-x", "PATH": "/nowhere", "PIP_NO_INDEX": "1"}  # fmt: skip
    debug, json = (
        (("--debug",) if "--debug" in flags else ()),
        (("--json",) if "--json" in flags and command[0] in _JSON else ()),
    )
    came = typed(*debug, *command, *json, folder=folder, env=env)
    shown_secret = told(came.text, (_CORE, secret))
    if shown_secret:
        return "a planted secret is shown: " + shown(came.text.replace(_CORE, "PLANTED"))
    if MISTAKE in came.text or (not debug and "Traceback" in came.text):
        return shown(came.text)
    written = [
        path
        for where in (folder, stage.root / "planted-home")
        for path in where.rglob("*")
        if path.is_file() and path.name != "key.txt" and _CORE.encode() in path.read_bytes()
    ]
    return f"{written[0].name} holds a planted secret" if written else ""


_JSON = {"plan", "up", "status", "env", "chat", "verify", "fit", "doctor", "cost", "models"}


def _in_files(stage: Stage) -> str:
    """Files in which the engine's key stands, other than the one that is for it."""
    key = stage.engine.key.encode()
    if not key:
        return "the engine has no key"
    found = [path for path, content in contents(stage.root, most_bytes=1 << 24) if key in content]
    if len(found) > 1:
        return f"the key stands in {[path.name for path in found]}"
    return f"others can read {found[0].name}" if found and found[0].stat().st_mode & 0o077 else ""


def _in_processes(stage: Stage) -> str:
    """Processes in whose arguments a key stands."""
    return _seen(stage, lambda process: "\0".join(process.cmdline()))


def _in_environments(stage: Stage) -> str:
    """Processes in whose environment the engine's key stands."""
    return _seen(
        stage, lambda process: "\0".join(f"{name}={value}" for name, value in process.environ().items())
    )


def _seen(stage: Stage, look: object) -> str:
    assert callable(look)
    keys = [server.key for server in (stage.engine, stage.proxy, stage.vllm) if server.key]
    for process in psutil.process_iter():
        try:
            text = look(process)
        except psutil.Error:
            continue
        if any(key in text for key in keys):
            return f"a key stands there of process {process.pid}"
    return "" if keys else "there is no key"


def _readable(stage: Stage) -> str:
    """Files of homeport's that another user could read."""
    home = Path(stage.env["HOMEPORT_HOME"])
    others = [
        path
        for path in (home, *home.rglob("*"))
        if not path.is_symlink()
        and path.stat().st_mode & 0o077
        and "weights" not in path.relative_to(home).parts
    ]
    return f"others can read {[str(path.relative_to(home)) for path in others[:3]]}" if others else ""


def _listening(stage: Stage) -> str:
    """Servers of ours that listen on anything but loopback."""
    ports = {server.port for server in (stage.engine, stage.proxy, stage.rehearsal, stage.inside)}
    open_ = [
        one.laddr
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
        and one.laddr
        and one.laddr.port in ports
        and one.laddr.ip not in {"127.0.0.1", "::1"}
    ]
    return f"it listens on {open_}" if open_ else ""
