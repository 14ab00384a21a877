"""homeport bench"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.bench_engines import command as engines_command
from homeport.cli.context import (
    CliContext,
    FiniteRange,
    ensure_none_before_subcommand,
    file_option,
    is_given,
    json_option,
    on_option,
    with_options,
    yes_option,
)
from homeport.cli.number import counts_up_to

if TYPE_CHECKING:
    from homeport.bench.bench import Served
    from homeport.bench.options import BenchOptions, OpenLoad
    from homeport.deployment import Deployment
    from homeport.endpoint import Endpoint
    from homeport.listing import ListedEndpoint
    from homeport.terminal import Terminal

BURST = 8
"""Requests of one, unless said."""
INPUT, OUTPUT = 256, 64
"""Tokens, unless said."""
PROFILES = ("sweep", "users", "constant", "poisson", "burst", "ramp", "trace")
_how = with_options(
    click.option("--name", help="The endpoint; by default that of the spec here, or the only one that runs."),
    click.option("--profile", type=click.Choice(PROFILES), help="sweep, the default: one user, many, the knee. users, the default with several numbers of them: so many who wait for their answers. The others send at their times, whatever comes back."),
    click.option("--input", type=click.IntRange(1), default=INPUT, show_default=True, help="Tokens of a prompt, those of the chat template included; a trace has its own."),
    click.option("--output", type=click.IntRange(1), default=OUTPUT, show_default=True, help="Tokens of an answer; a trace has its own."),
    click.option("--users", callback=counts_up_to(4096), metavar="INTEGERS", help="Of the profile users, such as 8, or 1,2,4,8, each a load of its own; of a sweep, the most. By default 8, and 64."),
    click.option("--rate", type=FiniteRange(0, min_open=True), metavar="FLOAT", help="Requests a second, of constant, poisson and burst; the last of ramp, which begins at 0."),
    click.option("--size", type=click.IntRange(1), default=BURST, show_default=True, help="Requests of one burst."),
    click.option("--trace", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE", help="Of the profile trace: seconds,input,output, or as Azure, Mooncake and BurstGPT name them."),
    click.option("--faster", type=FiniteRange(0, min_open=True), default=1.0, show_default=True, help="Play the trace so much faster."),
    click.option("--slo", default="", metavar="OBJECTIVES", help="What counts as good, such as ttft=2s,itl=60ms,e2e=30s."),
    click.option("--seconds", type=FiniteRange(1), default=60.0, show_default=True, help="About how long all of it takes; a trace is cut to its part of that."),
    click.option("--repetitions", type=click.IntRange(1, 100), default=3, show_default=True, help="Of each load that counts: intervals come from them."),
    click.option("--shared", type=click.IntRange(0), default=0, show_default=True, help="Tokens at their beginning that all prompts share, to measure a prefix cache."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of prompts and arrivals."),
    click.option("--output-file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.json", help="Write the result here, too."),
    click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.html", help="Write one page that needs nothing else, too."),
)  # fmt: skip


class _Named(click.Group):
    """`homeport bench NAME` is `homeport bench --name NAME`, as of every other command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = click.Command.parse_args(self, ctx, [*args])  # A parser takes the words away that it has read.
        if rest and rest[0] not in self.commands and ctx.params.get("name") is None:
            args = [*args[: len(args) - len(rest)], "--name", *rest]
        return super().parse_args(ctx, args)


