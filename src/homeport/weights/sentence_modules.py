"""
What lies beside an encoder of texts in the form of Sentence Transformers, and decides what its vectors are.

`modules.json` names the steps from tokens to a vector, in their order: the model, how its tokens are pooled, layers of
weights of their own behind that, and whether the vector gets length 1. vLLM 0.32 reads them (`_load_st_projector` of
its model_executor/models/adapters.py) and serves without the layers where their files are not there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from homeport.errors import WeightsError
from homeport.json_types import Json

LIST = "modules.json"
_WEIGHTS = re.compile(r"\d+_\w+/model\.safetensors", re.ASCII)
_SETTINGS = re.compile(r"modules\.json|sentence_[\w-]+_config\.json|\d+_\w+/config\.json", re.ASCII)
_MOST_BYTES = 1 << 20
_Read = Callable[[str], bytes | None]


def is_settings(name: str) -> bool:
    """Return True for a small file that says how vectors are made, by its name."""
    return _SETTINGS.fullmatch(name) is not None


def is_weights(name: str) -> bool:
    """Return True for the weights of a layer behind the pooling, by their name."""
    return _WEIGHTS.fullmatch(name) is not None


def complete(known: Iterable[str], read: _Read, *, where: str) -> list[str]:
    """
    Return the `known` files without weights of layers that no list of modules names.

    `read` gives the content of one of them; None where nobody may read it yet. Raises `WeightsError` for a layer
    whose weights are not there: a server would leave it out, and its vectors would be others.
    """
    names = list(known)
    text = read(LIST) if LIST in names else None
    layer_files = (
        {f"{folder}/model.safetensors" for folder in _layers(text, where)} if text is not None else set()
    )
    for missing in sorted(layer_files.difference(names)):
        raise WeightsError(
            f"{where} lacks {missing}, a layer behind the pooling which its {LIST} names: without it other vectors come",
            hint="fetch the model's files again; where there is a pytorch_model.bin alone, take a revision with safetensors",
        )
    if LIST in names and text is None:
        return names
    return [name for name in names if name in layer_files or not is_weights(name)]


def longest(folder: Path) -> int:
    """Return how many tokens a text may have by what its makers set, which vLLM holds to; 0 where they set nothing."""
    for path in sorted(folder.glob("sentence_*_config.json")):
        number = _table(_content(path)).get("max_seq_length")
        if isinstance(number, int) and not isinstance(number, bool) and number > 0:
            return number
    return 0


def dimensions(folder: Path) -> int:
    """Return how many numbers a vector has behind the last layer; 0 where there is none behind the pooling."""
    text = _content(folder / LIST)
    last_width = 0
    for layer in _layers(text, str(folder)) if text else ():
        width = _table(_content(folder / layer / "config.json")).get("out_features")
        last_width = (
            width if isinstance(width, int) and not isinstance(width, bool) and width > 0 else last_width
        )
    return last_width


def pools(folder: Path) -> bool:
    """Return True where tokens are made one vector, as a model of embeddings does it."""
    text = _content(folder / LIST)
    return bool(text) and bool(_of_kind(text, "Pooling", str(folder)))


def _layers(text: bytes, where: str) -> list[str]:
    """Return the folders of layers with weights of their own, in order."""
    return _of_kind(text, "Dense", where)


def _of_kind(text: bytes, kind: str, where: str) -> list[str]:
    """Return the folders of the modules of this kind, in order."""
    try:
        listed = json.loads(text)
        return [
            str(module["path"]).strip("/")
            for module in listed
            if str(module["type"]).rpartition(".")[2] == kind
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(
            f"the {LIST} of {where} is no list of modules", hint="fetch the model's files again"
        ) from error


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""


def _table(text: bytes) -> dict[str, Json]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
