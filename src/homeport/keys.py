"""The key of an endpoint on this machine, as its user asks for it: where it is, and another one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from homeport import sync
from homeport.errors import HomeportError, NotRunning, SpecError
from homeport.home import Home, find_home
from homeport.json_types import JsonObject
from homeport.resources.local import endpoint_key, endpoint_record
from homeport.resources.local.endpoint_key import GENERATED, NONE
from homeport.targets.local.target import LocalTarget, remembered_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where an endpoint's key is, without the key."""

    name: str
    """Of the endpoint."""
    reference: str
    """env:NAME, file:PATH, generated (homeport made it) or none."""
    path: Path | None
    """The file that it is kept in, if it is in one."""
    problem: str
    """Why the key here is not the one that the engine was started with; '' where it is."""
    hint: str
    """What to do about it."""

    def as_json(self) -> JsonObject:
        """Return the whereabouts as `--json` prints them."""
        return {
            "name": self.name,
            "reference": self.reference,
            "path": str(self.path) if self.path else None,
            "is_the_engines": not self.problem if self.reference != NONE else None,
            "problem": self.problem,
            "hint": self.hint,
        }


def whereabouts(name: str, *, home: Home | None = None) -> Whereabouts:
    """
    Return where the key is that the endpoint `name` was started with. Raises `NotRunning` where there is no
    such endpoint.
    """
    folder = (home or find_home()).endpoint(name)
    started = endpoint_record.load(folder)
    if started is None:
        raise NotRunning(f"no endpoint called {name} runs here", hint="`homeport up` starts one")
    key = endpoint_key.of_record(started, folder)
    problem = hint = ""
    try:
        sync.run(key.held(started))
    except HomeportError as error:
        problem, hint = str(error), error.hint
    return Whereabouts(name=name, reference=key.reference, path=key.path, problem=problem, hint=hint)


def with_new_key(name: str, *, home: Home | None = None) -> LocalTarget:
    """
    Return the endpoint `name` as it was started, but with a new key: bringing it up makes that key and
    restarts the engine.

    Raises `SpecError` where the key is not homeport's to make, `NotRunning` where there is no such endpoint.
    """
    home = home or find_home()
    remembered = endpoint_record.load(home.endpoint(name))
    if remembered is None:
        raise NotRunning(f"no endpoint called {name} runs here", hint="`homeport up` starts one")
    target = remembered_target(remembered, name, home)
    reference = target.key.reference
    if reference == GENERATED:
        return replace(target, renew_key=True)
    if reference == NONE:
        raise SpecError(
            f"{name} wants no key, so there is none to replace",
            hint=f'remove api_key = "none" from {target.spec_file} and `homeport up`: it gets one',
        )
    kind, _, place = reference.partition(":")
    do = f"export {place} with another key" if kind == "env" else f"write another key into {target.key.path}"
    raise SpecError(
        f"the key of {name} is yours: local.api_key says {reference}, and homeport does not write there",
        hint=f"{do}, then `homeport up`: it restarts the engine with it",
    )
