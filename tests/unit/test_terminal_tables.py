"""A table on a terminal that is too narrow for it."""

from __future__ import annotations

import sys

import pytest

from homeport.terminal import Terminal

_HEADER = ("NAME", "STATE", "URL", "CHECKS")
_ROWS: list[tuple[str, ...]] = [
    ("demo", "ready", "http://127.0.0.1:23343/v1", "17 passed, 8 skipped of them for the model's nature"),
    ("other", "stopped", "", ""),
]


def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    Terminal().table(_HEADER, _ROWS, data=[])
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_no_line_is_longer_than_the_terminal_and_no_word_is_cut(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(capsys, monkeypatch, columns)
    assert max(len(line) for line in lines) <= columns
    said = " ".join(lines).split()
    for cell in (cell for row in _ROWS for cell in row):
        assert all(word in said for word in cell.split())


def test_each_row_is_a_block_with_labels_and_without_what_is_empty(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(capsys, monkeypatch, 40) == [
        "NAME    demo",
        "STATE   ready",
        "URL     http://127.0.0.1:23343/v1",
        "CHECKS  17 passed, 8 skipped of them for",
        "        the model's nature",
        "",
        "NAME    other",
        "STATE   stopped",
    ]


def test_what_fits_stays_a_table_and_so_does_what_goes_into_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = printed(capsys, monkeypatch, 120)
    assert wide[0].split() == list(_HEADER)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    Terminal().table(_HEADER, _ROWS, data=[])
    assert capsys.readouterr().out.splitlines() == wide
