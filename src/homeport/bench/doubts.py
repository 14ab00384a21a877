"""What makes a measurement no result: a server that counts wrongly, a client that was too slow, a load that did not come."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.bench.figures import Percentiles
from homeport.bench.timed_request import TimedRequest

BUSIEST = 0.8
"""Of one core: a client that is busier than this waits for itself."""
LATEST = 0.05
"""A client whose own delay, at its 90th percentile, is a larger share of the median that it measures, measures itself."""
MOST_LATE = 0.01
MOST_FAILED = 0.05
"""Shares of requests that may be sent late, or fail."""
_TICK_S = 0.005
"""A delay that is none: what timers and schedulers take on a machine with other work."""
_STRANGE = 3
"""How many answers are counted wrongly before it is no accident of one."""


def of_client(
    cpu_share: float, delays: tuple[float, float], ttft: Percentiles | None
) -> tuple[list[str], list[str]]:
    """Return why the client was the bottleneck, if it was, and what is to be known; `delays` are its 90th and 99th percentile."""
    usual, rare = delays
    wrong, notes = [], []
    if cpu_share > BUSIEST:
        wrong.append(
            f"the client was the bottleneck: it took {cpu_share:.0%} of a core, of which it can use one"
        )
    median = ttft.p50 if ttft else 0.0
    told = f"its clock was late itself by {1000 * usual:.1f} ms at p90 and {1000 * rare:.1f} ms at p99"
    if usual > max(_TICK_S, LATEST * median):
        wrong.append(
            f"the client was the bottleneck: {told}, and it measures a median TTFT of {1000 * median:.1f} ms;"
            " run it on a quieter machine, or with less load"
        )
    elif rare > max(_TICK_S, LATEST * median):
        notes.append(
            f"the client was slow at times: {told}; medians hold, the highest percentiles are partly its own"
        )
    return wrong, notes


def of_requests(answered: int, sent: int, late: int, unsent: int) -> list[str]:
    """Return why the load was not what was meant, if it was not."""
    found = []
    if not answered:
        return ["no request was answered"]
    if sent - answered > MOST_FAILED * sent:
        found.append(
            f"{sent - answered} of {sent} requests failed: those that were answered had less beside them"
        )
    if late + unsent > MOST_LATE * (sent + unsent):
        found.append(
            f"{late} of {sent + unsent} requests were sent late and {unsent} never: the load was less than meant"
        )
    return found


def of_tokens(
    answered: Sequence[TimedRequest], *, ignores_eos: bool, exact: bool
) -> tuple[list[str], list[str]]:
    """Return why the server's count of tokens is wrong, if it is, and what is to be known of it."""
    counted = [one for one in answered if (one.usage or {}).get("completion_tokens")]
    wrong, notes = [], []
    if len(counted) < len(answered):
        notes.append(
            f"the server did not count the tokens of {len(answered) - len(counted)} of {len(answered)} answers: there,"
            " a chunk is taken for a token"
        )
    cut = [one for one in counted if one.finish == "length"]
    told = [one for one in cut if one.output_tokens != one.output]
    over = [one for one in counted if one.output_tokens > one.output]
    if len(told) >= min(_STRANGE, len(counted)) and told:
        wrong.append(
            f"usage is wrong: {len(told)} answers ended at their limit of tokens, and the server counts another number"
            f" (such as {told[0].output_tokens} of {told[0].output})"
        )
    elif over:
        wrong.append(f"usage is wrong: {len(over)} answers have more tokens than were asked for")
    more = [one for one in counted if len(one.chunks) > one.output_tokens]
    if more and not told:
        wrong.append(
            f"usage is wrong: {len(more)} answers came in more chunks with text than the server counts tokens"
            f" (such as {len(more[0].chunks)} and {more[0].output_tokens})"
        )
    notes += _of_chunks(counted)
    if ignores_eos and (short := [one for one in counted if one.finish not in {"length", ""}]):
        notes.append(
            f"{len(short)} of {len(answered)} answers ended before their limit, although they were told not to"
        )
    inexact = [one for one in answered if one.input_tokens is not None and one.input_tokens != one.input]
    if exact and len(inexact) > 0.02 * len(answered):
        wrong.append(
            f"{len(inexact)} of {len(answered)} prompts have another number of tokens than they were made to have"
            f" (such as {inexact[0].input_tokens} instead of {inexact[0].input})"
        )
    return wrong, notes


def _of_chunks(counted: Sequence[TimedRequest]) -> list[str]:
    tokens, chunks = sum(one.output_tokens for one in counted), sum(len(one.chunks) for one in counted)
    if not chunks or tokens <= 1.1 * chunks:
        return []
    each = f"a chunk has {tokens / chunks:.1f} tokens on average"
    return [f"{each}: gaps between chunks (ITL) are not the time of a token; TPOT is"]
