"""What an earlier export left in a folder, and what reads all that lies there would take for a part of this one."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from homeport.errors import StateError
from homeport.export.terraform.file_names import BLOCKS, CLOSED_DOORS, EDGE, IMAGES, NETWORK
from homeport.export.text import MARK, listed
from homeport.own_path import looking_at, mode_at

_BY_FOLDER = {"terraform": BLOCKS}
"""The kinds whose tool reads all files of a folder together, and which. Of Terraform's network this stays: what a service is attached to
Google keeps for as long as it is, and in one `apply` Terraform would delete it before it moves the service."""
_VALUES = (IMAGES, CLOSED_DOORS)
_DECLARED = re.compile(r'^(resource|variable) "(\w+)"(?: "(\w+)")? \{$', re.MULTILINE)
_DECLARED_BY_OTHERS = re.compile(r'^\s*variable\s+"?([\w-]+)"?\s*\{', re.MULTILINE)
_OF_VALUES = re.compile(
    r'#[^\n]*|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|<<-?(?P<word>\w+)[ \t]*\n.*?^[ \t]*(?P=word)$'
    r"|(?P<opens>[\[{(])|(?P<closes>[\]})])|(?P<name>[\w-]+)\s*=(?!=)",
    re.MULTILINE | re.DOTALL,
)
"""Of a file of values what matters for which variables it sets; comments and texts are passed over as a whole."""
_LOCALS = re.compile(r"^locals \{\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
_REFERRED = re.compile(r"\b(?:google_\w+|local|var)\.[a-z]\w*")


def ensure_none_left(kind: str, files: Mapping[str, str], folder: Path) -> None:
    """
    Raise `StateError` where a folder holds files of an earlier export that these cannot be read together with.

    Somebody's own may stay, and so may the network, which goes one `apply` after the service has left it.
    """
    left = _left(kind, files, folder)
    if gone := [name for name in left if name != NETWORK]:
        raise StateError(
            f"{listed(str(folder / name) for name in gone)} {'is' if len(gone) == 1 else 'are'} of an earlier export and not of this "
            f"homeport.toml any more; {kind} reads all files of a folder together, and nothing was written",
            hint=_way(gone, files, folder),
        )
    if NETWORK in left and (
        missing := _missing((folder / NETWORK).read_bytes().decode(errors="replace"), files)
    ):
        raise StateError(
            f"{folder / NETWORK} is of an earlier export, and names {listed(missing)}, which this module has no more; nothing was written",
            hint=f"take the blocks out of it that name {'that' if len(missing) == 1 else 'those'}, then export again with --force: what is left of it stays "
            "for one `terraform apply`",
        )


def notes(kind: str, files: Mapping[str, str], folder: Path) -> list[str]:
    """Return what to do about what an earlier export left, once this one is written beside it."""
    told = []
    if NETWORK in _left(kind, files, folder):
        told.append(
            f"{folder / NETWORK} is of an earlier export, and stays for one apply: Google deletes no subnetwork that the service is attached to. "
            f"Say `terraform apply`, which moves the service; then delete {NETWORK}, and apply again. That fails at the subnetwork while Cloud Run "
            "keeps addresses in it, one to two hours: apply later once more"
        )
    if kind in _BY_FOLDER:
        told += [f"{way}, which this module does not have any more" for way in _lines(files, folder, _VALUES)]
    return told


def _left(kind: str, files: Mapping[str, str], folder: Path) -> list[str]:
    if kind not in _BY_FOLDER:
        return []
    head = f"# {MARK} {kind}`".encode()
    with looking_at(folder):
        return sorted(
            path.name
            # A glob passes over a folder that is closed.
            for path in (folder.iterdir() if mode_at(folder) else ())
            if path.match(_BY_FOLDER[kind])
            and path.name not in files
            and stat.S_ISREG(mode_at(path))
            and path.read_bytes().startswith(head)
        )


def _way(gone: list[str], files: Mapping[str, str], folder: Path) -> str:
    """Return the order in which all of it goes. Files that are taken away one by one would leave a module that names what it has not."""
    whole = [CLOSED_DOORS] if EDGE in gone and (folder / CLOSED_DOORS).is_file() else []
    values = [name for name in _VALUES if name not in whole]
    steps = [f"delete {listed([*gone, *whole])}", *_lines(files, folder, values), "export again with --force"]
    return (
        "apply nothing before: Terraform would delete first what others still lead to or ask. `homeport up --on cloudrun` takes away what left "
        f"homeport.toml; then {listed(steps)}. The next `terraform apply` finds it gone"
    )


def _lines(files: Mapping[str, str], folder: Path, names: tuple[str, ...] | list[str]) -> list[str]:
    """Return which lines to take out of files of values: those of variables that neither the module has nor a file that stays beside it."""
    declared = _declared(files) | {f"var.{one}" for one in _variables_beside(files, folder)}
    told = []
    for name in names:
        with looking_at(folder):
            is_file = stat.S_ISREG(mode_at(folder / name))
            text = (folder / name).read_bytes().decode(errors="replace") if is_file else ""
        unknown = [one for one in _set_in(text) if f"var.{one}" not in declared]
        if unknown:
            told.append(f"take {listed(unknown)} out of {name}")
    return told


def _set_in(text: str) -> Iterator[str]:
    """Yield the variables that a file of values sets, and no keys within them."""
    depth = 0
    for token in _OF_VALUES.finditer(text):
        depth += bool(token["opens"]) - bool(token["closes"])
        if token["name"] and not depth:
            yield token["name"]


def _variables_beside(files: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Yield the variables that files in the folder declare which no export wrote, and none writes over."""
    head = f"# {MARK} ".encode()
    with looking_at(folder):
        for path in folder.iterdir() if mode_at(folder) else ():
            if path.name in files or not path.name.endswith((".tf", ".tf.json")):
                continue
            if not stat.S_ISREG(mode_at(path)):
                continue
            content = path.read_bytes()
            if path.suffix == ".json":
                yield from _variables_of_json(content)
            elif not content.startswith(head) or path.name == NETWORK:
                yield from _DECLARED_BY_OTHERS.findall(content.decode(errors="replace"))


def _variables_of_json(content: bytes) -> Iterator[str]:
    try:
        table = json.loads(content)
    except (ValueError, RecursionError):
        return  # Terraform says so.
    blocks = table.get("variable") if isinstance(table, dict) else None
    for block in blocks if isinstance(blocks, list) else [blocks]:
        yield from block if isinstance(block, dict) else ()


def _missing(text: str, files: Mapping[str, str]) -> list[str]:
    """Return what a file refers to that neither it nor the module has."""
    return sorted(set(_REFERRED.findall(text)) - _declared({**files, NETWORK: text}))


def _declared(files: Mapping[str, str]) -> set[str]:
    text = "\n".join(text for name, text in files.items() if name.endswith(".tf"))
    blocks = {f"var.{first}" if kind == "variable" else f"{first}.{second}" for kind, first, second in _DECLARED.findall(text)}  # fmt: skip
    shared = "".join(_LOCALS.findall(text))
    return blocks | {f"local.{name}" for name in re.findall(r"^  (\w+) *=", shared, re.MULTILINE)}


__all__ = ["ensure_none_left", "notes"]
