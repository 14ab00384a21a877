"""The JSON that a client sends."""

from __future__ import annotations

import json
from typing import Any


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
