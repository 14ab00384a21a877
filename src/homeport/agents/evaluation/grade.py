"""Whether a run did what its task wants, told from its transcript; and of a wrong one, the first thing that is wrong."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum

from homeport.agents.calls import SAME_CALLS, CallOutcome
from homeport.agents.evaluation.arguments import fit_together
from homeport.agents.evaluation.graded import GradedTask
from homeport.json_types import Json

Events = Sequence[Mapping[str, Json]]
"""Of one run, as its transcript has them."""
_Made = list[list[tuple[str, Json]]]
"""Calls that were made, by the answer of the model that they are from."""
_GROUPED = re.compile(r"(?<=\d)[,\u00a0\u202f ](?=\d{3}(?!\d))")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class TaskVerdict(StrEnum):
    """How a task ended."""

    RIGHT = "right"
    REFUSED = "refused"
    """The endpoint answered with an error."""
    NO_SUCH_TOOL = "no_such_tool"
    """It called a tool that is not offered."""
    NO_CALL = "no_call"
    """It called nothing where a tool was right."""
    UNWANTED_CALL = "unwanted_call"
    """It called a tool where none was right."""
    WRONG_TOOL = "wrong_tool"
    WRONG_ARGUMENTS = "wrong_arguments"
    EXTRA_CALL = "extra_call"
    """It made the right calls, and more."""
    OTHER_ORDER = "other_order"
    """It made the right calls, but one after the other where they belong together, or in another order."""
    STOPPED = "stopped"
    """It made the right calls, and then came to no answer."""
    WRONG_ANSWER = "wrong_answer"
    """It made the right calls, and its answer does not say what they returned."""


def grade(task: GradedTask, events: Events) -> TaskVerdict:
    """Return how a run of `task` is judged."""
    end = events[-1]
    if end["outcome"] == "failed":
        return TaskVerdict.REFUSED
    steps = calls_made(events)
    wrong = _wrong_call(task, steps)
    if wrong is not None:
        return wrong
    if end["outcome"] != "answered":
        return TaskVerdict.STOPPED
    return TaskVerdict.RIGHT if says(str(end["answer"]), task.answer) else TaskVerdict.WRONG_ANSWER


def calls_made(events: Events) -> _Made:
    """Return the calls of each answer of the model that has any."""
    steps = [event["calls"] for event in events if event["event"] == "step"]
    return [[(call["name"], call["arguments"]) for call in calls] for calls in steps if calls]


def looped(events: Events) -> bool:
    """Return whether it went round in circles, and had to be told."""
    return any(event["event"] == "result" and event["outcome"] == CallOutcome.REPEATED for event in events)


def loop_stopped(events: Events) -> bool:
    """Return whether it went on in circles after it was told, so that the run was ended."""
    if events[-1]["outcome"] != "stopped" or not looped(events):
        return False
    same = Counter(
        json.dumps([name, arguments], sort_keys=True)
        for step in calls_made(events)
        for name, arguments in step
    )
    return max(same.values()) > SAME_CALLS


def says(text: str, answers: Sequence[str]) -> bool:
    """Return whether `text` says one of `answers`, as words or numbers of their own; without `answers` any text does."""
    plain = _GROUPED.sub("", re.sub(r"[*_`]", "", text)).replace("\u2212", "-").casefold()
    return not answers or any(_says(plain, answer.casefold()) for answer in answers)


def _says(text: str, answer: str) -> bool:
    pattern = re.escape(answer).replace(r"\ ", r"\s+")
    if _NUMBER.fullmatch(answer):  # 137 is in neither 1137, 137.5 nor 0.137.
        pattern += r"(?:0*)" if "." in answer else r"(?:\.0+)?"
    return re.search(rf"(?<!\w)(?<!\d[.,:]){pattern}(?!\w|[.,:]\d)", text) is not None


def _wrong_call(task: GradedTask, steps: _Made) -> TaskVerdict | None:
    """Return what is wrong with the calls; None for nothing."""
    offered = {tool.name for tool in task.offers}
    names = Counter(name for step in steps for name, _ in step)
    expected = Counter(call.tool for step in task.calls for call in step)
    verdict = None
    if set(names) - offered:
        verdict = TaskVerdict.NO_SUCH_TOOL
    elif not expected:
        verdict = TaskVerdict.UNWANTED_CALL if names else None
    elif not names:
        verdict = TaskVerdict.NO_CALL
    elif set(names) - set(expected) or expected - names:
        verdict = TaskVerdict.WRONG_TOOL
    elif not all(isinstance(arguments, Mapping) for step in steps for _, arguments in step):
        verdict = TaskVerdict.WRONG_ARGUMENTS
    elif names != expected:
        verdict = TaskVerdict.EXTRA_CALL
    elif not fit_together(
        [call for step in task.calls for call in step], [call for step in steps for call in step]
    ):
        verdict = TaskVerdict.WRONG_ARGUMENTS
    elif len(steps) != len(task.calls) or not all(map(fit_together, task.calls, steps)):
        verdict = TaskVerdict.OTHER_ORDER
    return verdict