@click.group(
    "bench", cls=_Named, invoke_without_command=True, subcommand_metavar="[NAME | COMMAND [ARGS]...]"
)
@_how
@file_option
@on_option
@yes_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, file: Path, on: str, yes: bool, json_output: bool, **how: Any
) -> int | None:  # Any: what click has read
    """Measure what the endpoint gives: latency of one user, throughput of many, the load from which more gives no more."""
    if ctx.invoked_subcommand is not None:
        ensure_none_before_subcommand(ctx)
        return None
    app: CliContext = ctx.obj
    from homeport import sync
    from homeport.bench import stored
    from homeport.bench.bench import bench
    from homeport.cli import bench_text
    from homeport.cli.session import with_endpoint
    from homeport.errors import VerificationFailed
    from homeport.home import ensure_file_writable, find_home, write_whole
    from homeport.targets import registry

    terminal = app.terminal(json_output=json_output)
    options = _options(how)
    for path in (how["output_file"], how["html"]):
        if path is not None:
            ensure_file_writable(path)
    endpoint, served = with_endpoint(terminal, how["name"], file, on, _opened(on))
    if on in registry.CLOUDS:
        known = _ask(terminal, endpoint, (file, on), options, yes=yes)
        if known is not None:
            served = replace(served, max_instances=known.max_instances, gpu=known.gpu or None)
    result = sync.run(bench(endpoint, options, served=served, say=terminal.say))
    terminal.say(f"kept: {stored.keep(find_home(), result)}")
    if how["output_file"] is not None:
        write_whole(how["output_file"], _json(result.as_json()))
    if how["html"] is not None:
        from homeport.bench.page import page

        write_whole(how["html"], page(result))
    terminal.result(bench_text.text(result), result.as_json())
    if result.valid:
        return 0
    terminal.note("this is not a result: see the lines with ✗")
    return VerificationFailed.exit_code


command.add_command(engines_command)


@command.command("list")
@click.option("--name", help="Of this endpoint alone.")
@json_option
@click.pass_obj
def list_command(app: CliContext, /, name: str | None, json_output: bool) -> None:
    """List the benches that were done, oldest first."""
    from homeport.bench import stored
    from homeport.cli import bench_text
    from homeport.home import find_home

    benches = [*stored.stored_benches(find_home(), name)]
    rows = [bench_text.bench_row(bench) for bench in benches]
    data = [bench.as_json() for bench in benches]
    head = ("STARTED", "ENDPOINT", "ON", "MODEL", "OUTPUT", "FILE")
    app.terminal(json_output=json_output).table(
        head, rows, data=data, empty="no bench is kept here; `homeport bench` makes one"
    )


@command.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def compare_command(app: CliContext, /, first: Path, second: Path, json_output: bool) -> int:
    """Show two benches side by side, with what differs beyond noise. The exit code is 3 where no figure can be compared."""
    from homeport.bench import stored
    from homeport.bench.comparison import compared
    from homeport.cli import bench_text
    from homeport.errors import VerificationFailed

    comparison = compared(stored.read(first), stored.read(second))
    terminal = app.terminal(json_output=json_output)
    terminal.result(bench_text.compared(comparison), comparison.as_json())
    if comparison.told:
        return 0
    terminal.note(
        "nothing can be told: it takes a load that both measured, without ✗, and --repetitions 2 at least"
    )
    return VerificationFailed.exit_code


def _json(content: Any) -> str:  # Any: JSON
    import json

    return json.dumps(content, indent=1) + "\n"


def _opened(on: str) -> Any:  # Any: a coroutine function of what is known of it
    from homeport.bench.bench import Served

    async def work(deployment: Deployment) -> tuple[Endpoint, Served]:
        status = await deployment.status(usage=False)
        return await deployment.connect(), Served(on=on, engine=status.engine or "", context=status.context)

    return work


def _options(how: dict[str, Any]) -> BenchOptions:  # Any: what click has read
    from homeport.bench.options import BenchOptions
    from homeport.bench.slo import Slo

    profile, users = _profile(how), how["users"]
    _ensure_of_profile(profile, how)
    open_load = _open_load(profile, how) if profile not in {"sweep", "users"} else None
    return BenchOptions(
        input=how["input"],
        output=how["output"],
        seconds=how["seconds"],
        repetitions=how["repetitions"],
        most_users=users[0] if users and profile == "sweep" else 64,
        users=(users or (8,)) if profile == "users" else (),
        open_load=open_load,
        slo=Slo.parse(how["slo"]),
        shared=how["shared"],
        seed=how["seed"],
    )


