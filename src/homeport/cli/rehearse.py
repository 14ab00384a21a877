"""homeport rehearse"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from homeport.cli.context import REHEARSAL_PORT, REHEARSED, CliContext

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from gcp_rehearsal.faults import Fault
    from homeport.terminal import Terminal

_PORT = 8600
_SHADOWS = ("CLOUDSDK_AUTH_ACCESS_TOKEN",)
"""Variables that would go before the login of a rehearsal."""


def _held_to(name: str) -> Callable[[click.Context, click.Parameter, object], object]:
    """Return the callback that holds an option to what `gcp_rehearsal.options` says under that name."""

    def held(_: click.Context, __: click.Parameter, value: object) -> object:
        from gcp_rehearsal import options

        try:
            return value if value is None else getattr(options, name)(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return held


class _Rehearsed(click.Group):
    """Its own commands, and those that are passed on."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *REHEARSED]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        return own if own or cmd_name not in REHEARSED else _passed(cmd_name)


@click.group("rehearse", cls=_Rehearsed)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=_PORT, show_default=True, help="Of the rehearsal."
)
@click.pass_context
def command(ctx: click.Context, port: int) -> None:
    """
    Act out Google Cloud on this machine: no account, no cost.

    `homeport rehearse up` and the like run that command against it, started in the background if need be.
    """
    ctx.meta[REHEARSAL_PORT] = port


def _passed(name: str) -> click.Command:
    """Run a command of homeport's against the rehearsal."""
    from importlib import import_module

    real: click.Command = import_module(f"homeport.cli.{name}").command

    def run(**options: object) -> object:
        ctx = click.get_current_context()
        terminal = ctx.obj.terminal()
        from gcp_rehearsal import credentials
        from gcp_rehearsal.cloud import OWNER
        from homeport.cli import rehearse_background as background
        from homeport.cli.rehearse_environment import variables
        from homeport.errors import StateError
        from homeport.home import find_home, writing

        folder = find_home().root
        port = ctx.meta[REHEARSAL_PORT]
        running = background.find(folder, port)
        project = _project(options.get("file"), running.project if running else "")
        if running is not None and running.project != project:
            raise StateError(
                f"what is rehearsed on port {port} is the project {running.project}, and the file's is {project}",
                hint=f"`homeport rehearse --port {port} stop` ends it, with all that was made there; or rehearse this file "
                f"beside it: homeport rehearse --port {port + 10} …",
            )
        if running is None:
            running = background.start(folder, port, project)
            terminal.say(
                f"Google Cloud is rehearsed in the background on {running.url}; `homeport rehearse stop` ends it"
            )
        terminal.say("this is a rehearsal: nothing is made on Google Cloud, and nothing costs anything")
        secret = background.secret_of(folder, running.port)
        for shadow in _SHADOWS:
            os.environ.pop(shadow, None)
        with writing(folder):
            os.environ.update(variables(running.url, project, secret=secret, caller=OWNER, folder=folder))
        if "on" in options:
            options["on"] = "cloudrun"
        if options.get("cold") and options["idle"] is None:
            from homeport.targets.cloudrun.verification.cold_start_check import idle_s

            options["idle"] = idle_s() / running.speed(credentials.token(secret, OWNER))
        return ctx.invoke(real, **options)

    return click.Command(
        name, params=real.params, callback=run, help=real.help, short_help=f"`homeport {name}`, rehearsed."
    )


def _project(file: object, running: str) -> str:
    """
    Return the project that a file names; without the file that of the rehearsal that is `running`, '' for none.

    What needs no file on Cloud Run needs none then. Raises `SpecError` where the file is none.
    """
    from gcp_rehearsal.cloud import Project
    from homeport.naming import ensure_named
    from homeport.own_path import is_there
    from homeport.spec import load

    cloudrun = None
    if isinstance(file, Path):
        if running and not is_there(file):
            return running
        spec = load(file)
        ensure_named(spec, file)
        cloudrun = spec.cloudrun
    return (cloudrun.project if cloudrun else None) or Project().id


