"""
One file and one command from open weights to a private, verified, OpenAI-compatible endpoint.

    import homeport

    endpoint = homeport.up("homeport.toml")
    print(endpoint.ask("What is the capital of France?"))
    print(endpoint.verify().passed)
    homeport.down(endpoint.name)
"""

from __future__ import annotations

# Late, below, and without `typing`: an engine's supervisor imports this before it begins the engine.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import Any, TypeVar

    from homeport.deployment import Deployment
    from homeport.endpoint import Endpoint
    from homeport.errors import HomeportError
    from homeport.listing import Listing
    from homeport.reconcile import Plan
    from homeport.results import Status, UpResult
    from homeport.spec import Spec
    from homeport.verify import Report

    _T = TypeVar("_T")

__all__ = [
    "Endpoint",
    "HomeportError",
    "Listing",
    "Plan",
    "Report",
    "Spec",
    "Status",
    "connect",
    "down",
    "exported",
    "listed",
    "plan",
    "rollback",
    "status",
    "swap",
    "up",
    "verified",
]

_HOMES = {
    "Endpoint": "homeport.endpoint.endpoint",
    "HomeportError": "homeport.errors",
    "Listing": "homeport.listing",
    "Plan": "homeport.reconcile",
    "Report": "homeport.verify",
    "Spec": "homeport.spec.schema",
    "Status": "homeport.results",
}


def plan(spec: Spec | Path | str = "homeport.toml", *, on: str = "local", model: str | None = None) -> Plan:
    """
    Return what `up` would do, or with a `model` what `swap` to it would.

    Changes nothing. Raises `HomeportError` for what these would refuse.
    """
    return _with(spec, on, lambda deployment: deployment.plan(model=model))


def up(
    spec: Spec | Path | str = "homeport.toml",
    *,
    on: str = "local",
    verify: bool = True,
    take_over: bool = False,
) -> Endpoint:
    """
    Return the endpoint that the spec asks for, running and verified.

    Does nothing where it already is so. Raises `VerificationFailed`, with the endpoint left running, where a
    check failed; `NotManaged` where another file owns the endpoint of that name, unless `take_over`; `Unsupported` for
    what the target cannot do; other `HomeportError`s where it could not be brought up. A `Spec` belongs to the
    homeport.toml of the folder that this is run in.
    """
    from homeport.targets.base import UpOptions

    options = UpOptions(verify=verify)
    return _proven(_with(spec, on, lambda deployment: deployment.up(options), take_over=take_over))


def swap(model: str, spec: Spec | Path | str = "homeport.toml", *, on: str = "local") -> Endpoint:
    """Serve another model instead, verified before it takes over. The file stays as it is. Raises what `up` raises."""
    return _proven(_with(spec, on, lambda deployment: deployment.swap(model)))


def rollback(spec: Spec | Path | str = "homeport.toml", *, on: str = "local") -> str:
    """Let what was verified before serve again; returns what that is. Raises `NotFound` where there is nothing."""
    return _with(spec, on, lambda deployment: deployment.rollback()).serving


def exported(kind: str, spec: Spec | Path | str = "homeport.toml", *, on: str = "cloudrun") -> dict[str, str]:
    """Return what `up` would make as files of another tool, by name."""
    return _with(spec, on, lambda deployment: deployment.export(kind))


def down(name: str | None = None, *, on: str = "local", purge: bool = False) -> tuple[str, ...]:
    """
    Remove the endpoint called `name`, else that of the file here; says what went. With `purge` its weights go, too.

    Asks nobody. Raises `HomeportError` where anything is left.
    """
    return _selected(name, on, lambda deployment: deployment.down(purge=purge)).gone


def status(name: str | None = None, *, on: str = "local") -> list[Status]:
    """
    Return the endpoint called `name` as it is now, alone; without a name every one of this machine, elsewhere that of the file here.

    Raises `NotRunning` or `NotFound` where there is none of that name, or of that file.
    """
    from homeport import deployment, sync
    from homeport.targets import registry
    from homeport.targets.base import Capability

    if name is None and Capability.LISTING in registry.module(on).CAPABILITIES:
        return sync.run(deployment.statuses(on=on))
    return [_selected(name, on, lambda selected: selected.status())]


def listed(*, on: str = "local") -> Listing:
    """Return every endpoint of a target by its mark, and what could not be read. Needs no file."""
    from homeport import deployment, sync

    return sync.run(deployment.listing(on=on))


def verified(name: str | None = None, *, on: str = "local") -> Report:
    """
    Return the report of all checks on the endpoint called `name`, else that of the file here.

    Raises `NotRunning` or `NotFound` where none serves. A failed check raises nothing: `passed` of the report tells.
    """
    return _selected(name, on, lambda deployment: deployment.verify())


def connect(name: str | None = None, *, on: str = "local") -> Endpoint:
    """Return the endpoint called `name`, else that of the file here. Raises `NotRunning` or `NotFound`."""
    return _selected(name, on, lambda deployment: deployment.connect())


def _with(
    spec: Spec | Path | str,
    on: str,
    work: Callable[[Deployment], Awaitable[_T]],
    *,
    take_over: bool = False,
) -> _T:
    import os

    from homeport import deployment, sync
    from homeport.home import find_home
    from homeport.targets.base import OpenOptions

    options = OpenOptions(env=os.environ, home=find_home(), take_over=take_over)

    async def all_of_it() -> _T:
        async with deployment.opened(spec, on=on, options=options) as opened:
            return await work(opened)

    return sync.run(all_of_it())


def _selected(name: str | None, on: str, work: Callable[[Deployment], Awaitable[_T]]) -> _T:
    from pathlib import Path

    from homeport import deployment, sync

    async def all_of_it() -> _T:
        async with deployment.selected(name, Path("homeport.toml"), on=on) as selected:
            return await work(selected)

    return sync.run(all_of_it())


def _proven(result: UpResult) -> Endpoint:
    from homeport.errors import VerificationFailed

    if result.report is not None and not result.report.passed:
        failed = ", ".join(check.name for check in result.report.results if check.outcome == "failed")
        raise VerificationFailed(
            f"{result.endpoint.name} runs at {result.endpoint.base_url}, and these checks failed: {failed}",
            hint="`homeport verify` shows what each of them saw",
        )
    return result.endpoint


def __getattr__(name: str) -> Any:  # Any: whatever the name stands for; loaded when it is first used
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'homeport' has no attribute {name!r}")
