"""Runs a graded set through the real loop, one task after the other, all into one transcript."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from homeport.agents import loop
from homeport.agents.evaluation.baselines import Baseline, Brain, baseline
from homeport.agents.evaluation.grade import TaskVerdict, grade, loop_stopped, looped
from homeport.agents.evaluation.graded import GradedSet, GradedTask
from homeport.agents.evaluation.options import BUDGET, EvalOptions
from homeport.agents.evaluation.scripted_tools import scripted_tools
from homeport.agents.transcript import Transcript
from homeport.endpoint import Endpoint
from homeport.errors import AgentStopped, EndpointError, SpecError
from homeport.json_types import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_THE_TASK = frozenset((400, 413, 422, 500))
"""What engines answer where a request does not fit, or the model's own output cannot be parsed. Others end it all."""
_REFUSALS = 3
"""After so many refusals from the first task on it is the endpoint: the other tasks would end no differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A task that was run, and what it used."""

    task: GradedTask
    verdict: TaskVerdict
    looped: bool
    loop_stopped: bool
    input_tokens: int
    output_tokens: int
    seconds: float


OnAttempt = Callable[[Attempt], None]


async def run_set(
    graded: GradedSet,
    brain: Brain,
    endpoint: Endpoint,
    options: EvalOptions,
    path: Path,
    on_attempt: OnAttempt = lambda _: None,
) -> list[Attempt]:
    """
    Return every task of the set as it was done; the transcript goes to `path`.

    Raises what `Endpoint.answer` raises where the endpoint is gone, lets nobody in, or refuses the first tasks; the
    transcript is whole in any case.
    """
    events: list[Mapping[str, Json]] = []
    attempts: list[Attempt] = []
    with Transcript(path, events.append) as transcript:
        for task in graded.tasks:
            transcript.add("task", id=task.id, category=task.category)
            events.clear()
            setup = loop.AgentSetup(
                endpoint=endpoint,
                tools=scripted_tools(task),
                budget=options.budget,
                temperature=options.temperature,
            )
            try:
                await loop.answer(task.question, setup, transcript, model=brain(task))
            except AgentStopped:
                pass  # It is in the transcript, which is what is graded.
            except EndpointError as error:
                so_far = (attempt.verdict for attempt in attempts)
                if error.status not in _OF_THE_TASK or (
                    len(attempts) + 1 >= _REFUSALS
                    and all(verdict is TaskVerdict.REFUSED for verdict in so_far)
                ):
                    raise
            attempts.append(_attempt(task, events))
            on_attempt(attempts[-1])
    return attempts


async def run_baselines(
    graded: GradedSet, options: EvalOptions, *, seed: int = 0
) -> dict[Baseline, list[Attempt]]:
    """
    Return what each baseline makes of the set. No endpoint is asked.

    Raises `SpecError` where the oracle, which reads the key, does not get all of it right: the set contradicts itself.
    """
    attempts: dict[Baseline, list[Attempt]] = {}
    budget = replace(
        options.budget, seconds=max(options.budget.seconds, BUDGET.seconds), tokens=BUDGET.tokens
    )
    unhurried = replace(options, budget=budget)
    with TemporaryDirectory(prefix="homeport-eval-") as folder:
        for kind in Baseline:
            endpoint = Endpoint(name="baseline", base_url="http://127.0.0.1/v1", model=kind)
            brain = baseline(kind, seed=seed)
            attempts[kind] = await run_set(graded, brain, endpoint, unhurried, Path(folder) / f"{kind}.jsonl")
    _ensure_possible(graded, attempts[Baseline.ORACLE])
    return attempts


def _ensure_possible(graded: GradedSet, of_the_oracle: Sequence[Attempt]) -> None:
    for attempt in of_the_oracle:
        if attempt.looped or attempt.verdict is not TaskVerdict.RIGHT:
            judged = "going round in circles" if attempt.looped else attempt.verdict.value
            raise SpecError(
                f"the task {attempt.task.id} of {graded.name} cannot be done: its own key is judged {judged}",
                hint="mend its calls or its answer, or raise the bounds of a task; "
                "the same call may be expected twice, and no oftener",
            )


def _attempt(task: GradedTask, events: Sequence[Mapping[str, Json]]) -> Attempt:
    spent = events[-1]["spent"]
    return Attempt(
        task=task,
        verdict=grade(task, events),
        looped=looped(events),
        loop_stopped=loop_stopped(events),
        input_tokens=spent["input_tokens"],
        output_tokens=spent["output_tokens"],
        seconds=spent["seconds"],
    )
