"""A bench on paid instances tells its price before it is run: the time itself, what is beside it, and the idle tail."""

from __future__ import annotations

import re

from homeport.bench.price import BESIDE_S, price
from homeport.catalog import cloudrun
from homeport.listing import ListedEndpoint


def listed(*, most: int = 1, hourly: float | None = 3.6) -> ListedEndpoint:
    return ListedEndpoint(name="mine", on="cloudrun", state="ready", max_instances=most, usd_per_hour=hourly)


def test_the_price_is_that_of_all_seconds_that_are_billed_and_of_all_instances_that_may_start() -> None:
    seconds = 600 + BESIDE_S + cloudrun.limits().idle_s
    one, all_three = (float(found) for found in re.findall(r"\$(\d+\.\d\d)\b(?! an hour)", price(listed(most=3), 600)) if found != "3.60")  # fmt: skip
    assert round(seconds * 3.6 / 3600, 2) == one
    assert round(3 * seconds * 3.6 / 3600, 2) == all_three


def test_a_price_that_is_not_known_is_not_guessed() -> None:
    for unknown in (None, listed(hourly=None)):
        assert "is not known" in price(unknown, 60)
        assert "$" not in price(unknown, 60)
