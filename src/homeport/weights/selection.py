"""Which files of a repository or folder an engine needs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from homeport.errors import WeightsError
from homeport.weights import sentence_modules
from homeport.weights.manifest import Format

_SPLIT = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.gguf")
_QUANTIZED = re.compile(r"(?:^|[-._])(?:I?Q\d\w*|BF16|F16|F32|MXFP4\w*|TQ\d_\d)(?=[-._]|$)", re.IGNORECASE)
_BESIDE = frozenset({".json", ".model", ".jinja", ".txt", ".tiktoken"})
_PICKLES = frozenset({".bin", ".pt", ".pth"})
_OURS = "homeport-manifest.json"
"""What homeport writes last beside weights in a bucket: a source of that name would vouch for itself."""
_UNFINISHED = frozenset({".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2"})
"""How hubs' clients, browsers, wget's and aria2's users call what has not arrived yet."""
_OTHER_RUNTIMES = frozenset({"original", "onnx", "openvino", "coreml", "gguf", "metal"})


IN_ITS_PLACE = "name one of them in the place of the folder:"
"""How a source that is a path names one of several files."""
PROJECTOR = "mmproj"
"""Behind a source's colon: the encoder of images of that repository, whatever its file is called."""
_BESIDE_A_MODEL = frozenset(
    {
        *("lora", "adapter", "vocab", "projector"),
        *("draft", "drafter", "eagle", "eagle3", "dflash", "mtp", "assistant"),
    }
)
"""Words in the names of GGUFs that belong to a model, or draft its tokens; where every file has one, it is the model's own."""
_BEST_PROJECTORS = ("f16", "bf16", "q8_0", "f32")
"""The first of these that exists: an encoder is small, and no model makes up for what it loses."""


class NotThisFormat(WeightsError):
    """A source without a file of the format that was wanted; it may have one of another."""


def choose(
    names: Iterable[str],
    wanted: Format,
    *,
    file: str | None = None,
    where: str,
    one: str = "name one behind a colon:",
) -> list[str]:
    """
    Return the names that an engine which loads `wanted` needs, sorted; `file` is the one that the user named.

    Raises `WeightsError` where there is nothing to load or more than one thing, listing what there is; `one` says how a
    source of this kind names one of them.
    """
    known = sorted(set(names))
    return _gguf(known, file, (where, one)) if wanted == "gguf" else _safetensors(known, file, where)


def is_part(name: str) -> bool:
    """Return True if the name is that of one part of a split GGUF."""
    return _SPLIT.fullmatch(name) is not None


def parts_beside(path: Path) -> list[Path]:
    """Return the GGUF file `path`, or all parts of a split one, which lie beside it. Raises `WeightsError` for a missing part."""
    beside = {path.name, *(file.name for file in path.parent.glob("*.gguf*"))}
    return [path.parent / part for part in _parts(path.name, sorted(beside), str(path.parent))]


def is_helper(name: str) -> bool:
    """
    Return True for a GGUF that belongs to a model and is not one itself, by its name.

    A projector reads images for a model, an importance matrix was used to quantize it, `mtp-` drafts its tokens.
    """
    words = re.split(r"[-._]", PurePosixPath(name).stem.lower())
    matrix = "imatrix" in words and not _QUANTIZED.search(PurePosixPath(name).stem)
    return is_projector(name) or matrix or words[0] == "mtp"


def is_projector(name: str) -> bool:
    """Return True for a GGUF that reads images for a model, by its name."""
    return PROJECTOR in re.split(r"[-._]", PurePosixPath(name).stem.lower())


def is_quantization(word: str) -> bool:
    """Return True if the text behind a source's colon names a quantization, such as `Q8_0`, and not a file."""
    return not word.endswith(".gguf") and "/" not in word


def _quantized(heads: list[str], word: str, where: str) -> list[str]:
    """Return the file that is quantized as `word` says, the plain one before a variant such as `UD-Q4_K_M`."""
    whole_word = re.compile(rf"(?:^|[-._/]){re.escape(word)}(?=[-._/]|$)", re.IGNORECASE)
    matching = [name for name in heads if whole_word.search(name.removesuffix(".gguf"))]
    if len(matching) > 1:
        variant = re.compile(rf"(?:^|[-._/])(?:UD|i1)[-.]{re.escape(word)}", re.IGNORECASE)
        matching = [name for name in matching if not variant.search(name)] or matching
    if not matching:
        raise WeightsError(
            f"{where} has no GGUF file that is quantized as {word}", hint=_listed("its GGUF files are", heads)
        )
    return matching


def _gguf(names: list[str], file: str | None, place: tuple[str, str]) -> list[str]:
    where, one = place
    ggufs = [name for name in names if name.endswith(".gguf")]
    if file == PROJECTOR:
        return _projector(ggufs, where)
    if file is not None and (file in names or not is_quantization(file)):
        if file not in names:
            raise WeightsError(f"{where} has no file {file}", hint=_listed("its GGUF files are", ggufs))
        return _parts(file, names, where)
    heads = _without_company([name for name in ggufs if _is_head(name) and not is_helper(name)])
    if heads and file is not None:
        heads = _quantized(heads, file, where)
    if not heads:
        hint = (
            "choose an engine that loads its safetensors (engine.kind)"
            if _has_safetensors(names)
            else instead(names) or "choose another source"
        )
        raise NotThisFormat(f"{where} has no GGUF file, which is what this engine loads", hint=hint)
    if len(heads) > 1:
        heads = [name for name in heads if "q4_k_m" in name.lower()] or heads
    if len(heads) > 1:
        raise WeightsError(f"{where} has several GGUF files", hint=_listed(one, heads))
    return _parts(heads[0], names, where)