@command.command("stop")
@click.pass_context
def stop(ctx: click.Context) -> None:
    """End the rehearsal in the background, with all that runs in it; with --port that one, else every one."""
    from homeport.cli import rehearse_background as background
    from homeport.home import find_home

    root = find_home().root
    source = ctx.parent.get_parameter_source("port") if ctx.parent else None
    named = source is not None and source is not ParameterSource.DEFAULT
    ports = [ctx.meta[REHEARSAL_PORT]] if named else background.ports(root)
    ended = [port for port in ports if background.stop(root, port)]
    ctx.obj.terminal().result("ended" if ended else "no rehearsal runs in the background")


@command.command("serve")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"0 for any; by default that of `homeport rehearse --port`.  [default: {_PORT}]",
)
@click.option(
    "--project",
    default="rehearsal",
    show_default=True,
    callback=_held_to("project_id"),
    help="The project that is there.",
)
@click.option(
    "--speed",
    type=str,
    metavar="FLOAT",
    default="60",
    show_default=True,
    callback=_held_to("speed"),
    help="How many of its seconds pass in one of ours: 0.01 to 100000.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="METHOD:WHAT[:after][:nth=N][:times=N]",
    help="Let a call fail: WHAT is 429, 500, 503, drop, twin, delay=SECONDS or jump=SECONDS. May be repeated.",
)
@click.option(
    "--strip-proof",
    is_flag=True,
    help="Let Cloud Run take X-Serverless-Authorization away once it has looked at it: whether the real one does is not known.",
)
@click.option("--pretend", is_flag=True, help="Start no processes: containers only seem to run.")
@click.option(
    "--inside",
    type=click.IntRange(0, 65535),
    help="A second port, whose callers count as within the project's networks; 0 for any.",
)
@click.pass_obj
def serve(
    app: CliContext,
    port: int | None,
    project: str,
    speed: float,
    faults: tuple[str, ...],
    strip_proof: bool,
    pretend: bool,
    inside: int | None,
) -> None:
    """Answer Google's APIs on loopback until Ctrl-C. What was made is gone then."""
    from gcp_rehearsal import server
    from gcp_rehearsal.clock import Clock
    from gcp_rehearsal.cloud import Cloud, Project
    from gcp_rehearsal.errors import RehearsalError
    from gcp_rehearsal.runtime.build.steps import Worked
    from gcp_rehearsal.runtime.container_runtime import Willing
    from gcp_rehearsal.runtime.envoy_program import envoy_program
    from gcp_rehearsal.runtime.launch_adaptation import HOST
    from gcp_rehearsal.runtime.processes import Engines
    from gcp_rehearsal.runtime.prometheus_program import prometheus_program
    from homeport.cli.rehearse_background import ensure_installed
    from homeport.cli.rehearse_programs import programs
    from homeport.errors import HomeportError
    from homeport.home import find_home

    ensure_installed()
    port = click.get_current_context().meta[REHEARSAL_PORT] if port is None else port
    cloud = Cloud(
        projects=(Project(id=project, default_network=True),),
        clock=Clock(speed=speed),
        strips_proof=strip_proof,
        faults=[_fault(text) for text in faults],
        containers=Willing() if pretend else Engines(programs()),
    )
    with ExitStack() as stack:
        listening = stack.enter_context(_listening(port or 0))
        within = None if inside is None else stack.enter_context(_listening(inside))
        actual_port = listening.getsockname()[1]
        for listener in (listening, within):
            if listener is not None:
                stack.enter_context(_keep_secret(find_home().root, listener.getsockname()[1], cloud.secret))
        own = f"http://{HOST}:{actual_port}"
        cloud.steps = steps = Worked(url=own, env=_passed_on(os.environ, own), programs=programs())
        stack.callback(steps.close)
        _tell(app.terminal(), project, speed, actual_port, within)
        try:
            server.serve(cloud, listening, inside=within, envoy=envoy_program(), prometheus=prometheus_program())  # fmt: skip
        except RehearsalError as error:
            raise HomeportError(str(error), hint=error.hint) from error


