"""What the commands do with `--on cloudrun`."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from homeport.cli.context import REHEARSAL_PORT

if TYPE_CHECKING:
    from homeport.deployed import Deployment, Up
    from homeport.endpoint import Endpoint
    from homeport.google import Google
    from homeport.listing import ListedEndpoint
    from homeport.reconcile.teardown import Teardown
    from homeport.secret import Secret
    from homeport.terminal import Terminal
    from homeport.verify import Report

_T = TypeVar("_T")


def deployed(
    file: Path,
    work: Callable[[Deployment], Awaitable[_T]],
    *,
    token: Secret | None = None,
    ask_token: Callable[[str], Secret | None] | None = None,
) -> _T:
    """What `work` comes to with the deployment of `file`; see `homeport.deployed.deployment` for the hub's token."""
    from homeport import lifecycle
    from homeport.deployed import deployment

    async def all_of_it() -> _T:
        async with deployment(file, token=token, ask_token=ask_token) as one:
            return await work(one)

    return lifecycle.run(all_of_it())


def door(file: Path, project: str) -> Awaitable[Google]:
    """
    A door to Google for a command that needs no file: as `project` where one was named, else that of the file where
    there is one, else that of the environment or of gcloud.
    """
    import os

    from homeport import google
    from homeport.errors import HomeportError
    from homeport.spec import load

    settings = load(file).cloudrun if not project and file.exists() else None
    named = project or (settings.project if settings else None) or ""

    async def opened() -> Google:
        one = await google.from_env(os.environ, project=named)
        if not one.project:
            await one.aclose()
            raise HomeportError(
                "no project is named", hint="give --project PROJECT, or export GOOGLE_CLOUD_PROJECT=…"
            )
        return one

    return opened()


def taken_down(
    terminal: Terminal,
    name: str | None,
    file: Path,
    *,
    project: str,
    purge: bool,
    approve: Callable[[Teardown], bool],
) -> tuple[str, ...]:
    """What `down` took away: of the endpoint `name`, or of that of the file."""
    from homeport import lifecycle
    from homeport.naming import load_named
    from homeport.spec import load
    from homeport.targets.cloudrun.teardown import take_down

    meant = name if name is not None else load_named(file).endpoint_name
    settings = load(file).cloudrun if file.exists() else None

    async def work() -> tuple[str, ...]:
        async with await door(file, project) as google:
            return await take_down(
                google,
                meant,
                regions=(settings.region,) if settings else (),
                purge=purge,
                approve=approve,
                progress=terminal,
            )

    try:
        return lifecycle.run(work())
    finally:
        terminal.close()


def listed(file: Path, project: str) -> tuple[tuple[ListedEndpoint, ...], tuple[str, ...]]:
    """Every endpoint of a project by its mark, and what could not be read, in words."""
    from homeport import lifecycle
    from homeport.targets.cloudrun.endpoints import list_endpoints

    async def work() -> tuple[tuple[ListedEndpoint, ...], tuple[str, ...]]:
        async with await door(file, project) as google:
            endpoints, unread = await list_endpoints(google)
            return endpoints, tuple(one.text for one in unread)

    return lifecycle.run(work())


def hub_token(*, wanted: bool) -> Secret | None:
    """The first line of standard input, where it is `wanted`. Raises `SpecError` where it is empty."""
    from homeport.errors import SpecError
    from homeport.secret import Secret, judged

    if not wanted:
        return None
    such_as = "such as: pass show hub | homeport up --on cloudrun --yes --hub-token-stdin"
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError:
        line = "\0"  # It is judged as the other letters are that cannot be sent.
    token = judged(line, called="what came through standard input for --hub-token-stdin", hint=such_as)
    if token == Secret(""):
        raise SpecError("--hub-token-stdin was said, and nothing came through standard input", hint=such_as)
    return token


def _asking_for_token(terminal: Terminal) -> Callable[[str], Secret | None] | None:
    """Asks a person for the hub's token, where there is one to be asked."""
    from homeport.secret import Secret, judged

    def ask(page: str) -> Secret | None:
        terminal.close()
        terminal.say(
            f"{page} is not given to everybody: its licence must be accepted there, or it is private"
        )
        try:
            typed = terminal.ask_secret(
                "a token of the hub that may read it (not shown, kept in Secret Manager): "
            )
        except EOFError:
            return None
        token = judged(typed, called="what was typed as the hub's token")
        return None if token == Secret("") else token

    return ask if terminal.interactive else None


