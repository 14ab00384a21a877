"""The JSON that a client sends, and what is said of it where it is wrong."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError

_KIND = re.compile(r"str|list\[.*\]")
"""What pydantic puts into a place for the kind that it tried there: names of homeport's own classes, too."""


def parsed(body: bytes) -> Any:  # Any: JSON
    """
    Return what a body holds. Raises `ValueError` for what is no JSON, is nested too deeply, or holds text that is none.

    JSON can write half of a pair (`ud800` behind a backslash), which nobody can send on: to a model, or back.
    """
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.start + 1]
        raise ValueError(
            f"it holds {half!a}, half of a pair of surrogates, which is no text; leave it out"
        ) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def mistakes(error: ValidationError) -> str:
    """Return in words what is wrong, and where: the client's names, and none of homeport's own."""
    problems = []
    for detail in error.errors(include_url=False):
        places = [str(part) for part in detail["loc"]]
        where = ".".join(part for part in places if not _KIND.fullmatch(part))
        if detail["type"] == "extra_forbidden":  # The last place is the client's own name, whatever it is.
            where = ".".join([*(part for part in places[:-1] if not _KIND.fullmatch(part)), places[-1]])
            problems.append(f"{where} is not taken: it would be of no effect; leave it out")
        else:
            what = "Input should be an object" if detail["type"] == "model_type" else detail["msg"]
            problems.append(f"{where}: {what}")
    return "; ".join(problems[:3])
