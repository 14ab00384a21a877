"""What was found of templates that were tried before: to try one takes a fifth of a second `up`."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import get_args

from homeport.chat_template.bounded import tried_within_bounds
from homeport.chat_template.finding import Kind, TemplateFinding
from homeport.errors import HomeportError
from homeport.home import write_private

FOLDER = "templates"
"""Below homeport's own folder."""


def tried_once(source: str, for_tools: str, root: Path) -> tuple[TemplateFinding, ...]:
    """
    Return what `tried_within_bounds` returns, from homeport's folder `root` where this very template was tried by this very code.

    What could not be tried to its end is tried again, and nothing is kept where there is no such folder, or none that can be
    written to.
    """
    if not root.is_dir():
        return tried_within_bounds(source, for_tools)
    path = root / FOLDER / f"{_sum_of(source, for_tools)}.json"
    kept = _read(path)
    if kept is not None:
        return kept
    found = tried_within_bounds(source, for_tools)
    if all(finding.kind not in {"unchecked", "endless"} for finding in found):
        with suppress(OSError, HomeportError):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(path, json.dumps([[finding.kind, finding.text] for finding in found]))
    return found


def _sum_of(source: str, for_tools: str) -> str:
    """Return what changes with the template, with the code that tries it, and with Jinja's release."""
    summed = hashlib.sha256()
    code = [one.read_text(encoding="utf-8") for one in sorted(Path(__file__).parent.glob("*.py"))]
    for text in (source, for_tools, *code, metadata.version("jinja2")):
        data = text.encode(errors="surrogatepass")
        summed.update(b"%d:%s" % (len(data), data))
    return summed.hexdigest()


def _read(path: Path) -> tuple[TemplateFinding, ...] | None:
    """Return what a file holds; None for one that is not there, or holds something else."""
    try:
        found = [(kind, text) for kind, text in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return None
    if not all(kind in get_args(Kind) and isinstance(text, str) for kind, text in found):
        return None
    return tuple(TemplateFinding(kind=kind, text=text) for kind, text in found)
