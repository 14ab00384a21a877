"""Where a model fits and what it costs, for a page on which one tries other contexts and more users."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from homeport.cost.answer import Question, answer
from homeport.errors import HomeportError
from homeport.fit.table import fit_request, look
from homeport.home import Home
from homeport.json_types import JsonObject

_BEYOND = HomeportError(
    "there is no price: the instances that the file allows cannot do the work, even if they are always on",
    hint="raise scaling.max in the file; `homeport cost` says how much they can do",
)
WAKES = (1, 4, 12, 24, 48, 96)
"""A day, for which the price of a month is told."""


def reckoned(
    model: str | None, context: int | None, parallel: int | None, *, file: Path, home: Home
) -> JsonObject:
    """
    Return the table of `homeport fit`, and the price of a month by how often a day it wakes for a short request.

    Raises what `homeport fit` raises; why there is no price stands in `cost_error`.
    """
    # Any: values of homeport.toml.
    settings: JsonObject = {
        key: value for key, value in (("context", context), ("parallel", parallel)) if value is not None
    }
    table = look(fit_request(model, file, **settings))
    question = Question(
        wanted=settings, engine=None, tokens_per_day=None, tokens_per_second=None, wakes=1, versus=None, input_share=None,
        prices=None, home=home,
    )  # fmt: skip
    try:
        cost = answer(model, file, question).cost
    except HomeportError as error:
        return {"fit": table.as_json(), "curve": [], "cost_error": error.as_json()}
    # A token a wake: work that counts for nothing, and without which there would be no wake.
    months = [
        replace(cost.bill, usage=replace(cost.bill.usage, wakes_per_day=wakes)).scaling(wakes)
        for wakes in WAKES
    ]
    if cost.always_on is None or None in months:
        return {"fit": table.as_json(), "curve": [], "cost_error": _BEYOND.as_json()}
    curve = [
        {"wakes": wakes, "usd_per_month": usd}
        for wakes, usd in zip((*WAKES, None), (*months, cost.always_on.value), strict=True)
    ]
    return {"fit": table.as_json(), "curve": curve, "cost_error": None}


__all__ = ["WAKES", "reckoned"]
