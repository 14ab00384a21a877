"""What `hf:` stands before: ORG/NAME, with a revision and a file where they are named."""

from __future__ import annotations

import re
from dataclasses import dataclass

from homeport import names

_NAME = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w./-]+))?(?::(?P<file>[^:]+))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class HubName:
    """The parts of a name; what was not named is None."""

    repo: str
    revision: str | None
    file: str | None


def hub_name(text: str) -> HubName:
    """Return the parts of ORG/NAME[@REVISION][:FILE]. Raises `ValueError`, with what is wrong of a part where one is."""
    match = _NAME.fullmatch(text)
    if match is None:
        raise ValueError("")
    for part in ("revision", "file"):
        why = names.problem(match[part]) if match[part] else ""
        if why:
            raise ValueError(f"a part of it {why}")
    return HubName(match["repo"], match["revision"], match["file"])
