"""Which checks there are of an endpoint, and running them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from homeport.errors import HomeportError
from homeport.task import Task
from homeport.verify.check import Check, OnResult, picked, refuse_unknown
from homeport.verify.checks import (
    access,
    adapters,
    answers,
    context,
    honesty,
    identity,
    images,
    load,
    reasoning,
    second_turn,
    sounds,
    structure,
    vectors,
)
from homeport.verify.report import Outcome, Report, Result, RunTimer, VerificationSubject, skipped

CHECKS = (
    Check("identity", "the served model is the pinned one", identity.served_model),
    Check("chat", "a chat gets an answer", answers.chat),
    Check("stream", "a stream is well-formed to its end, with usage", answers.stream),
    Check("determinism", "the same prompt at temperature 0 gets the same answer", answers.determinism),
    Check("stop", "a stop string ends the answer before itself", answers.stop),
    Check("max-tokens", "max_tokens is honoured, and finish_reason says so", answers.max_tokens),
    Check("json-schema", "an answer obeys a JSON schema", structure.json_schema),
    Check("schema-pattern", "a schema's pattern is obeyed, or refused", structure.pattern),
    Check("tools", "a tool call comes back as tool_calls", structure.tools),
    Check("tools-stream", "a tool call comes back as tool_calls, streamed", structure.tools_streamed),
    Check("second-turn", "a tool's result is given back, and text comes", second_turn.chat_completions),
    Check("second-turn-responses", "the same over /v1/responses", second_turn.responses),
    Check("second-turn-native", "the same over the engine's own /api/chat", second_turn.native),
    Check("tool-choice", "tool_choice is honoured: none, required, a name", honesty.tool_choice),
    Check(
        "schema-responses", "an answer obeys a JSON schema over /v1/responses", honesty.schema_over_responses
    ),
    Check("unknown-model", "a model that is not there is refused", honesty.unknown_model),
    Check("mistakes", "a client's mistake is called one", honesty.mistakes),
    Check("adapters", "an adapter changes what the base model says", adapters.difference, 600),
    Check("images", "a picture arrives, or is refused as a mistake", images.picture, 600),
    Check("sounds", "a sound arrives, or is refused as a mistake", sounds.sound, 600),
    Check("model-by-name", "a model is told of under its own path", honesty.model_by_name),
    Check("no-vectors", "a model of text refuses to give vectors", honesty.no_vectors),
    Check("key", "a wrong or absent key is refused on every path", access.keys),
    Check("context", "the promised context is really there", context.needle, 900),
    Check("too-long", "a prompt that is too long is refused, not cut", context.too_long, 900),
    Check("parallel", "requests at once all finish", load.at_once, 600),
    Check("reasoning", "it answers a small reasoning set", reasoning.score, 1800),
)

_OF_VECTORS = (
    Check("vectors", "a batch gets vectors of the right length, in order", vectors.vectors),
    Check("similarity", "texts that say the same are nearer than others", vectors.similarity),
    Check("empty-input", "no text and an empty one are a client's mistake", vectors.empty_input),
    Check("too-long", "a text that is too long is refused, not cut", vectors.too_long, 900),
    Check("parallel", "requests at once all finish", vectors.at_once, 600),
)
_OF_BOTH = frozenset({"identity", "key", "model-by-name"})


def checks_of(task: Task) -> tuple[Check[VerificationSubject], ...]:
    """Return the checks of an endpoint that serves for `task`; of one for vectors, those that want text are skipped."""
    if task == "generate":
        return CHECKS
    own = {check.name: check for check in _OF_VECTORS}
    usual = [
        check if check.name in _OF_BOTH else own.pop(check.name, replace(check, look=vectors.no_text))
        for check in CHECKS
    ]
    return (usual[0], *own.values(), *usual[1:])


def names_of(task: Task | None = None) -> list[str]:
    """Return the names of the checks of an endpoint that serves for `task`; of every one that there is where it is None."""
    if task is not None:
        return [check.name for check in checks_of(task)]
    return list(dict.fromkeys(check.name for check in (*CHECKS, *_OF_VECTORS)))


async def verify(
    subject: VerificationSubject, *, only: tuple[str, ...] = (), on_result: OnResult | None = None
) -> Report:
    """
    Return the report of all checks, or of those named in `only`; `on_result` hears of each as it ends.

    Raises `HomeportError` for a name in `only` that is no check.
    """
    checks = checks_of(subject.model.task)
    refuse_unknown(only, names_of(subject.model.task))
    begun = RunTimer.now()
    return begun.report(subject, await checked(subject, picked(checks, only), on_result=on_result))


async def checked(
    subject: VerificationSubject,
    checks: Iterable[Check[VerificationSubject]],
    *,
    on_result: OnResult | None = None,
) -> tuple[Result, ...]:
    """
    Yield the results of `checks`, one after the other: an engine that is busy with one would answer the next
    late.

    Once the endpoint is gone, the rest is skipped.
    """
    results: list[Result] = []
    unreachable = ""
    for check in checks:
        result = check.result(skipped(unreachable)) if unreachable else await check.looked(subject)
        if result.outcome is Outcome.FAILED and not unreachable and not await _lives(subject):
            unreachable = f"not checked: nothing answers at {subject.endpoint.base_url} any more"
        results.append(result)
        if on_result is not None:
            on_result(result)
    return tuple(results)


async def _lives(subject: VerificationSubject) -> bool:
    """Return True if the endpoint still answers anything at all; asked after a failure, so that the rest need not wait."""
    try:
        async with subject.endpoint.client(timeout_s=10) as client:
            await client.get("/v1/models")
    except HomeportError:
        return False
    return True
