"""homeport bench engines"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeport.cli.context import CliContext, FiniteRange, file_option, json_option
from homeport.cli.number import counts_up_to


def _sources(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    from homeport.engines.names import NAMES

    sources = {}
    for value in values:
        engine, _equals, source = value.partition("=")
        if engine not in NAMES or not source:
            raise click.BadParameter(f"{value!r} should be ENGINE=SOURCE, where ENGINE is {', '.join(NAMES)}")
        sources[engine] = source
    return sources


@click.command("engines")
@click.option("--engine", "wanted", multiple=True, metavar="ENGINE", help="This one; may be given several times. By default all that are installed here.")  # fmt: skip
@click.option("--weights", multiple=True, metavar="ENGINE=SOURCE", callback=_sources, help="Where an engine's weights are; by default the file's, else the catalog's.")  # fmt: skip
@click.option("--users", default="1,4,16", show_default=True, callback=counts_up_to(1024), help="Numbers of users, each a load of its own; 1,2,4,8,16,32,64 shows the curve.")  # fmt: skip
@click.option("--input", type=click.IntRange(1), default=128, show_default=True, help="Tokens of a prompt, those of the chat template included.")  # fmt: skip
@click.option("--output", type=click.IntRange(1), default=32, show_default=True, help="Tokens of an answer.")
@click.option("--seconds", type=FiniteRange(1), default=60.0, show_default=True, help="About how long each engine is measured, its start excluded.")  # fmt: skip
@click.option("--repetitions", type=click.IntRange(1, 100), default=3, show_default=True, help="Of each load: intervals come from them.")  # fmt: skip
@file_option
@json_option
@click.pass_obj
def command(app: CliContext, /, file: Path, json_output: bool, **how: Any) -> int:  # Any: what click has read
    """
    Measure the file's model on each engine that is installed here, one after the other, in one table.

    Each is started for as long as it is measured, on a free port and with room for all users, and taken down. What
    else runs here slows them: take your own endpoint down first.
    """
    import os

    from homeport import spec, sync
    from homeport.bench import stored
    from homeport.bench.engines import bench_engines, here
    from homeport.bench.options import BenchOptions
    from homeport.cli import bench_text
    from homeport.errors import VerificationFailed
    from homeport.home import find_home
    from homeport.targets.base import OpenOptions

    terminal = app.terminal(json_output=json_output)
    home = find_home()
    engines = here(how["wanted"])
    options = BenchOptions(
        users=how["users"],
        input=how["input"],
        output=how["output"],
        seconds=how["seconds"],
        repetitions=how["repetitions"],
    )
    opened = OpenOptions(env=os.environ, home=home)
    sources = {name: how["weights"].get(name) for name in engines}
    try:
        with sync.ended_as_interrupted():
            comparison = sync.run(bench_engines(spec.load(file), sources, options, opened, terminal))
    finally:
        terminal.close()
    for engine in comparison.engines:
        if engine.result is not None:
            terminal.say(f"kept: {stored.keep(home, engine.result)}")
    terminal.result(bench_text.engines(comparison), comparison.as_json())
    return 0 if comparison.valid else VerificationFailed.exit_code
