"""Under which names an engine tells what it does: its series for Prometheus, in each of its versions."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricNames:
    """
    The series of one engine, each with the names that it had, the newest first; () for what the engine does not tell.

    What is not told is not known, which is something else than 0. A name may have labels of its own, as in
    `tokens_sum{kind="input"}`.
    """

    running: tuple[str, ...] = ()
    """Requests that are being worked on."""
    waiting: tuple[str, ...] = ()
    """Requests that wait for their turn."""
    kv_cache: tuple[str, ...] = ()
    """The share of the KV cache that is taken, from 0 to 1."""
    requests: tuple[str, ...] = ()
    """Requests that were answered, since the engine started."""
    prompt_tokens: tuple[str, ...] = ()
    """Tokens of prompts, since then."""
    output_tokens: tuple[str, ...] = ()
    """Tokens of answers, since then."""
    progress: tuple[str, ...] = ()
    """What goes on while an answer comes, of an engine that counts its tokens only at its end; () for one that counts them as they come."""
    prefill_seconds: tuple[str, ...] = ()
    """Seconds of work on prompts, since then."""
    decode_seconds: tuple[str, ...] = ()
    """Seconds of work on answers, since then."""
    prefix_hits: tuple[str, ...] = ()
    """Tokens of prompts that the prefix cache had, since then."""
    prefix_queries: tuple[str, ...] = ()
    """Tokens of prompts that it was asked for, since then."""
    preemptions: tuple[str, ...] = ()
    """Requests that lost their place in the KV cache and began again, since then."""
    ttft: tuple[str, ...] = ()
    """A histogram of the time to the first token, in seconds: the name without `_bucket`, `_sum` and `_count`."""
    ttft_bounds: tuple[float, ...] = ()
    """The upper bounds of that histogram's buckets, but the last, which has none: those of the engine's pinned version."""
    former: tuple[str, ...] = ()
    """Those of the names above that today's versions of the engine have no more, by whatever name."""

    def series(self) -> frozenset[str]:
        """Return every name by which any of it may come, those of a histogram's parts included."""
        plain = {
            name.partition("{")[0]
            for field in fields(self)
            for name in getattr(self, field.name)
            if isinstance(name, str)
        }
        return frozenset(plain | {f"{name}{part}" for name in self.ttft for part in PARTS})


def selected(name: str, selector: str) -> str:
    """Return a series of that name with the labels of `selector`, such as `{namespace="home"}`, and those of its own."""
    plain, _, own = name.partition("{")
    return f"{plain}{{{own.removesuffix('}')},{selector[1:]}" if own else f"{plain}{selector}"


PARTS = ("_bucket", "_sum", "_count")
"""What Prometheus appends to the name of a histogram."""
