"""Folders and files that tests read and never change."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
FETCHED = ROOT / ".cache" / "home"
"""The home whose weights `make test` fetched before the tests began."""

TAUGHT = TESTS / "models" / "gemma-4-taught.gguf"
"""A Gemma 4 of two million parameters: it loads in no time, and calls one tool. See models/README.md."""

ENCODER = ROOT / ".cache" / "models" / "encoder"
"""A real model of embeddings as Sentence Transformers keeps them, all-MiniLM-L6-v2, which scripts/encoder.sh fetched."""

TAUGHT_FOLDER = TESTS / "models" / "gemma-4-taught"
"""The same as a folder of safetensors."""

VLLM_PYTHON = Path(os.environ.get("HOMEPORT_REHEARSAL_VLLM") or ROOT / ".venv-vllm" / "bin" / "python")
"""The Python of the environment with real vLLM, which `make test-vllm` makes, unless another is named."""

VLLM_CACHE = ROOT / ".cache" / "vllm"
"""What vLLM found out about the classes of its models, by the digests of their files: else each start does so anew."""

HELD_OUT = TESTS / "models" / "held-out.jsonl"
"""Questions in words that the model of the agents' tests was never taught. See models/README.md."""

TOOLS_MODEL = TESTS / "models" / "gemma-4-tools.gguf"
"""A Gemma 4 of a million parameters that was taught a small language of tools by scripts/teach.sh."""

TOOLS_FOLDER = TESTS / "models" / "gemma-4-tools"
"""The same as a folder of safetensors."""

ADAPTER_FOLDER = TESTS / "models" / "gemma-4-tools-adapter"
"""A LoRA adapter for it, as PEFT wrote it; scripts/teach_adapter.sh taught it."""

ADAPTER_GGUF = TESTS / "models" / "gemma-4-tools-adapter.gguf"
"""The same as llama.cpp takes it."""
