"""homeport guard"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, file_option, json_option, name_argument, on_option

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint
    from homeport.gateway.probes import ProbeResult
    from homeport.gateway.verdict import Refused, Side
    from homeport.spec import Guard

_KNOWN = {
    "passed": "PASSED UNSCREENED",
    "taken": "TAKEN by the engine; whether such things would be stopped is not known",
}
"""What is said of what came through, by its outcome, where the file names why."""


@click.group("guard")
def command() -> None:
    """Look at the screen of [guard]: what it says of a text, and whether an endpoint refuses what it should."""


@command.command("try")
@click.argument("text")
@file_option
@json_option
@click.pass_obj
def try_text(app: CliContext, text: str, file: Path, json_output: bool) -> int:
    """
    Ask the screen of the file's [guard] about TEXT, as a prompt and as an answer; no model is asked.

    Exits with 3 where it would not be let through.
    """
    from homeport import sync
    from homeport.errors import VerificationFailed
    from homeport.gateway.verdict import Side
    from homeport.targets.local.guard import screen_here

    terminal = app.terminal(json_output=json_output)
    guard = _guard(file)
    screen = screen_here(guard)
    verdicts = sync.run(_judged(guard, screen, text))
    rows = [
        {"side": side.value, "outcome": _outcome(refusal), "filters": list(refusal.filters) if refusal else [], "reason": refusal.reason.value if refusal else "",
         "detail": refusal.detail if refusal else ""}
        for side, refusal in verdicts.items()
    ]  # fmt: skip
    lines = [
        f"as {'a prompt' if side is Side.PROMPT else 'an answer'}: {_words(refusal)}"
        for side, refusal in verdicts.items()
    ]
    weak = "; local is a few patterns for development, and no judgement" if screen == "local" else ""
    terminal.result("\n".join([*lines, f"screen: {screen}{weak}"]), {"screen": screen, "results": rows})
    if _own_guard(file) is None:
        terminal.note(f"{file} has no [guard]: so its defaults would judge, and nothing is screened")
    return VerificationFailed.exit_code if any(verdicts.values()) else 0


@command.command("test")
@name_argument
@file_option
@on_option
@json_option
@click.pass_obj
def test_endpoint(app: CliContext, name: str | None, file: Path, on: str, json_output: bool) -> int:
    """
    Send a fixed, harmless text for each filter to every API of an endpoint, as a whole and streamed.

    Answers are not tested: no model can be made to say a thing. Exits with 3 where one is not refused; what passes one of Google's
    roads is printed as passed, and counts only where guard.unscreened does not name it.
    """
    from homeport import sync
    from homeport.cli.session import with_endpoint
    from homeport.errors import VerificationFailed
    from homeport.targets import registry

    terminal = app.terminal(json_output=json_output)
    endpoint = with_endpoint(terminal, name, file, on, lambda deployment: deployment.connect())
    guard = _guard(file, endpoint.name)
    results = sync.run(_probed(endpoint, guard, at_balancer=on in registry.CLOUDS and not guard.in_gateway))
    header = ("API", "STREAMED", "TEXT", "OUTCOME", "SECONDS")
    terminal.table(
        header, [_row(result) for result in results], data=[result.as_json() for result in results]
    )
    unrefused = [result for result in results if not result.good]
    known = [
        result
        for result in unrefused
        if result.outcome in {"passed", "taken"} and result.passes in guard.unscreened
    ]
    bad = [result for result in unrefused if result not in known]
    for outcome, words in _KNOWN.items():
        these = [result for result in known if result.outcome == outcome]
        what = ", ".join(dict.fromkeys(result.passes for result in these))
        if these:
            terminal.say(f"{len(these)} {words}, as guard.unscreened says of {what}")
    for result in bad:
        terminal.say(
            f"{result.api} {result.place} {result.filter}: {result.outcome} {result.reason}".rstrip()
        )
    refused = sum(result.outcome == "refused" for result in results)
    terminal.say(f"{refused} refused, {len(bad)} not as they should be; answers were not tested")
    return VerificationFailed.exit_code if bad else 0


def _guard(file: Path, name: str | None = None) -> Guard:
    """Return `[guard]` of the file, or its defaults: also where the file is of another endpoint than the one called `name`."""
    from homeport.spec import Guard, load

    spec = load(file) if file.exists() else None
    return (spec.guard if spec is not None and name in {None, spec.name} else None) or Guard()


def _own_guard(file: Path) -> Guard | None:
    from homeport.spec import load

    return load(file).guard if file.exists() else None


async def _judged(guard: Guard, screen: str, text: str) -> dict[Side, Refused | None]:
    from homeport.gateway.breaker import Breaker
    from homeport.gateway.plain import as_screened
    from homeport.gateway.screens.registry import make
    from homeport.gateway.verdict import Refused, Side, found
    from homeport.targets.local.guard import settings_of

    settings = settings_of(guard, screen=screen, template=guard.template or "")
    breaker = Breaker(await make(settings, os.environ), deadline_s=settings.deadline_s)
    verdicts: dict[Side, Refused | None] = {}
    try:
        for side in Side:
            try:
                filters = await breaker.judge(as_screened(text), side)
                verdicts[side] = found(side, filters) if filters else None
            except Refused as refused:
                verdicts[side] = refused
    finally:
        await breaker.aclose()
    return verdicts


async def _probed(endpoint: Endpoint, guard: Guard, *, at_balancer: bool) -> list[ProbeResult]:
    from homeport.gateway.probes import probe

    results = [result async for result in probe(endpoint, guard.filters, at_balancer=at_balancer)]
    if not at_balancer:
        return results
    from homeport.gateway.road_probes import PATIENCE_S, probe_gaps

    whole = [
        one.api for one in results if one.filter == "none" and not one.streamed and one.outcome == "passed"
    ]
    for api in whole[:1]:
        async with endpoint.client(timeout_s=PATIENCE_S) as client:
            gaps = probe_gaps(client, endpoint.model, api, filters=guard.filters, passing=guard.passing)
            results += [result async for result in gaps]
    return results


def _outcome(refused: Refused | None) -> str:
    from homeport.gateway.verdict import Reason

    if refused is None:
        return "passes"
    return "stopped" if refused.reason is Reason.MATCH else "not screened"


def _words(refused: Refused | None) -> str:
    if refused is None:
        return "let through"
    if refused.filters:
        return f"stopped, by {', '.join(refused.filters)}"
    return f"refused, since it was not screened ({refused.reason.value}): {refused.detail}"


def _row(result: ProbeResult) -> tuple[str, ...]:
    places = {"prompt": "", "tool result": ", as a tool's result"}
    text = f"{result.filter}{places.get(result.place, f', {result.place}')}"
    return (
        result.api,
        "yes" if result.streamed else "no",
        text,
        f"{result.outcome} {result.reason}".strip(),
        f"{result.seconds:.3f}",
    )