def _profile(how: dict[str, Any]) -> str:  # Any: what click has read
    """Return the profile that is meant. Raises `click.UsageError` for numbers of users that it cannot have."""
    users = how["users"] or ()
    profile: str = how["profile"] or ("users" if len(users) > 1 else "sweep")
    if how["trace"] is not None:
        profile = "trace"
    if len(users) > (profile == "sweep") and profile != "users":
        takes = "one number, the most" if profile == "sweep" else "none"
        raise click.UsageError(
            f"--users {','.join(map(str, users))} is of --profile users; {profile} takes {takes}."
        )
    return profile


def _ensure_of_profile(profile: str, how: dict[str, Any]) -> None:  # Any: what click has read
    """Raise `click.UsageError` for an option of another profile, which would be dropped."""
    others = {
        "rate": ("constant", "poisson", "burst", "ramp"),
        "size": ("burst",),
        "faster": ("trace",),
        "trace": ("trace",),
        **dict.fromkeys(("input", "output"), PROFILES[:-1]),
    }
    said = how["profile"] or profile
    for option, profiles in others.items():
        if is_given(option) and said not in profiles:
            raise click.UsageError(
                f"--{option} is of --profile {' or '.join(profiles)}, and the profile is {said}."
            )


def _open_load(profile: str, how: dict[str, Any]) -> OpenLoad:  # Any: what click has read
    from homeport import traffic
    from homeport.bench.options import OpenLoad
    from homeport.errors import SpecError

    seconds, rate = how["seconds"] / how["repetitions"], how["rate"]
    if profile == "trace":
        if how["trace"] is None:
            raise click.UsageError("--profile trace wants --trace FILE.")
        trace = traffic.read(how["trace"]).faster(how["faster"]).part(0, seconds)
        faster = "" if how["faster"] == 1 else f", {how['faster']:g} times as fast"
        return OpenLoad(
            title=f"{trace.name}, {seconds:g} s of it{faster}", of_trace=True, arrivals=trace.arrivals
        )
    if rate is None:
        raise click.UsageError(f"--profile {profile} wants --rate, in requests a second.")
    times = {
        "constant": lambda: traffic.constant(rate, seconds),
        "poisson": lambda: traffic.poisson(rate, seconds, seed=how["seed"]),
        "burst": lambda: traffic.burst(rate, seconds, size=how["size"]),
        "ramp": lambda: traffic.ramp(0, rate, seconds),
    }[profile]()
    arrivals = tuple(traffic.Arrival(at_s, how["input"], how["output"]) for at_s in times)
    if not arrivals:
        raise SpecError(
            f"at {rate:g} requests a second none comes within {seconds:g} s",
            hint="say a higher --rate or more --seconds (each repetition has its part of them)",
        )
    more = {"burst": f" in bursts of {how['size']}", "ramp": ", beginning at 0"}.get(profile, "")
    return OpenLoad(title=f"{profile}, {rate:g} a second{more}", of_trace=False, arrivals=arrivals)


def _ask(
    terminal: Terminal, endpoint: Endpoint, where: tuple[Path, str], options: BenchOptions, *, yes: bool
) -> ListedEndpoint | None:
    """
    Ask before money is spent, with what the run costs at most; returns what is known of the endpoint, if anything.

    Raises `ApprovalDeclined`.
    """
    import os

    from homeport import deployment, sync
    from homeport.bench.price import price
    from homeport.cli.approval import asking
    from homeport.errors import ApprovalDeclined
    from homeport.home import find_home
    from homeport.targets.base import OpenOptions

    opened = OpenOptions(env=os.environ, home=find_home())
    listed = sync.run(deployment.listing(on=where[1], file=where[0], options=opened)).endpoints
    known = next((candidate for candidate in listed if candidate.name == endpoint.name), None)
    estimate = price(known, options.seconds)
    if not asking(terminal, yes=yes, text=str, question="measure it?", default=False)(estimate):
        raise ApprovalDeclined("nothing was measured")
    return known
