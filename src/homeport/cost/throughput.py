"""The throughput that a price is reckoned with, where the user gave none: that of the endpoint's newest bench on Cloud Run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from homeport import naming, spec
from homeport.catalog import Model
from homeport.home import Home

if TYPE_CHECKING:
    from homeport.bench.result import BenchResult

ON = "cloudrun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """How many tokens a second one busy instance does, prompts and answers together, and who says so."""

    tokens_per_second: float | None
    source: str
    """In words, such as `your figure`; where there is none, why a bench that is there was not taken, or ''."""


YOURS = "your figure"


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedInstance:
    """The instance that is priced: what a bench has to be of."""

    model: Model
    engine: str
    gpu: str


def measured(home: Home, file: Path, priced: PricedInstance) -> Throughput:
    """
    Return what the newest bench of the file's endpoint on Cloud Run measured at its knee, if it was of one such instance.

    One of this machine is not taken, and none of a rehearsal, or that does not tell whether it is: they say nothing of an instance.
    """
    name = spec.load(file).name or naming.name_from_folder(file)
    if not home.benches(name).exists():
        return Throughput(tokens_per_second=None, source="")
    from homeport.bench import stored  # Late: the load generator, and a tenth of what `cost` takes.

    newest = stored.newest(home, name, on=ON)
    result = newest.result if newest is not None else None
    best = result.best if result is not None else None
    if result is None or best is None:
        others = {
            "of a rehearsal, which": stored.newest(home, name, on=ON, rehearsed=(True,)),
            "of an older homeport, which did not write down whether it was rehearsed, and": stored.newest(
                home, name, on=ON, rehearsed=(None,)
            ),
            "of this machine, which": stored.newest(home, name, on="local", rehearsed=(False, None)),
        }
        what = next((words for words, bench in others.items() if bench is not None), "")
        return _none(
            f"the newest bench is one {what} says nothing of an instance on Cloud Run" if what else ""
        )
    setting = result.setting
    why = _other(result, priced)
    if why:
        return _none(f"the newest bench on Cloud Run {why}")
    speed = best.rates["total_tokens"].mean
    source = f"bench of {setting.started_at}, {best.load}, {setting.lengths}"
    return Throughput(tokens_per_second=speed, source=source)


def _other(result: BenchResult, priced: PricedInstance) -> str:
    """Return why a bench says nothing of the priced instance, or ''."""
    from homeport.bench.of_model import is_of

    setting = result.setting
    if not is_of(setting, priced.model):
        return f"is of {setting.model}, not of {priced.model.name}"
    if setting.engine != priced.engine:
        return f"is of {setting.engine or 'an engine that is not known'}"
    if setting.gpu != priced.gpu:
        return (
            f"is of {setting.gpu}, not of {priced.gpu}"
            if setting.gpu
            else "does not say on which GPU it was: `homeport bench --on cloudrun` measures once more"
        )
    if setting.max_instances != 1:
        return "had more than one instance behind it, perhaps: it is none of one"
    return _without_knee(result)


def _without_knee(result: BenchResult) -> str:
    """Return that a bench has no knee, and how to get one; '' where it has one."""
    if result.knee is None:
        return "has one load or some, and no knee, where an instance gives the most: `homeport bench --on cloudrun` looks for it"
    if result.knee.searched:
        return ""
    return (
        f"did not find where an instance gives the most. {result.said_of_knee}"
        " One that finds it is taken: `homeport bench --on cloudrun` with more --users or --seconds"
    )


def _none(why: str) -> Throughput:
    return Throughput(tokens_per_second=None, source=why)
