"""The deployment that a command is about, opened for as long as the command works with it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from homeport.deployment import Deployment
    from homeport.endpoint import Endpoint
    from homeport.secret import Secret
    from homeport.targets.base import OpenOptions
    from homeport.terminal import Terminal

_T = TypeVar("_T")


def with_file(
    terminal: Terminal,
    file: Path,
    on: str,
    work: Callable[[Deployment], Awaitable[_T]],
    *,
    port: int | None = None,
    hub_token: Secret | None = None,
    take_over: bool = False,
) -> _T:
    """Return what `work` comes to with the deployment of `file`. Raises what `homeport.deployment.opened` raises."""
    from homeport import deployment, sync

    options = replace(_options(terminal), port=port, hub_token=hub_token, take_over=take_over)

    async def all_of_it() -> _T:
        async with deployment.opened(file, on=on, options=options) as opened:
            return await work(opened)

    try:
        return sync.run(all_of_it())
    finally:
        terminal.close()


def with_endpoint(
    terminal: Terminal,
    name: str | None,
    file: Path,
    on: str,
    work: Callable[[Deployment], Awaitable[_T]],
    *,
    project: str = "",
    by_name: bool = False,
) -> _T:
    """
    Return what `work` comes to with the endpoint that is meant: the one called `name`; else that of the file; else
    the only one that is there. With `by_name` a name needs no file on any target.

    Raises `NotRunning` where none or several could be meant.
    """
    from homeport import deployment, sync

    options = replace(_options(terminal), project=project, named_as=_named_as())

    async def all_of_it() -> _T:
        async with deployment.selected(name, file, on=on, options=options, by_name=by_name) as selected:
            return await work(selected)

    try:
        return sync.run(all_of_it())
    finally:
        terminal.close()


def _options(terminal: Terminal) -> OpenOptions:
    from homeport.cli.hub_token import asking
    from homeport.home import find_home
    from homeport.targets.base import OpenOptions

    return OpenOptions(env=os.environ, home=find_home(), ask_hub_token=asking(terminal))


def _named_as() -> str:
    """Return the running command with a name, as `homeport env NAME`."""
    command = click.get_current_context().info_name
    return f"homeport {command} NAME"


def agents_endpoint(terminal: Terminal, name: str | None, file: Path, on: str, *, anyway: bool) -> Endpoint:
    """
    Return the endpoint that is meant, for an agent; says so where nobody knows whether its model calls tools.

    Raises `Unsupported` for a model that was not trained to call tools, unless it is wanted `anyway`: also where nothing runs
    yet, before anybody brings such a model up for an agent.
    """
    from homeport.agents import brain
    from homeport.errors import NotFound, NotRunning

    async def connected(deployment: Deployment) -> Endpoint:
        try:
            return await deployment.connect()
        except (NotFound, NotRunning):
            if not anyway and name is None:  # Of a name that nothing has, no file here says a model.
                brain.ensure_taught(deployment.target.spec.model)
            raise

    endpoint = with_endpoint(terminal, name, file, on, connected)
    if not anyway and not brain.ensure_taught(endpoint.model):
        terminal.note(
            f"the catalog does not know {endpoint.model}: whether it was trained to call tools is not known"
        )
    return endpoint


def sleeps(on: str) -> bool:
    """Return True for a target whose endpoints scale to zero, and are paid for by the time that they run."""
    from homeport.targets import registry
    from homeport.targets.base import Capability

    return Capability.COLD_START in registry.module(on).CAPABILITIES


def this_machines(terminal: Terminal, name: str | None, file: Path) -> str:
    """Return the name of the endpoint on this machine that is meant. Raises `NotManaged` where another file owns it."""

    async def status(deployment: Deployment) -> str:
        return (await deployment.status(usage=False)).name

    return with_endpoint(terminal, name, file, "local", status)
