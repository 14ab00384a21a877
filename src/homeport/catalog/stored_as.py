"""
How a checkpoint's weights are quantized by its own config.json, and what vLLM 0.32 does not load.

From `QUANTIZATION_METHODS` of its model_executor/layers/quantization: any other name ends the server while it starts. What
needed a package beside it (bitsandbytes, GGUF in safetensors' place, AQLM, HQQ …) is no longer among them.
"""

from __future__ import annotations

from homeport.catalog.untrusted import Table
from homeport.errors import WeightsError

LOADED = frozenset(
    {
        *(
            "awq",
            "auto_awq",
            "awq_marlin",
            "gptq",
            "auto_gptq",
            "gptq_marlin",
            "moe_wna16",
            "inc",
            "auto-round",
        ),
        *("fp8", "mxfp8", "mxfp4", "gpt_oss_mxfp4", "deepseek_v4_fp8", "experts_int8", "humming", "online"),
        *(
            "modelopt",
            "modelopt_fp4",
            "modelopt_mxfp8",
            "modelopt_mixed",
            "compressed-tensors",
            "quark",
            "torchao",
        ),
        *(
            "fp8_per_tensor",
            "fp8_per_block",
            "fp8_per_channel",
            "int8_per_channel_weight_only",
            "nvfp4_per_token",
        ),
        *("fbgemm_fp8", "fp_quant"),  # With --allow-deprecated-quantization alone.
    }
)
_INSTEAD = (
    'take the weights that it was made of, with engine.quantization = "fp8" where they are too large; or the same model as AWQ, GPTQ or '
    "compressed-tensors; or a GGUF of it, with an engine that loads one (engine.kind)"
)


def ensure_loaded(config: Table) -> None:
    """Raise `WeightsError` for weights that are quantized in a way that no engine here loads."""
    own = config.part("quantization")
    if own is not None and own.number("group_size"):
        raise WeightsError(
            f"{config.where} tells of weights quantized for MLX, which runs on Apple's machines alone",
            hint=_INSTEAD,
        )
    for table in filter(None, (config, config.part("text_config"))):
        scheme = table.part("quantization_config") or table.part("compression_config")
        method = (
            scheme.text("quant_method").lower().replace("compressed_tensors", "compressed-tensors")
            if scheme
            else ""
        )
        if method and method not in LOADED:
            raise WeightsError(
                f"{config.where} tells of weights quantized by {method[:40]!r} (quant_method), which vLLM 0.32 does not load",
                hint=_INSTEAD,
            )
