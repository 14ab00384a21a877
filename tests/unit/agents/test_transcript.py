"""Where a transcript is written, and where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeport.agents.transcript import VERSION, Transcript, read
from homeport.errors import SpecError


def written(path: Path, question: str) -> None:
    with Transcript(path) as transcript:
        transcript.add("run", version=VERSION, question=question)
        transcript.add("end", outcome="answered")


@pytest.mark.parametrize("content", [b"GGUF\x03\0\0\0", b"no newline", b'{"event": "other"}\n', b"\n"])
def test_a_file_that_is_no_transcript_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "weights.gguf"
    file.write_bytes(content)
    file.chmod(0o644)
    with pytest.raises(SpecError, match=r"weights\.gguf is there, and is no transcript"):
        written(file, "Hello?")
    assert file.read_bytes() == content
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_transcript_is_added_to_one_and_begun_in_an_empty_file(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.touch()
    written(file, "one")
    written(file, "two")
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == ["run", "end"] * 2
    assert read(file)[0]["question"] == "two"


def test_a_transcript_of_an_evaluation_is_one(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    for _ in range(2):
        with Transcript(file) as transcript:
            transcript.add("task", id="one", category="one_tool")
    assert len(file.read_text().splitlines()) == 2


def test_what_follows_a_line_whose_writer_was_killed_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    written(file, "one")
    with file.open("a") as broken:
        broken.write('{"event": "run", "ver')
    assert read(file)[0]["question"] == "one"
    written(file, "two")
    assert read(file)[0]["question"] == "two"
    with file.open("a") as broken:
        broken.write('{"event": "st\n{"event": "end"}\n')
    with pytest.raises(SpecError, match=r"line 6 of .* is not JSON"):
        read(file)


def test_what_the_shell_has_opened_takes_a_transcript() -> None:
    written(Path("/dev/null"), "Hello?")
