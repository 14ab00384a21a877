"""What tools give back: no secrets, nothing that a terminal obeys."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from homeport import redaction
from homeport.errors import PlanStale
from homeport.mcp.output import harmless, line, words

KEY = "hp-a-key-that-nobody-may-read-here"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_nothing_that_a_terminal_obeys_is_left_in_json(value: object) -> None:
    text = json.dumps(harmless(value), ensure_ascii=False)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\x9b" not in text


def test_a_secret_is_in_no_value_and_no_key() -> None:
    redaction.remember(KEY)
    told = json.dumps(harmless({KEY: [f"Bearer {KEY}", {"deep": KEY}], "n": 3}))
    assert KEY not in told
    assert json.loads(told)["n"] == 3


def test_an_error_says_its_name_its_code_what_happened_and_what_to_do() -> None:
    redaction.remember(KEY)
    told = words(PlanStale(f"it is gone\x1b[2J with {KEY}", hint="plan again"))
    assert told == "PlanStale (exit code 24): it is gone\\x1b[2J with ***\ndo: plan again"


def test_a_line_of_a_log_is_cut_and_loses_its_colours() -> None:
    assert line("\x1b[31mred\x1b[0m\x1b]0;title\x07\n") == "red\\x1b]0;title\\x07"
    long = line("x" * 10_000)
    assert long.startswith("x" * 2_000 + " … and 8000 more")
