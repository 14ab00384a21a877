"""A chat template comes from outside: it ends, whatever is in it."""

from __future__ import annotations

import pytest

from homeport.chat_template.bounded import tried_within_bounds

FOREVER = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        (FOREVER, "endless", "s of processor time"),
        ("{{ 'a' * 99999999999 }}", "endless", "GiB of memory"),
        ("{{ messages[0].content }}" + " " * (1 << 20), "unchecked", "longer than any template"),
        ("{{ messages | nosuch }}", "parse", "No filter named"),
    ],
)
def test_a_template_is_tried_within_bounds(source: str, kind: str, words: str) -> None:
    (found,) = tried_within_bounds(source)
    assert (found.kind, words in found.text) == (kind, True), found
