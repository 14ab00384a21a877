"""What comes from elsewhere cannot move the cursor, retitle the window, or turn the text around."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport import cli
from homeport.errors import HomeportError
from homeport.printable import json_text, printable, printable_answer, printable_log
from homeport.terminal import Terminal, pairs
from unprintable import HOSTILE, is_clean


@given(st.text())
def test_what_is_printable_stays_and_everything_else_is_shown_by_its_number(text: str) -> None:
    shown = printable(text)
    assert all(letter.isprintable() or letter in "\n\t" or letter.isspace() for letter in shown)
    assert is_clean(shown)
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


@given(st.text(st.characters(codec=None)), st.sampled_from(sorted(HOSTILE.values())))
def test_json_says_the_same_and_holds_nothing_that_is_not_printable(text: str, hostile: str) -> None:
    data = {"a": [text + hostile, 1, True, None], text: {"b": 1.5}}
    shown = json_text(data)
    assert json.loads(shown) == json.loads(json.dumps(data))
    assert is_clean(shown, keep="\n")


def test_languages_are_not_spoiled() -> None:
    for text in ("café", "日本語\u3000の", "10\u202f000 €", "עברית", "हिन्दी", "emoji 👍🏽", "─│✓"):
        assert printable(text) == text
    assert printable_answer("می\u200cخواهم 👩\u200d🔬") == "می\u200cخواهم 👩\u200d🔬"


def test_a_log_has_its_lines_and_none_of_its_colours() -> None:
    assert printable_log("\x1b[32mINFO\x1b[0m ok\r\n 1%\r 2%\r\n\x1b[2Jx") == "INFO ok\n 1%\n 2%\n\\x1b[2Jx"


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_of_it_passes_the_terminal(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = HOSTILE[kind]
    terminal = Terminal()
    terminal.say(text)
    terminal.note(text)
    terminal.started("key", text)
    terminal.finished("key", text)
    terminal.started("key", text)
    terminal.failed("key", text)
    terminal.result(text)
    terminal.write(text)
    terminal.flush()
    terminal.table((text,), [(text,), ("one\ntwo",)], data=None)
    terminal.result(pairs({"label": text}))
    terminal.error(HomeportError(text, hint=text, url=text))
    as_json = Terminal(json_output=True)
    as_json.result("", {text: text})
    as_json.table((text,), [(text,)], data=[text])
    as_json.error(HomeportError(text, hint=text))
    out, err = capsys.readouterr()
    assert is_clean(out)
    assert is_clean(err)
    assert "one\\x0atwo" in out, "a cell has one line"


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_of_it_passes_wrong_usage_mistakes_and_tracebacks(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HOSTILE[kind]
    for arguments in (
        [text],
        ["status", f"--{text}"],
        ["status", text, text],
        ["chat", "--temperature", text],
    ):
        assert cli.run(arguments) == cli.USAGE

    def fails(_: object) -> None:
        raise ValueError(text)

    monkeypatch.setattr(cli.cli, "invoke", fails)
    cli.run(["status"])
    cli.run(["--debug", "status"])
    out, err = capsys.readouterr()
    assert is_clean(out + err)


def test_bars_are_drawn_with_names_that_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a name of a file stands in a bar, which rich draws."""
    monkeypatch.setenv("TERM", "xterm")

    class Screen(io.StringIO):
        """A terminal."""

        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    terminal = Terminal()
    terminal.started("file", "we\x1b]0;owned\x07ights\u202e")
    terminal.advanced("file", 1, 2)
    terminal.finished("file", "we\x1b]0;owned\x07ights")
    terminal.close()
    drawn = screen.getvalue()
    assert "\\x1b]0;owned\\x07" in drawn
    assert "\x1b]0;" not in drawn
    assert "\u202e" not in drawn