def _without_company(heads: list[str]) -> list[str]:
    """Return those whose names hold no word by which they belong to one of the others."""
    models = [name for name in heads if _BESIDE_A_MODEL.isdisjoint(re.split(r"[-._/]", name.lower()))]
    return models or heads


def _projector(ggufs: list[str], where: str) -> list[str]:
    """Return the encoder of images: of several the first of `_BEST_PROJECTORS`."""
    projectors = [name for name in ggufs if is_projector(name)]
    for kind in _BEST_PROJECTORS:
        word = re.compile(rf"(?:^|[-._/]){kind}(?=[-._])", re.IGNORECASE)
        best = [name for name in projectors if word.search(name)]
        if len(projectors) > 1 and best:
            return best[:1]
    if len(projectors) != 1:
        trouble = (
            "several encoders of images"
            if projectors
            else "no encoder of images (a GGUF with mmproj in its name)"
        )
        raise WeightsError(f"{where} has {trouble}", hint=_listed("its GGUF files are", ggufs))
    return projectors


def _safetensors(names: list[str], file: str | None, where: str) -> list[str]:
    if file is not None:
        raise WeightsError(
            f"{where} names the file {file}, and this engine loads a folder of safetensors",
            hint="leave the file out, or choose an engine that loads a GGUF (engine.kind)",
        )
    tensors = [name for name in names if name.endswith(".safetensors") and "/" not in name]
    # Some makers publish the same weights twice; this is the form for their own runtime.
    tensors = [name for name in tensors if not name.startswith("consolidated")] or tensors
    if not tensors:
        has_gguf = any(name.endswith(".gguf") for name in names)
        hint = instead(names) or "choose another source"
        hint = "choose an engine that loads its GGUF (engine.kind)" if has_gguf else hint
        raise NotThisFormat(f"{where} has no safetensors, which is what this engine loads", hint=hint)
    layers = [name for name in names if sentence_modules.is_weights(name)]
    return sorted([*tensors, *layers, *(name for name in names if _is_beside(name))])


def instead(names: Iterable[str]) -> str:
    """Return what to do with a source that has no weights that can be loaded, by its files; '' where these tell nothing."""
    known = set(names)
    unfinished = _unfinished(known)
    if unfinished:
        return unfinished
    below = sorted(
        {
            name.rpartition("/")[0]
            for name in known
            if name.endswith("/config.json") and _holds_model(name, known)
        }
    )
    if below:
        return _listed("it has the model in a folder of its own: name", below)
    if "model_index.json" in known:
        return "it is a pipeline that makes pictures (model_index.json): name a model that writes text"
    if any(PurePosixPath(name).suffix in _PICKLES for name in known):
        return "its weights are pickles, which run code as they are loaded: take a revision or a copy of it with safetensors"
    if any(name.endswith(".onnx") for name in known):
        return "its weights are for ONNX: take the repository that it was made from"
    return ""


def _unfinished(names: Iterable[str], begin: str = "") -> str:
    """Return what to do where a download was not finished, of the file that is called `begin`; '' where all were."""
    left = sorted(
        name
        for name in names
        if PurePosixPath(name).suffix in _UNFINISHED and PurePosixPath(name).name.startswith(begin)
    )
    return f"{left[0]} is a download that was not finished: go on with it, or fetch it again" if left else ""


def _holds_model(config: str, names: Iterable[str]) -> bool:
    """Return True where weights that can be loaded lie beside this config.json."""
    folder = f"{config.rpartition('/')[0]}/"
    return any(
        name.startswith(folder)
        and "/" not in name.removeprefix(folder)
        and name.endswith((".safetensors", ".gguf"))
        for name in names
    )


def _is_beside(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix in _BESIDE and not hidden and path.parts[0] not in _OTHER_RUNTIMES and name != _OURS


def _is_head(name: str) -> bool:
    return not is_part(name) or "-00001-of-" in name


def _parts(name: str, names: list[str], where: str) -> list[str]:
    match = _SPLIT.fullmatch(name)
    if match is None:
        return [name]
    count = int(match["count"])
    parts = [f"{match['stem']}-{number:05d}-of-{match['count']}.gguf" for number in range(1, count + 1)]
    missing = [part for part in parts if part not in names]
    if missing:
        raise WeightsError(
            f"{where} lacks {missing[0]}, one of {count} parts",
            hint=_unfinished(names, missing[0])
            or "fetch it, and put it beside the others under that very name: an engine finds parts by their names",
        )
    return parts


def _has_safetensors(names: list[str]) -> bool:
    return any(name.endswith(".safetensors") for name in names)


def _listed(lead: str, names: list[str]) -> str:
    shown = names[:20]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{lead} {', '.join(shown)}{more}" if names else "it has no GGUF file"
