"""
Runs inside vLLM's own environment and prints, as JSON, what vLLM says of its KV cache. `test_vllm_memory.py` asks it.

    boot MODEL…      starts the real engine for each {"model", "context", "cache"} and gives what it logs
    manager CASE…    gives what vLLM's KV-cache manager makes of {"layers", "context", "cache", "block", "in_flight"}
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

os.environ |= {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "GOMP_SPINCOUNT": "1000",
}

Case = Mapping[str, Any]  # Any: JSON


def boot(case: Case) -> dict[str, Any]:
    """Start the engine with `case`; what it logs goes to standard output. Gives what it keeps of it."""
    from vllm import LLM

    engine = LLM(
        model=case["model"],
        max_model_len=case["context"],
        max_num_seqs=4,
        max_num_batched_tokens=2048,
        kv_cache_memory_bytes=case["cache"],
        enforce_eager=True,
        dtype="bfloat16",
        load_format=case["load_format"],
        skip_tokenizer_init=case["load_format"] == "dummy",
    )
    kept = engine.llm_engine.vllm_config.cache_config
    return {"tokens": kept.kv_cache_size_tokens, "concurrency": kept.kv_cache_max_concurrency}


def manager(cases: list[Case]) -> list[dict[str, Any]]:
    """What vLLM's own functions make of the layers of each case, on a GPU's terms."""
    import torch
    from vllm.engine.arg_utils import EngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.core import kv_cache_utils
    from vllm.v1.kv_cache_interface import FullAttentionSpec, SlidingWindowSpec

    arguments = EngineArgs(model=cases[0]["model"], max_model_len=2048, enforce_eager=True, dtype="bfloat16")
    config = arguments.create_engine_config(UsageContext.OPENAI_API_SERVER)
    config.cache_config.kv_cache_layout = "LBNHC"
    config.scheduler_config.async_scheduling = False
    found = []
    for case in cases:
        config.model_config.max_model_len = case["context"]
        config.scheduler_config.max_num_batched_tokens = case["in_flight"]
        config.cache_config.block_size = case["block"]
        specs = {}
        for at, layer in enumerate(case["layers"]):
            fields = {
                "block_size": case["block"],
                "num_kv_heads": layer["kv_heads"],
                "head_size": layer["head_dim"],
                "dtype": torch.float8_e4m3fn if case["element_bytes"] == 1 else torch.bfloat16,
            }
            window = layer["window"]
            specs[f"model.layers.{at}.self_attn.attn"] = (
                SlidingWindowSpec(sliding_window=window, dcp_sharded=False, **fields)
                if window
                else FullAttentionSpec(**fields)
            )
        made = kv_cache_utils.get_kv_cache_configs(config, [specs], [case["cache"]])[0]
        tokens, concurrency = kv_cache_utils.get_kv_cache_capacity(config, made)
        found.append({"tokens": tokens, "concurrency": concurrency})
    return found


def main() -> None:
    """Answer the cases on standard input."""
    cases = json.load(sys.stdin)
    answers = [boot(case) for case in cases] if sys.argv[1] == "boot" else manager(cases)
    print("\n" + json.dumps(answers))


if __name__ == "__main__":
    main()
