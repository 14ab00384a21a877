"""What a rehearsal is started with is held to what it can be, by whichever command."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcp_rehearsal import __main__ as program
from gcp_rehearsal.options import email, port, project_id, speed
from typist import Typist

BAD = [
    ("--project", "BAD PROJECT", "6 to 30 lower-case letters"), ("--project", "short", "6 to 30 lower-case letters"),
    ("--project", "ends-with-", "6 to 30 lower-case letters"),
    ("--port", "99999", "65535"), ("--port", "-1", "65535"),
    *(("--speed", value, "a number from 0.01 to 100000") for value in ("-3", "0", "1e9", "inf", "nan")),
    ("--fault", "foo", "METHOD:WHAT"), ("--fault", "storage.bucket.insert:500", "storage.buckets.insert"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        *BAD,
        ("--as", "garbage", "e-mail address"),
        ("--fault", "run.requests.us-central1.*:twin", "never strikes"),
    ],
)
def test_the_program_refuses_what_cannot_be(
    option: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main([f"{option}={value}", "--fault", "refuses to start"])
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert said in told.err


@pytest.mark.parametrize(("option", "value", "said"), BAD)
def test_homeports_command_refuses_it_too(tmp_path: Path, option: str, value: str, said: str) -> None:
    ran = Typist(tmp_path / "here").run("rehearse", "serve", f"{option}={value}", code=64)
    assert said in ran.err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--project", "BAD PROJECT", "6 to 30 lower-case letters"), ("--as", "garbage", "e-mail address")],
)
def test_the_variables_are_of_no_project_and_nobody_that_cannot_be(
    tmp_path: Path, option: str, value: str, said: str
) -> None:
    assert said in Typist(tmp_path / "here").run("rehearse", "env", f"{option}={value}", code=64).err


def test_what_can_be_is_taken_as_it_was_typed() -> None:
    assert (project_id("my-project-1"), port("0"), port("65535"), speed("60"), speed(0.5)) == (
        "my-project-1", 0, 65535, 60.0, 0.5,
    )  # fmt: skip
    for who in ("you@example.com", "ci@mine.iam.gserviceaccount.com"):
        assert email(who) == who
