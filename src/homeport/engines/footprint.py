"""What an engine takes of memory: the words in which each engine's own arithmetic answers."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.catalog import Model, Published
from homeport.json_types import JsonObject
from homeport.spec import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where the weights and the KV cache are: one GPU, or the memory of a machine without one."""

    name: str
    memory: int
    """Bytes that the engine sees."""
    gpu: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What is to be sized."""

    model: Model
    weights: Published
    settings: Engine
    device: Device
    adapter_rank: int = 0
    """The rank that LoRA adapters have room in, where there are any; 0 where it is not known."""
    projector_bytes: int = 0
    """Of the encoder of images, where it is a file of its own; 0 without one, or where it is not known yet."""


@dataclass(frozen=True, slots=True)
class MemoryTerm:
    """One thing that takes memory."""

    what: str
    size: int
    """Bytes."""
    how: str
    """How the number came about, and where it is from."""

    def as_json(self) -> JsonObject:
        """Return the term as `--json` prints it."""
        return {"what": self.what, "bytes": self.size, "how": self.how}


@dataclass(frozen=True, slots=True, kw_only=True)
class KvCache:
    """
    How an engine keeps the keys and values of sequences of `context` tokens.

    It hands memory out in blocks; a sequence takes whole ones.
    """

    context: int
    block_bytes: int
    blocks_per_sequence: int
    spare_blocks: int = 0
    """Blocks that the engine keeps for itself."""
    how: str
    grows: bool = True
    """Whether requests at once take room; False of a model that sees a text at once, and keeps nothing."""

    @property
    def sequence_bytes(self) -> int:
        """Return the bytes that one sequence of `context` tokens takes."""
        return self.blocks_per_sequence * self.block_bytes

    def bytes_for(self, sequences: int) -> int:
        """Return the memory that holds so many whole sequences."""
        return (sequences * self.blocks_per_sequence + self.spare_blocks) * self.block_bytes

    def concurrency(self, memory: int) -> float:
        """
        Return how many sequences `memory` bytes hold, as the engine itself reports it: with fractions, spares
        included.
        """
        return max(0, memory // self.block_bytes) / self.blocks_per_sequence

    def sequences(self, memory: int) -> int:
        """Return how many whole sequences `memory` bytes hold at once."""
        return max(0, memory // self.block_bytes - self.spare_blocks) // self.blocks_per_sequence

    def tokens(self, memory: int) -> int:
        """Return how many tokens that is, as the engine itself reports it."""
        return int(self.concurrency(memory) * self.context)


def no_cache(hidden: int, context: int) -> KvCache:
    """Return what one request keeps of a model that sees a text at once: the vector that comes of it."""
    return KvCache(
        context=context,
        block_bytes=hidden * 4,
        blocks_per_sequence=1,
        how=f"no cache: a text is seen at once, and a vector of {hidden} × 4 bytes is kept",
        grows=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """The memory of a device, shared out."""

    usable: MemoryTerm
    """What the engine may take at all."""
    fixed: tuple[MemoryTerm, ...]
    """What it takes however many requests come."""
    weights: int
    """Bytes of the weights among that, as they are loaded."""
    cache: KvCache
    mapped: int = 0
    """Bytes among that which are mapped from a file, and no memory of its own."""
    growth: int = 0
    """Bytes that it may come to take while it serves, beside what it takes when it starts."""
    unknown: tuple[str, ...] = ()
    """What could not be counted, each as a sentence."""

    @property
    def fixed_bytes(self) -> int:
        """Return the bytes that are taken however many requests come."""
        return sum(term.size for term in self.fixed)

    @property
    def cache_bytes(self) -> int:
        """Return the bytes left for the KV cache; negative where not even the rest has room."""
        return self.usable.size - self.fixed_bytes

    @property
    def sequences(self) -> int:
        """Return how many whole sequences of `cache.context` tokens have room at once."""
        return self.cache.sequences(self.cache_bytes)

    @property
    def tokens(self) -> int:
        """Return how many tokens the whole cache holds, as the engine itself reports it."""
        return self.cache.tokens(self.cache_bytes)

    def needs(self, sequences: int) -> int:
        """Return the bytes for so many sequences at once, everything counted."""
        return self.fixed_bytes + self.cache.bytes_for(sequences)

    def own(self, sequences: int) -> int:
        """Return the bytes that are its own alone, mapped weights left out, at the most that was planned."""
        return self.needs(sequences) - self.mapped + self.growth


def memory_limit(planned: int) -> int:
    """Return the bytes beyond which an engine does what nobody planned: a quarter more, and at least 1 GiB."""
    return max(planned + planned // 4, planned + 2**30)


def gib(size: float) -> str:
    """Format bytes as `1.5 GiB` or `96 MiB`."""
    return f"{size / 2**30:.1f} GiB" if abs(size) >= 2**30 else f"{size / 2**20:.0f} MiB"
