"""Runs a graded set on an endpoint, between its baselines, and compares it with another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.agents import brain
from homeport.agents.evaluation.baselines import Baseline
from homeport.agents.evaluation.comparison import compared, ensure_same_tasks
from homeport.agents.evaluation.graded import GradedSet, GradedTask
from homeport.agents.evaluation.options import EvalOptions
from homeport.agents.evaluation.reader import SHIPPED, read
from homeport.agents.evaluation.report import EvalReport
from homeport.agents.evaluation.result import EvalResult, SetRun, summed_up
from homeport.agents.evaluation.runner import Attempt, run_baselines, run_set
from homeport.agents.transcript import new_path
from homeport.endpoint import Endpoint
from homeport.home import find_home

if TYPE_CHECKING:
    from pydantic_ai.models import Model as LoopModel


class EvalWatch:
    """Is told what happens while it happens; does nothing with it."""

    def begun(self, endpoint: Endpoint) -> None:
        """Note that the set begins on `endpoint`."""

    def done(self, attempt: Attempt) -> None:
        """Note a task that was done."""


def evaluate(
    endpoint: Endpoint,
    suite: str = SHIPPED,
    *,
    against: Endpoint | EvalResult | None = None,
    only: Collection[str] = (),
    options: EvalOptions | None = None,
) -> EvalReport:
    """
    Return how well the model of `endpoint` chooses tools:

        report = evaluate(homeport.connect())
        print(report.result.total.accuracy, report.result.total.low, report.result.total.high)

    `suite` is `tools` or a file, `only` some of its categories; `against` another endpoint, or a result of the same
    tasks. Raises `SpecError` for a set that cannot be done, and what `Endpoint.answer` raises.
    """
    from homeport.sync import run

    graded = read(suite, only=only)
    return run(assessed(endpoint, graded, options or EvalOptions(), against=against))


async def assessed(
    endpoint: Endpoint,
    graded: GradedSet,
    options: EvalOptions,
    *,
    against: Endpoint | EvalResult | None = None,
    transcript: Path | None = None,
    watch: EvalWatch | None = None,
) -> EvalReport:
    """
    Return what the set comes to on `endpoint`, and how that compares with `against`.

    The transcript goes into homeport's folder, or to `transcript`; that of another endpoint beside it, with
    `.against` before its suffix. Raises as `evaluate` does.
    """
    brain.ensure_installed()
    watch = watch or EvalWatch()
    if isinstance(against, EvalResult):
        ensure_same_tasks(graded.digest, against)
    work = _Assessment(
        graded=graded, options=options, baselines=await run_baselines(graded, options), watch=watch
    )
    path = transcript or new_path(find_home())
    result = await work.on(endpoint, path)
    if against is None:
        return EvalReport(result=result)
    if not isinstance(against, EvalResult):
        against = await work.on(against, path_against(path))
    return EvalReport(result=result, against=against, comparison=compared(result, against))


def path_against(path: Path) -> Path:
    """Return where the transcript of another endpoint is written, beside `path`."""
    return path.with_suffix(f".against{path.suffix}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assessment:
    graded: GradedSet
    options: EvalOptions
    baselines: Mapping[Baseline, Sequence[Attempt]]
    watch: EvalWatch

    async def on(self, endpoint: Endpoint, path: Path) -> EvalResult:
        """Return what the set comes to on one endpoint."""
        self.watch.begun(endpoint)
        started_at = datetime.now(UTC)

        def opened(task: GradedTask) -> AbstractAsyncContextManager[LoopModel]:
            return brain.opened(endpoint)

        attempts = await run_set(self.graded, opened, endpoint, self.options, path, self.watch.done)
        return summed_up(
            SetRun(
                graded=self.graded,
                endpoint=endpoint,
                options=self.options,
                attempts=attempts,
                baselines=self.baselines,
                transcript=str(path),
                started_at=started_at,
            )
        )
