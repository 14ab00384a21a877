"""What a checkpoint says of itself: which files its index names, and whether a server can read it without more."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from homeport.errors import WeightsError
from homeport.names import shown
from homeport.weights import sentence_modules
from homeport.weights.manifest import Format

INDEX = "model.safetensors.index.json"
MOST_BYTES = 1 << 25
"""Of an index; that of a model with a hundred thousand tensors has a third of it."""
_TOKENIZER = re.compile(r"tokenizer\.json|tekken\.json|vocab\.(json|txt)|[^/]+\.(model|tiktoken)")
"""What vLLM and transformers read one from; `tokenizer_config.json` alone holds none."""


def whole(
    chosen: Iterable[str], wanted: Format, read: Callable[[str], bytes | None], *, where: str
) -> list[str]:
    """
    Return those of the `chosen` files that a server reads: see `indexed` and `sentence_modules.complete`.

    Raises what these raise, and `WeightsError` for a model without a tokenizer.
    """
    names = list(chosen)
    if wanted != "safetensors":
        return names
    names = sentence_modules.complete(indexed(names, read, where=where), read, where=where)
    if "config.json" in names and not any(_is_tokenizer(name, names) for name in names):
        raise WeightsError(
            f"{where} has no tokenizer: tokenizer.json, tokenizer.model or tekken.json was expected beside its weights",
            hint="copy it from the model that these weights were made of: a server cannot read a word without it",
        )
    return names


def indexed(chosen: Iterable[str], read: Callable[[str], bytes | None], *, where: str) -> list[str]:
    """
    Return those of the `chosen` files that the checkpoint's own index names, and what stands beside them.

    `read` gives the content of one of them; None where nobody may read it yet. Raises `WeightsError` for a file that
    the index names and that is not there.
    """
    names = list(chosen)
    text = read(INDEX) if INDEX in names else None
    return names if text is None else _indexed(names, files_of(text, where).values(), where)


def files_of(text: bytes, where: str) -> Mapping[str, str]:
    """Return the file of every tensor, as an index names it. Raises `WeightsError` for what is no index."""
    try:
        table = json.loads(text)["weight_map"]
        named = {str(tensor): str(file) for tensor, file in table.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"the {INDEX} of {where} is none: it has no weight_map", hint="fetch the model's files again"
        ) from error
    if not named:
        raise WeightsError(f"the {INDEX} of {where} names no tensor", hint="fetch the model's files again")
    return named


def is_dangling(path: Path) -> bool:
    """Return True for a link that leads nowhere, as those of a hub's cache whose blobs are gone."""
    return path.is_symlink() and not path.exists()


def ensure_leads_somewhere(path: Path) -> None:
    """Raise `WeightsError` for a link that leads nowhere."""
    if is_dangling(path):
        raise WeightsError(
            f"{path} is a link that leads nowhere: there is no {path.readlink()}",
            hint="put the file itself there; in a hub's cache, fetch the model again",
        )


def _indexed(names: list[str], named: Iterable[str], where: str) -> list[str]:
    shards = set(named)
    missing = sorted(shards.difference(names))
    if missing:
        unindexed = sorted(name for name in names if _is_weights(name) and name not in shards)
        raise WeightsError(
            f"{where} lacks {shown(missing[0])}, which its {INDEX} names"
            + (f" with {len(missing) - 1} more that are not there" if len(missing) > 1 else ""),
            hint="fetch the model's files again"
            + (
                f"; or, if {unindexed[0]} belongs to another split of the same weights, put the index of that split there"
                if unindexed
                else ""
            ),
        )
    return [name for name in names if name in shards or not _is_weights(name)]


def _is_tokenizer(name: str, names: Iterable[str]) -> bool:
    """Return True for a file that a tokenizer is made of; words without their merges make none."""
    return _TOKENIZER.fullmatch(name) is not None and (name != "vocab.json" or "merges.txt" in names)


def _is_weights(name: str) -> bool:
    return PurePosixPath(name).suffix == ".safetensors" and not sentence_modules.is_weights(name)
