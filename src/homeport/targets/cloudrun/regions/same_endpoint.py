"""Whether an endpoint can be held against what is known of it: one that somebody has against what is deployed, what is deployed against its file."""

from __future__ import annotations

from dataclasses import fields

from homeport.endpoint import Endpoint
from homeport.errors import SpecError, Unsupported


def ensure_same(asked: Endpoint, known: Endpoint) -> None:
    """Raise `Unsupported` where `asked` is not what is deployed, with the fields that differ."""
    names = [one.name for one in fields(asked) if one.compare]
    differing = [name for name in names if getattr(asked, name) != getattr(known, name)]
    if differing:
        raise Unsupported(
            f"what is deployed is {known.model} at {known.base_url}, and this endpoint, {asked.model} at {asked.base_url}, is not quite that: "
            f"it differs in {', '.join(differing)}",
            hint='take it from homeport.connect(…, on="cloudrun") again',
        )


def unfiled(name: str) -> SpecError:
    """Return what is said where an endpoint is to be held against its file, and was found by its name alone."""
    return SpecError(
        f"{name} can be held against its file alone, and there is none here",
        hint="do it in the folder of its homeport.toml, or name that with -f",
    )
