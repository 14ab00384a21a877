"""
Which of vLLM's flags `engine.extra_args` may set: those that tell how fast it is, and how it samples and measures.

They are named one by one, as vLLM 0.32 spells them, and not what is forbidden. Its parser takes abbreviations,
underscores, `--flag=value`, `--flag.key value`, `--config FILE` and `-O`; of its 330 flags a third opens files,
addresses or code, and each version has more. What is not spelled out here cannot be said, in any spelling.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homeport.errors import SpecError
from homeport.json_types import Json, JsonObject

_PAGE = "docs/extra-args.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """What may stand behind a flag."""

    least: int = 1
    """How many values at least; a switch has none."""
    most: int = 1
    words: frozenset[str] | None = None
    """What a value may be; None for anything."""
    table: bool = False
    """Whether its value is a JSON object, which may also be written `--flag.key value`."""
    keys: frozenset[str] | None = None
    """What that object may set; None for anything."""


def _flags(text: str, flag: Flag) -> dict[str, Flag]:
    return {f"--{name}": flag for name in text.split()}


_SWITCHES = """
    async-scheduling cudagraph-metrics disable-cascade-attn disable-chunked-mm-input disable-custom-all-reduce
    disable-fastapi-docs disable-hybrid-kv-cache-manager disable-log-stats disable-uvicorn-access-log
    enable-chunked-prefill enable-dbo enable-expert-parallel enable-flashinfer-autotune enable-force-include-usage
    enable-logging-iteration-details enable-mfu-metrics enable-per-request-metrics enable-prefix-caching
    enable-prompt-tokens-details enable-request-id-headers enable-server-load-tracking enforce-eager
    exclude-tools-when-tool-choice-none fully-sharded-loras interleave-mm-strings kv-cache-metrics
    kv-sharing-fast-prefill language-model-only return-tokens-as-token-ids scheduler-reserve-full-isl
    skip-mm-profiling use-fp64-gumbel use-tqdm-on-load
"""
_VALUES = """
    attention-backend block-size chat-template-content-format cpu-offload-gb gpu-memory-utilization
    h11-max-header-count h11-max-incomplete-event-size kv-cache-memory-bytes linear-backend
    long-prefill-token-threshold logprobs-mode lora-dtype mamba-block-size mamba-cache-dtype mamba-cache-mode
    mamba-ssm-cache-dtype max-cpu-loras max-cudagraph-capture-size max-log-len max-logprobs max-num-batched-tokens
    max-num-queued-reqs max-num-queued-tokens max-num-scheduled-tokens mm-encoder-attn-backend mm-encoder-tp-mode
    mm-processor-cache-gb moe-backend num-gpu-blocks-override optimization-level performance-mode
    pipeline-parallel-size prefix-caching-hash-algo response-role safetensors-load-strategy
    safetensors-prefetch-num-threads scheduling-policy seed shutdown-timeout sse-keep-alive-interval
    stream-interval tensor-parallel-size uvicorn-log-level video-pruning-rate
