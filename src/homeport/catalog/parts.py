"""The bytes of a model's tensors, by what they are: engines put them in different places."""

from __future__ import annotations

from dataclasses import dataclass, replace

BITS = {"fp8": 8.0, "int8": 8.0, "w4a16": 4.5, "nvfp4": 4.5, "Q4_0": 4.5, "Q4_K_M": 4.85, "Q8_0": 8.5}
"""
Bits of one weight with its share of the scales. Four-bit formats have a scale of 8 or 16 bits for every 16 or 32
weights; Q4_K_M is a mixture, whose mean llama.cpp states.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Bytes as stored. They add up to the weights without the headers of their files."""

    embedding: int = 0
    """Token embeddings; the output head, too, where the two are tied."""
    head: int = 0
    """The output head, where it has weights of its own."""
    per_layer_embedding: int = 0
    """The tables of Gemma 4 E2B and E4B that hold an embedding per token and layer."""
    matrices: int = 0
    """Matrices of attention, feed-forward layers, experts and routers: what an engine quantizes when told to."""
    rest: int = 0
    """Norms and scalars."""
    vision: int = 0
    """The encoder of images and its projector."""
    audio: int = 0
    """The encoder of sound and its projector."""

    @property
    def total(self) -> int:
        """Return the bytes of all parts together."""
        text = self.embedding + self.head + self.per_layer_embedding + self.matrices + self.rest
        return text + self.vision + self.audio

    def quantized(self, kind: str) -> Parts | None:
        """Return these parts, if they are bfloat16, with the matrices as `kind`; None for a kind that is not in `BITS`."""
        bits = BITS.get(kind)
        return replace(self, matrices=int(self.matrices * bits / 16)) if bits else None
