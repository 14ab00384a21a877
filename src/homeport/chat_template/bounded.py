"""A template, tried in a process of its own, which ends by itself where the template does not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import lru_cache

from homeport.chat_template.child import MOST_CPU_S, MOST_MEMORY
from homeport.chat_template.finding import TemplateFinding
from homeport.child_environment import PYTHON, inherited

_WITHIN_S = 300.0
"""Seconds on the clock; what bounds a template that goes on for ever is the child's limit of processor time."""
_MOST_TEXT = 1 << 20
"""The longest published templates have 100 KB."""


@lru_cache(maxsize=8)
def tried_within_bounds(source: str, for_tools: str = "") -> tuple[TemplateFinding, ...]:
    """
    Return what will not work with the template `source`, or with `for_tools`, where requests with tools have their own.

    One that cannot be tried to the end is a finding, too, which says so. Raises nothing.
    """
    if len(source) + len(for_tools) > _MOST_TEXT:
        return (unchecked("it is longer than any template"),)
    given = json.dumps({"template": source, "for_tools": for_tools})
    try:
        return answered(given)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return (unchecked(f"it could not be tried: {' '.join(str(error).split())[:200]}"),)


def answered(given: str) -> tuple[TemplateFinding, ...]:
    """Return what the child answers. Raises what starting it and reading its answer raises."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "homeport.chat_template.child"],
        input=given,
        env=inherited(PYTHON),
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=_WITHIN_S,
        check=False,
    )
    if ran.returncode == -signal.SIGXCPU:
        return (_endless(f"{MOST_CPU_S} s of processor time, so an engine may hang on it"),)
    if "MemoryError" in ran.stderr:
        return (_endless(f"{MOST_MEMORY >> 30} GiB of memory, so an engine may end by it"),)
    if ran.returncode != 0:
        last = (ran.stderr.strip().splitlines() or [f"exit {ran.returncode}"])[-1]
        return (unchecked(f"it could not be tried: {last[:200]}"),)
    return tuple(TemplateFinding(kind=kind, text=text) for kind, text in json.loads(ran.stdout))


def _endless(bound: str) -> TemplateFinding:
    return TemplateFinding(kind="endless", text=f"rendering it takes more than {bound}")


def unchecked(why: str) -> TemplateFinding:
    """Return a finding that says that a template could not be tried, and why."""
    return TemplateFinding(kind="unchecked", text=why)
