"""Which checks there are, and running them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from homeport.errors import HomeportError
from homeport.verify import access, answers, context, identity, load, reasoning, structure
from homeport.verify.report import Finding, Outcome, Report, Result, Subject, failed, skipped


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at, on its own."""

    name: str
    title: str
    look: Callable[[Subject], Awaitable[Finding]]
    patience_s: float = 180
    """After so long it has failed: an answer that late is none."""


CHECKS = (
    Check("identity", "the served model is the pinned one", identity.served_model),
    Check("chat", "a chat gets an answer", answers.chat),
    Check("stream", "a stream is well-formed to its end, with usage", answers.stream),
    Check("determinism", "the same prompt at temperature 0 gets the same answer", answers.determinism),
    Check("stop", "a stop string ends the answer before itself", answers.stop),
    Check("max-tokens", "max_tokens is honoured, and finish_reason says so", answers.max_tokens),
    Check("json-schema", "an answer obeys a JSON schema", structure.json_schema),
    Check("tools", "a tool call comes back as tool_calls", structure.tools),
    Check("tools-stream", "a tool call comes back as tool_calls, streamed", structure.tools_streamed),
    Check("key", "a wrong or absent key is refused on every path", access.keys),
    Check("context", "the promised context is really there", context.needle, 900),
    Check("too-long", "a prompt that is too long is refused, not cut", context.too_long, 900),
    Check("parallel", "requests at once all finish", load.at_once, 600),
    Check("reasoning", "it answers a small reasoning set", reasoning.score, 1800),
)


async def verify(
    subject: Subject, *, only: tuple[str, ...] = (), on_result: Callable[[Result], None] | None = None
) -> Report:
    """
    The report of all checks, or of those named in `only`; `on_result` hears of each as it ends.

    A check that breaks is a check that failed; once the endpoint is gone, the rest is skipped. Raises
    `HomeportError` for a name in `only` that is no check.
    """
    known = [check.name for check in CHECKS]
    for name in only:
        if name not in known:
            raise HomeportError(f"there is no check called {name}", hint=f"there are {', '.join(known)}")
    begun, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    results: list[Result] = []
    gone = ""
    for check in CHECKS:
        if only and check.name not in only:
            continue
        at = time.monotonic()
        finding = skipped(gone) if gone else await _looked(check, subject)
        if finding.outcome is Outcome.FAILED and not gone and not await _lives(subject):
            gone = f"not checked: nothing answers at {subject.endpoint.base_url} any more"
        result = Result(
            name=check.name,
            title=check.title,
            outcome=finding.outcome,
            detail=finding.detail,
            seconds=time.monotonic() - at,
            evidence=finding.evidence,
        )
        results.append(result)
        if on_result is not None:
            on_result(result)
    return Report(
        endpoint=subject.endpoint.name,
        model=subject.endpoint.model,
        engine=subject.engine,
        weights_digest=subject.weights_digest,
        started_at=started,
        seconds=time.monotonic() - begun,
        results=tuple(results),
    )


async def _looked(check: Check, subject: Subject) -> Finding:
    try:
        return await asyncio.wait_for(check.look(subject), check.patience_s)
    except TimeoutError:
        return failed(f"no answer within {check.patience_s:.0f} s")
    except HomeportError as error:
        return failed(str(error))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        # The answer was JSON of another shape than OpenAI's.
        return failed(f"the answer is not what OpenAI's API describes: {type(error).__name__} {error}")


async def _lives(subject: Subject) -> bool:
    """Whether the endpoint still answers anything at all; asked after a failure, so that the rest need not wait."""
    try:
        async with subject.endpoint.client(timeout_s=10) as client:
            await client.get("/v1/models")
    except HomeportError:
        return False
    return True