def up(
    terminal: Terminal,
    file: Path,
    *,
    yes: bool,
    canary: tuple[int, ...] = (),
    model: str = "",
    token: Secret | None = None,
) -> Up:
    """`up`, or with a `model` a swap to it, told as it goes. `token` is the hub's."""
    from homeport.cli.approval import asking
    from homeport.cli.show import plan_text, report_summary, result_line

    async def work(one: Deployment) -> Up:
        wanted = one.with_model(model) if model else one
        return await wanted.up(
            approve=asking(terminal, yes=yes, text=plan_text),
            progress=terminal,
            on_result=lambda result: terminal.say(result_line(result)),
            canary=canary,
        )

    try:
        came = deployed(file, work, token=token, ask_token=_asking_for_token(terminal))
    finally:
        terminal.close()
    if not came.changed:
        terminal.say("nothing to do: it is as the file says")
    if came.report is not None:
        terminal.say(f"  {report_summary(came.report)}")
    data = {
        "endpoint": {
            "name": came.endpoint.name,
            "base_url": came.endpoint.base_url,
            "model": came.endpoint.model,
        },
        "changed": list(came.changed),
        "report": came.report.as_json() if came.report else None,
    }
    terminal.result(f"{came.endpoint.base_url}  {came.endpoint.model}", data)
    if came.public:
        terminal.say("it is public: anybody on the internet may use it, and you pay")
    else:
        # Without `rehearse`, Google itself would be asked.
        rehearsed = "rehearse " if REHEARSAL_PORT in click.get_current_context().meta else ""
        terminal.say(
            f"it is private: `homeport {rehearsed}proxy` opens a local port to it for any OpenAI client"
        )
    return came


def verified(
    terminal: Terminal,
    file: Path,
    *,
    only: tuple[str, ...] = (),
    cold: bool = False,
    idle: float | None = None,
) -> Report:
    """The report of the checks, told as it goes."""
    from homeport.cli.show import result_line

    async def work(one: Deployment) -> Report:
        return await one.verify(
            only=only,
            cold=cold,
            idle=idle,
            progress=terminal,
            on_result=lambda result: terminal.say(result_line(result)),
        )

    try:
        return deployed(file, work)
    finally:
        terminal.close()


def status_text(status: dict[str, Any]) -> str:  # Any: JSON
    """A deployed endpoint, for people."""
    traffic = ", ".join(f"{percent} % {name}" for name, percent in status["traffic"].items()) or "none"
    receipts = [
        f"{name}, {one['at']}: {', '.join(f'{count} {what}' for what, count in one['counts'].items())}"
        for name, one in status["verified"].items()
    ]
    rows = [
        ("state", status["state"]),
        ("region", status["region"]),
        ("url", status["url"]),
        ("model", f"{status['model']} by {status['engine']}"),
        ("image", status["image"]),
        ("weights", status["weights"] or "in the image"),
        *(("adapter", one.replace("=", ", ")) for one in status["adapters"].split()),
        ("traffic", traffic),
        *(("verified", receipt) for receipt in receipts or ["never"]),
        *(("also in", f"{region}: paid for, too; `homeport down` ends both") for region in status["also_in"]),
        *(("not known", f"could not be read: {what}") for what in status["unread"]),
    ]
    return "\n".join([status["name"], *(f"  {label:<10}{value}" for label, value in rows)])


async def endpoint(file: Path) -> Endpoint:
    """The deployed endpoint, whose tokens outlast the door that it was found through."""
    return (await endpoint_and_start(file))[0]


async def endpoint_and_start(file: Path) -> tuple[Endpoint, str]:
    """The same, with its expected cold start in words; '' where that is not known."""
    from homeport.deployed import deployment

    async with deployment(file) as one:
        return await one.connect(), await one.cold_start()


def clients_env(endpoint: Endpoint, *, public: bool) -> tuple[dict[str, str], str, str]:
    """
    What OpenAI clients read to reach a deployed endpoint, the proxy's address for them ('' where none runs), and the
    same in words.

    The variables are those of the proxy that runs, with its key, since none of them can hold a token that ends after an
    hour; a `public` endpoint's are its own. Raises `NotRunning` where there is no proxy.
    """
    from homeport.errors import NotRunning
    from homeport.home import find_home
    from homeport.proxy import HOST, record

    running = record.find(find_home().root, endpoint.root_url)
    at = f"http://{HOST}:{running.port}" if running else ""
    address = f"{at}/v1" if at else ""
    if public:
        said = f"{endpoint.name} is public: anybody may call it at its own address"
        return endpoint.env(proxy=endpoint.root_url), address, said
    if running is None:
        # Without `rehearse`, Google itself would be asked.
        context = click.get_current_context(silent=True)
        rehearsed = "rehearse " if context is not None and REHEARSAL_PORT in context.meta else ""
        raise NotRunning(
            f"{endpoint.name} is private, and no proxy of yours stands before it: its key is made when it starts",
            hint=f"`homeport {rehearsed}proxy` in another terminal opens a port, and prints the same variables",
        )
    said = f"{endpoint.name} is private: these work while `homeport proxy` runs, which adds your identity on {address}"
    return endpoint.env(proxy=at, proxy_key=running.key), address, said
