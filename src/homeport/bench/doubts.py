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
FEWEST = 10
"""Requests of a load that can be compared with another."""
_TICK_S = 0.005
"""A delay that is none: what timers and schedulers take on a machine with other work."""
_STRANGE = 3
"""How many answers are counted wrongly before it is no accident of one."""


def of_few(sent: int, load: str) -> str:
    """Return why the search for the knee cannot compare so few requests of a load; '' where it can. What they measured stays a result."""
    if sent >= FEWEST:
        return ""
    return f"{sent} requests of {load} are too few to be compared, {FEWEST} are the least: give it more --seconds"


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
    lateness = f"its clock was late itself by {1000 * usual:.1f} ms at p90 and {1000 * rare:.1f} ms at p99"
    if usual > max(_TICK_S, LATEST * median):
        wrong.append(
            f"the client was the bottleneck: {lateness}, and it measures a median TTFT of {1000 * median:.1f} ms;"
            " run it on a quieter machine, or with less load"
        )
    elif rare > max(_TICK_S, LATEST * median):
        notes.append(
            f"the client was slow at times: {lateness}; medians hold, the highest percentiles are partly its own"
        )
    return wrong, notes


def of_requests(answered: int, sent: int, late: int, unsent: int) -> list[str]:
    """Return why the load was not what was meant, if it was not."""
    wrong = []
    if not answered:
        return ["no request was answered"]
    if sent - answered > MOST_FAILED * sent:
        wrong.append(
            f"{sent - answered} of {sent} requests failed: those that were answered had less beside them"
        )
    if late + unsent > MOST_LATE * (sent + unsent):
        wrong.append(
            f"{late} of {sent + unsent} requests were sent late and {unsent} never: the load was less than meant"
        )
    return wrong


def of_tokens(
    answered: Sequence[TimedRequest], *, ignores_eos: bool, exact: bool
) -> tuple[list[str], list[str]]:
    """Return why the server's count of tokens is wrong, if it is, and what is to be known of it."""
    counted = [request for request in answered if (request.usage or {}).get("completion_tokens")]
    wrong, notes = [], []
    if len(counted) < len(answered):
        notes.append(
            f"the server did not count the tokens of {len(answered) - len(counted)} of {len(answered)} answers: there,"
            " a chunk is taken for a token"
        )
    cut = [request for request in counted if request.finish == "length"]
    miscounted = [request for request in cut if request.output_tokens != request.output]
    over = [request for request in counted if request.output_tokens > request.output]
    if len(miscounted) >= min(_STRANGE, len(counted)) and miscounted:
        wrong.append(
            _of_full_context(miscounted)
            or f"usage is wrong: {len(miscounted)} answers ended at their limit of tokens, and the server counts another number"
            f" (such as {miscounted[0].output_tokens} of {miscounted[0].output})"
        )
    elif over:
        wrong.append(f"usage is wrong: {len(over)} answers have more tokens than were asked for")
    more = [request for request in counted if len(request.chunks) > request.output_tokens]
    if more and not miscounted:
        wrong.append(
            f"usage is wrong: {len(more)} answers came in more chunks with text than the server counts tokens"
            f" (such as {len(more[0].chunks)} and {more[0].output_tokens})"
        )
    notes += _of_chunks(counted)
    if ignores_eos and (short := [request for request in counted if request.finish not in {"length", ""}]):
        notes.append(
            f"{len(short)} of {len(answered)} answers ended before their limit, although they were told not to"
        )
    inexact = [
        request
        for request in answered
        if request.input_tokens is not None and request.input_tokens != request.input
    ]
    if exact and len(inexact) > 0.02 * len(answered):
        wrong.append(
            f"{len(inexact)} of {len(answered)} prompts have another number of tokens than they were made to have"
            f" (such as {inexact[0].input_tokens} instead of {inexact[0].input})"
        )
    return wrong, notes


def _of_full_context(cut: Sequence[TimedRequest]) -> str:
    """Return that answers were cut where a context ends, if all ended at one sum of prompt and answer, none in more chunks than tokens; else ''."""
    sums = {(request.input_tokens or 0) + request.output_tokens for request in cut}
    short = all(
        request.input_tokens is not None and len(request.chunks) <= request.output_tokens < request.output
        for request in cut
    )
    if len(sums) != 1 or not short:
        return ""
    return (
        f"the context was full: {len(cut)} answers ended at {sums.pop()} tokens, those of the prompt included, such as"
        f" {cut[0].output_tokens} of {cut[0].output}; ask for less --input or --output, or give the endpoint a longer context"
    )


def _of_chunks(counted: Sequence[TimedRequest]) -> list[str]:
    tokens, chunks = (
        sum(request.output_tokens for request in counted),
        sum(len(request.chunks) for request in counted),
    )
    if not chunks or tokens <= 1.1 * chunks:
        return []
    each = f"a chunk has {tokens / chunks:.1f} tokens on average"
    return [f"{each}: gaps between chunks (ITL) are not the time of a token; TPOT is"]
