"""
Which of llama.cpp's parameters `engine.extra_args` may set: numbers that tell how fast and how it samples.

They are named one by one, and not what is forbidden: of the 250 parameters of xllamacpp 0.3 some 60 open files,
addresses, tools or keys, a newer one has more, and a list of those would have to know them before they are there.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from homeport.errors import SpecError

_MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class Range:
    """What a parameter may be."""

    kind: type[bool | int | float]
    least: float = 0
    most: float = 1


_SWITCH = Range(bool)
_THREADS = Range(int, -1, 1024)
_FACTOR = Range(float, -1, 1e9)
FIELDS: Mapping[str, Range] = {
    **dict.fromkeys(("n_batch", "n_ubatch"), Range(int, 1, 1 << 16)),
    **dict.fromkeys(("cpuparams.n_threads", "cpuparams_batch.n_threads", "n_threads_http"), _THREADS),
    **dict.fromkeys(("cpuparams.poll", "cpuparams_batch.poll"), Range(int, 0, 100)),
    **dict.fromkeys(("cpuparams.strict_cpu", "cpuparams_batch.strict_cpu"), _SWITCH),
    **dict.fromkeys(("n_gpu_layers", "main_gpu"), Range(int, -1, 4096)),
    **dict.fromkeys(("no_kv_offload", "no_op_offload", "no_extra_bufts", "no_host", "swa_full"), _SWITCH),
    **dict.fromkeys(("cache_prompt", "cache_idle_slots", "cont_batching", "check_tensors"), _SWITCH),
    **dict.fromkeys(("no_perf", "log_json", "special", "prefill_assistant"), _SWITCH),
    **dict.fromkeys(("n_cache_reuse", "n_keep", "n_predict"), Range(int, -1, _MOST)),
    "cache_ram_mib": Range(int, 0, 1024),
    "n_ctx_checkpoints": Range(int, 0, 1024),
    "slot_prompt_similarity": Range(float, 0, 1),
    "enable_reasoning": Range(int, -1, 1),
    "verbosity": Range(int, 0, 5),
    "sse_ping_interval": Range(int, -1, 3600),
    **dict.fromkeys(("timeout_read", "timeout_write"), Range(int, 1, 86_400)),
    **dict.fromkeys(("rope_freq_base", "rope_freq_scale", "yarn_ext_factor", "yarn_attn_factor"), _FACTOR),
    **dict.fromkeys(("yarn_beta_fast", "yarn_beta_slow"), _FACTOR),
    "yarn_orig_ctx": Range(int, 0, 1 << 24),
    **dict.fromkeys(("sampling.temp", "sampling.dynatemp_range", "sampling.dynatemp_exponent"), _FACTOR),
    **dict.fromkeys(("sampling.top_p", "sampling.min_p", "sampling.typ_p"), Range(float, 0, 1)),
    "sampling.top_k": Range(int, -1, _MOST),
    **dict.fromkeys(("sampling.xtc_probability", "sampling.xtc_threshold"), Range(float, 0, 1)),
    **dict.fromkeys(
        ("sampling.penalty_repeat", "sampling.penalty_freq", "sampling.penalty_present"), Range(float, -2, 10)
    ),
    # Each sampler keeps so many tokens: a large number takes gigabytes, and minutes for every token.
    **dict.fromkeys(("sampling.penalty_last_n", "sampling.dry_penalty_last_n"), Range(int, 0, 1 << 14)),
    **dict.fromkeys(("sampling.dry_multiplier", "sampling.dry_base"), _FACTOR),
    "sampling.dry_allowed_length": Range(int, 0, _MOST),
    "sampling.mirostat": Range(int, 0, 2),
    **dict.fromkeys(("sampling.mirostat_tau", "sampling.mirostat_eta"), _FACTOR),
    "sampling.min_keep": Range(int, 0, _MOST),
    "sampling.seed": Range(int, 0, (1 << 32) - 1),
    "sampling.ignore_eos": _SWITCH,
}
"""What may be set, by its path from the parameters of a server."""
_PAGE = "docs/extra-args.md"


def parsed(given: str) -> tuple[str, bool | int | float]:
    """Return the parameter that `field=value` sets, and to what. Raises `SpecError` for any other than a listed one."""
    name, equals, text = given.partition("=")
    name = name.strip()
    if not equals:
        raise _wrong(f"llamacpp wants field=value (as in n_batch=256), not {given!r:.60}")
    if name not in FIELDS:
        close = difflib.get_close_matches(name, FIELDS, n=3, cutoff=0.6)
        suggestion = f"did you mean {' or '.join(close)}? " if close else ""
        raise _wrong(
            f"{name!r:.60} is not among the parameters that it may set, which open no file, no address and no tool",
            hint=f"{suggestion}{_PAGE} lists them, such as {', '.join(list(FIELDS)[:3])}, sampling.min_p",
        )
    allowed = FIELDS[name]
    try:
        value = ast.literal_eval({"true": "True", "false": "False"}.get(text.strip(), text.strip()))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if type(value) is int and allowed.kind is float:
        value = float(value)
    if type(value) is not allowed.kind or not allowed.least <= value <= allowed.most:
        bounds = (
            "True or False"
            if allowed.kind is bool
            else f"a number from {allowed.least:g} to {allowed.most:g}"
        )
        raise _wrong(f"{name} is {bounds}, not {text!r:.60}")
    return name, value


def _wrong(why: str, *, hint: str = f"remove it, or see {_PAGE}") -> SpecError:
    return SpecError(f"engine.extra_args cannot be honoured by llamacpp: {why}", hint=hint)
