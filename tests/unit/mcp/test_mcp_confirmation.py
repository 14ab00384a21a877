"""What confirms a change."""

from __future__ import annotations

import pytest

from homeport.errors import PlanStale
from homeport.mcp.confirmation import Confirmation

PLAN = {"name": "home", "actions": [{"id": "process/home"}]}


def test_a_plan_is_confirmed_by_its_own_words_only() -> None:
    confirmation = Confirmation()
    given = confirmation.of("up", PLAN)
    confirmation.ensure("up", dict(reversed(PLAN.items())), given)
    for verb, plan in (("down", PLAN), ("up", {**PLAN, "name": "other"}), ("up", {**PLAN, "actions": []})):
        with pytest.raises(PlanStale):
            confirmation.ensure(verb, plan, given)


@pytest.mark.parametrize("given", ["", "yes", "é", "0" * 64])
def test_words_that_nobody_was_given_confirm_nothing(given: str) -> None:
    with pytest.raises(PlanStale):
        Confirmation().ensure("up", PLAN, given)


def test_another_servers_words_confirm_nothing_so_that_nobody_can_foretell_them() -> None:
    with pytest.raises(PlanStale):
        Confirmation().ensure("up", PLAN, Confirmation().of("up", PLAN))
