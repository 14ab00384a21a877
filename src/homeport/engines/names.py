"""
The engines by name: here alone one is registered, and its folder beside this file has the same name.

This imports nothing, so that the file's parser and the command line can name them without loading them.
"""

from __future__ import annotations

NAMES = ("llamacpp", "vllm", "ollama")
"""In the order in which `kind = "auto"` looks for them on this machine; the first is what weights are fetched for."""
