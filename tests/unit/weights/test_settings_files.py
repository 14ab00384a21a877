"""Settings and words that arrived whole are taken, whatever white space they end with; what is cut short or none is told."""

from __future__ import annotations

import codecs
import json
import shutil
from pathlib import Path

import pytest

from homeport.catalog.untrusted import read_json
from homeport.errors import WeightsError
from homeport.weights.settings_files import ensure_whole, is_read
from homeport.weights.sources.file import FileSource
from places import TAUGHT_FOLDER

READ = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json",
    "special_tokens_map.json", "preprocessor_config.json", "model.safetensors.index.json", "adapter_config.json",
)  # fmt: skip
LARGE = json.dumps({str(number): "x" * 90 for number in range(20_000)})
WHOLE = (
    "{}",
    '{"a": 1}' + "\n" * 70,
    "\n\n" + "{}" + " " * 9000,
    '{"a": [1, {"b": 2}]}',
    LARGE,
    LARGE + "\n" * 9000,
    "\n" * 9000 + LARGE,
)
EVERY_KIND = '{"a": [true, false, null], "b\\u00fc\\n": -1.5e+3, "c": "\u00fc", "d": [-Infinity, NaN, {}]}'
LISTS = json.dumps(["x" * 90] * 20_000)
CUT = ('{"a":{"b":1}', '{"a": 1', '{"a": "x', "[1, 2", "[", LARGE[:-1], LARGE[:-1] + "\n" * 9000)


def judged(path: Path, text: str) -> None:
    path.write_text(text)
    ensure_whole(path, path.stat().st_size)


@pytest.mark.parametrize("text", WHOLE, ids=lambda text: text[:12])
def test_json_that_is_whole_is_taken(text: str, tmp_path: Path) -> None:
    judged(tmp_path / "config.json", text)


@pytest.mark.parametrize("text", CUT, ids=lambda text: text[:12])
def test_json_that_is_cut_short_is_told_as_that(text: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"config\.json is cut short, and no server reads it"):
        judged(tmp_path / "config.json", text)


def test_wherever_json_is_cut_that_is_told(tmp_path: Path) -> None:
    path, content = tmp_path / "config.json", EVERY_KIND.encode()
    json.loads(content)
    for length in range(1, len(content)):
        for end in (b"", b"\n"):
            path.write_bytes(content[:length] + end)
            with pytest.raises(WeightsError, match=r"is cut short|is no text in UTF-8") as told:
                ensure_whole(path, length + len(end))
            in_letter = end and content[length - 1] == "\u00fc".encode()[0]
            assert ("is cut short" in str(told.value)) is not in_letter, content[:length]


@pytest.mark.parametrize("text", ["null", "3", '"x"', "[]", "[1]", LISTS], ids=lambda text: text[:12])
@pytest.mark.parametrize("name", [*READ, "added_tokens.json", "chat_template.json", "params.json"])
def test_settings_that_are_no_table_are_refused(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no table of settings, and no server reads it"):
        judged(tmp_path / name, text)


def test_only_the_modules_of_sentences_are_a_list(tmp_path: Path) -> None:
    judged(tmp_path / "modules.json", '[{"idx": 0}]')
    judged(tmp_path / "modules.json", LISTS)
    for text in ("{}", "null", LARGE):
        with pytest.raises(WeightsError, match="holds no list"):
            judged(tmp_path / "modules.json", text)
    judged(tmp_path / "tokenizer_words.json", "[]")  # Of a model's own code.
    with pytest.raises(WeightsError, match="holds no table of settings and no list"):
        judged(tmp_path / "tokenizer_words.json", "3")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"not found", "is no JSON"), (b'{"a": 1}}', "is no JSON"), (b"\xef\xbb\xbf{}", "begins with a byte order mark"),
        (b'{"a": "\xff"}', "is no text in UTF-8"), (b"  \n", "is empty"), (b"[" * 200_000, "is nested too deep"),
        (b"<!doctype html>", "is a web page"), (b"\xff\xfe{\x00}\x00", "begins with a byte order mark"), (b"1" * 5000, "is no JSON"), (b"x" * (2 << 20), "is no JSON"), (b" " * (2 << 20), "is no JSON"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_no_json_is_told_as_what_it_is(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=told) as error:
        ensure_whole(path, len(content))
    assert error.value.hint
    if len(content) < 1 << 20:  # Who reads it says the same in the same words.
        with pytest.raises(WeightsError) as read:
            read_json(path)
        assert (str(read.value), read.value.hint) == (str(error.value), error.value.hint)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_byte_order_mark_has_its_remedy_however_large_the_file_is(mark: bytes, tmp_path: Path) -> None:
    told = set()
    for length in (1, 2 << 20):
        content = mark + b'{"a": "' + b"x" * length + b'"}'
        path = tmp_path / "tokenizer.json"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="begins with a byte order mark") as error:
            ensure_whole(path, len(content))
        told.add((str(error.value), error.value.hint))
    assert len(told) == 1


def test_only_what_a_server_reads_is_held_to_it(tmp_path: Path) -> None:
    for name in READ:
        assert is_read(tmp_path / name), name
    folder = Path(shutil.copytree(TAUGHT_FOLDER, tmp_path / "m"))
    for name, text in (("my_notes.json", "{ todo"), ("trainer_state.json", ""), ("results.json", "none")):
        assert not is_read(folder / name)
        (folder / name).write_text(text)
    (folder / "generation_config.json").write_text('{"top_k": 5}' + "\n" * 70)
    pin = FileSource(folder).pin("safetensors")
    assert {"my_notes.json", "generation_config.json"} <= {file.path for file in pin.files}
    (folder / "generation_config.json").write_text('{"a":{"b":1}')
    with pytest.raises(WeightsError, match=r"generation_config\.json is cut short"):
        FileSource(folder).pin("safetensors")
