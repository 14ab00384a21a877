"""Whether a bench is of a model: an endpoint calls it by the name that clients use."""

from __future__ import annotations

from homeport.bench.result import Setting
from homeport.catalog import Model, find
from homeport.engines.base import served_name


def is_of(setting: Setting, model: Model) -> bool:
    """Return True if what was measured is `model`, by the name that is served, its own or another of the catalog's."""
    known = find(setting.model)
    return setting.model in {served_name(model), model.name} or (
        known is not None and known.name == model.name
    )