def _tell(terminal: Terminal, project: str, speed: float, port: int, within: socket.socket | None) -> None:
    from gcp_rehearsal.cloud import Project
    from gcp_rehearsal.runtime.launch_adaptation import HOST

    at = "" if port == _PORT else f" --port {port}"
    of = "" if project == Project().id else f" --project {shlex.quote(project)}"
    terminal.say(f"Google Cloud is rehearsed on http://{HOST}:{port}, as project {project}.")
    terminal.say(
        f"A minute there takes {60 / speed:g} s here. So that homeport and gcloud talk to it, elsewhere:"
    )
    terminal.say(f'  eval "$(homeport rehearse env{at}{of})"')
    if within is not None:
        inside = within.getsockname()[1]
        terminal.say(f"Clients of port {inside} count as within the project's networks:")
        terminal.say(f'  eval "$(homeport rehearse env --port {inside}{of})"')
    terminal.say("Ctrl-C ends it.")


_PASSED_ON = ("HF_ENDPOINT", "HOMEPORT_PIECE", "HOMEPORT_COPY", "HOMEPORT_PAUSE_S", "HOMEPORT_TELL_EVERY_S")
"""What the steps of builds get of this machine's environment: the address of a hub, and what tests shorten."""


def _passed_on(env: Mapping[str, str], url: str) -> dict[str, str]:
    return {**{name: env[name] for name in _PASSED_ON if name in env}, "HOMEPORT_GOOGLE_URL": url}


def _fault(text: str) -> Fault:
    """Return the fault of a text. Raises `click.BadParameter`."""
    from gcp_rehearsal.errors import FaultError
    from gcp_rehearsal.faults import parse

    try:
        return parse(text)
    except FaultError as error:
        raise click.BadParameter(f"{error}: {error.hint}", param_hint="'--fault'") from error


def _listening(port: int) -> socket.socket:
    """Open a socket on loopback. Raises `PortTaken`."""
    from homeport import addresses

    return addresses.listen(port, lambda free: f"homeport rehearse serve --port {free}, or --port 0 for any")


@contextmanager
def _keep_secret(root: Path, port: int, secret: str) -> Iterator[None]:
    """Keep a rehearsal's secret where this user's programs find it, for as long as the rehearsal lasts."""
    from gcp_rehearsal import credentials, server
    from homeport.home import writing

    server.end_in_order()
    try:
        with writing(root):
            credentials.keep(root, port, secret)
        yield
    finally:
        credentials.forget(root, port, secret)


@command.command("env")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"By default that of `homeport rehearse --port`.  [default: {_PORT}]",
)
@click.option(
    "--project",
    callback=_held_to("project_id"),
    help="By default that of `homeport rehearse` on this port.  [default: rehearsal]",
)
@click.option(
    "--as",
    "caller",
    default="you@example.com",
    show_default=True,
    callback=_held_to("email"),
    help="Who is calling.",
)
@click.pass_obj
def env(app: CliContext, port: int | None, project: str | None, caller: str) -> None:
    """
    Print the variables by which homeport and gcloud find a rehearsal that you have started.

    They name files with a login of the caller's, which go when it ends: it answers to nobody who has none.
    """
    from gcp_rehearsal.cloud import Project
    from gcp_rehearsal.runtime.launch_adaptation import HOST
    from homeport.cli.rehearse_background import find, secret_of
    from homeport.cli.rehearse_environment import variables
    from homeport.home import find_home, writing

    root = find_home().root
    port = click.get_current_context().meta[REHEARSAL_PORT] if port is None else port
    secret = secret_of(root, port)
    if project is None:
        running = find(root, port)
        project = running.project if running is not None else Project().id
    with writing(root):
        environment = variables(f"http://{HOST}:{port}", project, secret=secret, caller=caller, folder=root)
    lines = [f"unset {' '.join(_SHADOWS)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    app.terminal().result("\n".join(lines))
