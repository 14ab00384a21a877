"""Checks that a user names for one region, or for all."""

from __future__ import annotations

import pytest

from homeport.deployment import ensure_checks
from homeport.errors import Unsupported
from homeport.targets.cloudrun.regions.report import check_of, checks_in, refuse_elsewhere
from regions import FIRST, SECOND


def test_a_check_without_a_region_is_made_in_each_and_one_with_a_region_there() -> None:
    only = ("chat", f"{SECOND}/stream", f"{SECOND}/chat", f"{FIRST}/models")
    assert checks_in(FIRST, only) == ("chat", "models")
    assert checks_in(SECOND, only) == ("chat", "stream")
    assert checks_in(SECOND, ()) == ()
    assert checks_in(SECOND, (f"{FIRST}/chat",)) == ()


@pytest.mark.parametrize(
    ("name", "check"),
    [("chat", "chat"), (f"{SECOND}/chat", "chat"), ("nowhere/chat", "nowhere/chat"), ("/chat", "/chat")],
)
def test_what_stands_before_a_check_is_a_region(name: str, check: str) -> None:
    assert check_of(name) == check


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("asia-southeast1/chat", "names a region that does not serve it"),
        (f"{SECOND}/route", "is checked once, and in no region"),
        (f"{FIRST}/agent", "is checked once, and in no region"),
    ],
)
def test_a_region_that_does_not_serve_it_is_refused(name: str, why: str) -> None:
    refuse_elsewhere(("chat", f"{SECOND}/chat", "route"), (FIRST, SECOND))
    with pytest.raises(Unsupported, match=why) as refused:
        refuse_elsewhere((name,), (FIRST, SECOND))
    if "region that" in why:
        assert refused.value.hint == f"the regions that serve it are {FIRST}, {SECOND}"


def test_a_command_takes_a_region_before_a_check_on_cloud_run_alone() -> None:
    ensure_checks((f"{SECOND}/chat",), "cloudrun")
    with pytest.raises(Unsupported, match="there is no check called chatt"):
        ensure_checks((f"{SECOND}/chatt",), "cloudrun")
    with pytest.raises(Unsupported, match=f"there is no check called {SECOND}/$"):
        ensure_checks((f"{SECOND}/",), "cloudrun")
    with pytest.raises(Unsupported, match=f"there is no check called {SECOND}/chat"):
        ensure_checks((f"{SECOND}/chat",), "local")
