"""Names from outside: of files in a hub, a bucket, a wheel or a folder. Here, and only here, they are judged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from homeport.errors import WeightsError
from homeport.path_rules import folded, followed, problem, shown, unprintable

__all__ = ["component", "distinct", "inside", "judge", "problem", "shown", "unprintable", "within"]

_HINT = "choose another source, or ask its publisher to rename the file"


def within(folder: Path, name: str, *, where: str) -> Path:
    """
    Return the path of the foreign `name` within `folder`; `where` is what listed it, for the error.

    The path may be written to: no folder on the way is a link that leads outside. Its last part may be a link, which
    a writer replaces and does not follow. Raises `WeightsError`.
    """
    judge(name, where=where)
    path = folder / name
    root = _leads_to(folder, where)
    for parent in reversed(path.relative_to(folder).parents):
        if not _leads_to(folder / parent, where).is_relative_to(root):
            raise _outside(folder / parent, name, where)
    return path


def inside(path: Path, folders: Iterable[Path], *, where: str) -> Path:
    """Return `path`, once it is sure that what it leads to lies in one of `folders`. Raises `WeightsError`."""
    leads_to = _leads_to(path, where)
    if any(leads_to.is_relative_to(_leads_to(folder, where)) for folder in folders):
        return path
    raise _outside(path, path.name, where)


def judge(name: str, *, where: str) -> str:
    """Return the relative name `name`, once it is sure that it names a file in a folder. Raises `WeightsError`."""
    why = problem(name)
    if why:
        raise WeightsError(f"{where} names a file {shown(name)}, which {why}", hint=_HINT)
    return name


def component(name: str, *, where: str) -> str:
    """Return `name`, once it is sure that it is one part of a path, such as a revision. Raises `WeightsError`."""
    why = problem(name) or ("has a slash" if "/" in name else "")
    if why:
        raise WeightsError(f"{where} is {shown(name)}, which {why}", hint="choose another source")
    return name


def distinct(names: Iterable[str], *, where: str) -> None:
    """Raise `WeightsError` where two names are one file on some disk, or one is the folder of another."""
    by_folded: dict[str, str] = {}
    for name in sorted(names):
        key = folded(name)
        if key in by_folded:
            raise WeightsError(
                f"{where} has {shown(by_folded[key])} and {shown(name)}, which are one file on many disks",
                hint=_HINT,
            )
        by_folded[key] = name
    for key, name in by_folded.items():
        above = key.rpartition("/")[0]
        while above:
            if above in by_folded:
                raise WeightsError(f"{where} has {shown(by_folded[above])} as a file and as the folder of {shown(name)}", hint=_HINT)  # fmt: skip
            above = above.rpartition("/")[0]


def _leads_to(path: Path, where: str) -> Path:
    try:
        return Path(followed(str(path)))
    except OSError as error:  # a circle of links
        raise WeightsError(
            f"{path} of {where} leads nowhere: {error}", hint="put the file itself there"
        ) from error


def _outside(path: Path, name: str, where: str) -> WeightsError:
    return WeightsError(
        f"{shown(name)} of {where} lies outside of its folder: {path} is a link that leads out",
        hint="put the file itself there, or name the folder that it leads to",
    )
