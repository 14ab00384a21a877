"""A checkpoint is whole by what it says of itself: its index, its tokenizer, the header of a GGUF, its links."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from described_models import whole
from homeport.catalog.described import of_path
from homeport.errors import WeightsError
from homeport.weights.selection import choose
from homeport.weights.sources.file import FileSource
from made_ggufs import parts_of
from made_headers import CONFIG, EVERY_LAYER

HERE = whole({**EVERY_LAYER, "model.embed_tokens.weight": ("BF16", (100, 8))})
MORE = whole({"model.layers.0.mlp.up_proj.weight": ("BF16", (16, 8))})
INDEX = "model.safetensors.index.json"
NAMES = ("a.safetensors", "b.safetensors")
MAP = {
    **dict.fromkeys(EVERY_LAYER, NAMES[0]),
    "model.embed_tokens.weight": NAMES[0],
    "model.layers.0.mlp.up_proj.weight": NAMES[1],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / NAMES[0]).write_bytes(HERE)
    (tmp_path / NAMES[1]).write_bytes(MORE)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": MAP}))
    return tmp_path


def test_what_the_index_names_is_the_model_and_nothing_else_is(folder: Path) -> None:
    (folder / "left-over.safetensors").write_bytes(MORE)
    pinned = {file.path for file in FileSource(folder).pin("safetensors").files}
    assert pinned == {"config.json", "tokenizer.json", INDEX, *NAMES}
    assert of_path(folder, name="x").bytes == sum(
        len(content) - 8 - int.from_bytes(content[:8], "little") for content in (HERE, MORE)
    )


@pytest.mark.parametrize(
    "read", [lambda folder: FileSource(folder).pin("safetensors"), lambda folder: of_path(folder, name="x")]
)
def test_a_file_that_the_index_names_and_that_is_not_there_is_refused_by_name(
    folder: Path, read: object
) -> None:
    (folder / NAMES[1]).rename(folder / "model.safetensors")
    assert callable(read)
    with pytest.raises(WeightsError, match=rf"lacks 'b\.safetensors', which its {INDEX} names") as refused:
        read(folder)
    assert "if model.safetensors belongs to another split" in str(refused.value.hint)


def test_two_files_that_changed_names_are_refused(folder: Path) -> None:
    (folder / NAMES[0]).write_bytes(MORE)
    (folder / NAMES[1]).write_bytes(HERE)
    with pytest.raises(
        WeightsError, match=r"says that a\.safetensors holds 'model.layers.0.mlp.gate_proj.weight'"
    ):
        of_path(folder, name="x")


@pytest.mark.parametrize("text", ["[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "no json"])
def test_an_index_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / INDEX).write_text(text)
    with pytest.raises(WeightsError, match=INDEX):
        FileSource(folder).pin("safetensors")


def test_a_model_without_a_tokenizer_is_refused_and_an_adapter_needs_none(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder / "tokenizer_config.json")
    with pytest.raises(
        WeightsError, match=r"has no tokenizer: tokenizer\.json, tokenizer\.model or tekken\.json"
    ):
        FileSource(folder).pin("safetensors")
    (folder / "tekken.json").write_text("{}")
    assert FileSource(folder).pin("safetensors").files
    (folder / "tekken.json").unlink()
    (folder / "config.json").rename(folder / "adapter_config.json")
    assert FileSource(folder).pin("safetensors").files


@pytest.mark.parametrize("name", ["tokenizer.json", NAMES[1]])
def test_a_link_that_leads_nowhere_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to("../blobs/0123")
    with pytest.raises(
        WeightsError, match=rf"{name} is a link that leads nowhere: there is no \.\./blobs/0123"
    ):
        FileSource(folder).pin("safetensors")


def test_a_gguf_that_says_it_is_a_part_is_no_model_under_another_name(tmp_path: Path) -> None:
    first, second = parts_of(tmp_path, 2)
    assert len(of_path(first, name="x").headers[0].tensors) == 2
    joined = tmp_path / "joined.gguf"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    shutil.copy(first, tmp_path / "renamed.gguf")
    for name in ("joined.gguf", "renamed.gguf"):
        with pytest.raises(
            WeightsError, match=r"it is part 1 of 2 by its header \(split\.count\), and it stands alone"
        ) as refused:
            of_path(tmp_path / name, name="x")
        assert "llama-gguf-split --merge" in str(refused.value.hint)


def test_parts_that_changed_names_are_told(tmp_path: Path) -> None:
    first, second = parts_of(tmp_path, 2)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    with pytest.raises(
        WeightsError, match=r"it is part 2 of 2 by its header .*, its name is that of part 1 of 2"
    ):
        of_path(first, name="x")


HELPERS = ["m-mmproj-f16.gguf", "mmproj-m.gguf", "m-imatrix.gguf", "m.imatrix.gguf", "mtp-m.gguf"]


def test_helpers_are_not_taken_for_models() -> None:
    assert choose(["m-Q8_0.gguf", *HELPERS], "gguf", where="x") == ["m-Q8_0.gguf"]
    assert choose(["m-Q4_K_M-imatrix.gguf", "README.md"], "gguf", where="x") == ["m-Q4_K_M-imatrix.gguf"]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("Q8_0", ["m-Q8_0.gguf"]),
        ("q4_k_m", ["m-Q4_K_M.gguf"]),
        ("UD-Q4_K_M", ["m-UD-Q4_K_M.gguf"]),
        ("BF16", ["BF16/m-00001-of-00002.gguf", "BF16/m-00002-of-00002.gguf"]),
    ],
)
def test_a_quantization_behind_the_colon_is_that_file(word: str, found: list[str]) -> None:
    names = [
        *("m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-UD-Q4_K_M.gguf"),
        *("BF16/m-00001-of-00002.gguf", "BF16/m-00002-of-00002.gguf", "m-mmproj-BF16.gguf"),
    ]
    assert choose(names, "gguf", file=word, where="x") == found


def test_a_quantization_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(WeightsError, match="no GGUF file that is quantized as Q5_K_M") as refused:
        choose(["m-Q8_0.gguf", "m-imatrix.gguf"], "gguf", file="Q5_K_M", where="x")
    assert refused.value.hint == "its GGUF files are m-Q8_0.gguf"