"""
ALLOWED: Mapping[str, Flag] = {
    **_flags(_SWITCHES, Flag(least=0, most=0)),
    **_flags(_VALUES, Flag()),
    **_flags("cudagraph-capture-sizes kv-cache-dtype-skip-layers lora-target-modules", Flag(most=4096)),
    # The other modes and formats run code that the model brings, or a plugin.
    **_flags("tokenizer-mode", Flag(words=frozenset({"auto", "hf", "slow", "mistral"}))),
    **_flags("default-chat-template-kwargs override-generation-config", Flag(table=True)),
    # Of these some keys name modules to import, files to write or weights that nobody checked.
    **_flags("limit-mm-per-prompt", Flag(table=True, keys=frozenset({"image", "audio", "video"}))),
    **_flags(
        "structured-outputs-config",
        Flag(
            table=True,
            keys=frozenset(
                {"backend", "disable_any_whitespace", "disable_additional_properties", "enable_in_reasoning"}
            ),
        ),
    ),
    **_flags(
        "speculative-config",
        Flag(
            table=True,
            keys=frozenset({"method", "num_speculative_tokens", "prompt_lookup_max", "prompt_lookup_min"}),
        ),
    ),
    **_flags(
        "compilation-config",
        Flag(
            table=True,
            keys=frozenset(
                {"mode", "cudagraph_mode", "cudagraph_capture_sizes", "max_cudagraph_capture_size", "compile_sizes"}
            ),
        ),
    ),
}  # fmt: skip
"""What may be set, in full; a switch also with `--no-` before it."""
_KEYS = {
    "--host": "local.host",
    "--port": "local.port",
    "--api-key": "local.api_key",
    "--model": "model",
    "--served-model-name": "model",
    "--max-model-len": "engine.context",
    "--max-num-seqs": "engine.parallel",
    "--dtype": "engine.dtype",
    "--quantization": "engine.quantization",
    "--kv-cache-dtype": "engine.kv_dtype",
    "--tool-call-parser": "engine.tool_parser",
    "--reasoning-parser": "engine.reasoning_parser",
    "--lora-modules": "engine.lora",
}
_NUMBER = re.compile(r"-[0-9]+")
"""Not -0.5: vLLM takes what begins with a dash and has a dot for a flag, and the next word for its value."""


def check(extra_args: Sequence[str]) -> None:
    """Raise `SpecError` unless every word is a listed flag in full, or a value that belongs to one."""
    words = list(extra_args)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            raise SpecError(
                f"engine.extra_args: vllm wants flags, not {word!r:.60}",
                hint='such as ["--enable-prefix-caching"]; field=value is for llamacpp',
            )
        name, equals, value = word.partition("=")
        values = [value] if equals else []
        while not equals and words and (not words[0].startswith("-") or _NUMBER.fullmatch(words[0])):
            values.append(words.pop(0))
        _check(name, values)


def _check(name: str, values: list[str]) -> None:
    stem, *path = name.split(".")
    flag = stem.replace("_", "-")
    allowed = ALLOWED.get(flag)
    if allowed is None and flag.startswith("--no-"):
        allowed = ALLOWED.get(f"--{flag.removeprefix('--no-')}")
        allowed = allowed if allowed is not None and not allowed.most else None
    if allowed is None or (path and not allowed.table):
        raise _refused(name, flag)
    count = "no value" if not allowed.most else "one value" if allowed.most == 1 else "one value or more"
    if not allowed.least <= len(values) <= allowed.most:
        raise _wrong(f"{name} takes {count}, and {len(values)} are there")
    unknown = next(
        (value for value in values if allowed.words is not None and value not in allowed.words), None
    )
    if unknown is not None:
        raise _wrong(f"{name} may be {', '.join(sorted(allowed.words or ()))}, not {unknown!r:.60}")
    if allowed.table:
        _check_keys(name, [path[0].removesuffix("+")] if path else _keys(name, values[0]), allowed.keys)


def _check_keys(name: str, keys: list[str], allowed: frozenset[str] | None) -> None:
    other = next((key for key in keys if allowed is not None and key not in allowed), None)
    if other is not None:
        raise _wrong(f"{name} may set {', '.join(sorted(allowed or ()))}, not {other!r:.60}")


def _keys(name: str, text: str) -> list[str]:
    """Return every key of the object, repeated ones, too: which of them counts is up to the program that reads it."""
    tops: list[list[str]] = []

    def seen(pairs: list[tuple[str, Json]]) -> JsonObject:
        tops.append([key for key, _ in pairs])
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=seen)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _wrong(f"{name} wants a JSON object, not {text!r:.60}")
    return tops[-1]


def _refused(name: str, flag: str) -> SpecError:
    key = _KEYS.get(flag)
    if key is not None:
        return SpecError(
            f"engine.extra_args cannot set {name}: {key} does", hint="docs/homeport-toml.md explains it"
        )
    close = difflib.get_close_matches(flag, ALLOWED, n=3, cutoff=0.7)
    suggestion = f"did you mean {' or '.join(close)}? " if close else ""
    printable = ascii(name)[1:-1][:60]
    return SpecError(
        f"engine.extra_args cannot set {printable}: only flags of speed, sampling and metrics, written out in full",
        hint=f"{suggestion}{_PAGE} lists them; vllm's servers, plugins, files and remote code are not available here",
    )


def _wrong(why: str) -> SpecError:
    return SpecError(f"engine.extra_args: {why}", hint=f"see {_PAGE}")
