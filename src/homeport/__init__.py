"""
One file and one command from open weights to a private, verified, OpenAI-compatible endpoint.

    import homeport

    endpoint = homeport.up("homeport.toml")
    print(endpoint.ask("What is the capital of France?"))
    print(endpoint.verify().passed)
    homeport.down(endpoint.name)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint
    from homeport.errors import HomeportError
    from homeport.reconcile import Plan
    from homeport.spec import Spec
    from homeport.targets.local.liveness import Status
    from homeport.verify import Report

__all__ = [
    "Endpoint",
    "HomeportError",
    "Plan",
    "Report",
    "Spec",
    "Status",
    "connect",
    "down",
    "plan",
    "status",
    "up",
]

_HOMES = {
    "Endpoint": "homeport.endpoint.endpoint",
    "HomeportError": "homeport.errors",
    "Plan": "homeport.reconcile",
    "Report": "homeport.verify",
    "Spec": "homeport.spec.schema",
    "Status": "homeport.targets.local.liveness",
}


def plan(spec: Spec | Path | str = "homeport.toml") -> Plan:
    """What `up` would do. Changes nothing. Raises `HomeportError` for what `up` would refuse."""
    from homeport import lifecycle

    return lifecycle.run(lifecycle.target(spec).plan())


def up(
    spec: Spec | Path | str = "homeport.toml", *, verify: bool = True, take_over: bool = False
) -> Endpoint:
    """
    The endpoint that the spec asks for, running and verified.

    Does nothing where it already is so. Raises `VerificationFailed`, with the endpoint left running, where a
    check failed; `NotManaged` where another file owns the endpoint of that name, unless `take_over`; other `HomeportError`s
    where it could not be brought up. A `Spec` belongs to the homeport.toml of the folder that this is run in.
    """
    from homeport import lifecycle
    from homeport.errors import VerificationFailed

    came = lifecycle.run(lifecycle.bring_up(lifecycle.target(spec, take_over=take_over), verify=verify))
    if came.report is not None and not came.report.passed:
        failed = ", ".join(result.name for result in came.report.results if result.outcome == "failed")
        raise VerificationFailed(
            f"{came.endpoint.name} runs at {came.endpoint.base_url}, and these checks failed: {failed}",
            hint="`homeport verify` shows what each of them saw",
        )
    return came.endpoint


def down(name: str, *, purge: bool = False) -> tuple[str, ...]:
    """End the endpoint `name` with all its processes; says what went. With `purge` its weights go, too."""
    from homeport import lifecycle

    return lifecycle.run(lifecycle.take_down(name, purge=purge))


def status() -> list[Status]:
    """Every endpoint that was started on this machine and not taken down, as it is now."""
    from homeport import lifecycle

    return lifecycle.statuses()


def connect(name: str) -> Endpoint:
    """The endpoint `name`, which runs on this machine. Raises `NotRunning` where it does not."""
    from homeport import lifecycle

    return lifecycle.connect(name)


def __getattr__(name: str) -> Any:  # Any: whatever the name stands for; loaded when it is first used
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'homeport' has no attribute {name!r}")
