"""Facts of a plan that are the same on every target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from homeport.reconcile.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFact(Fact):
    """The model that is served."""

    key: ClassVar[str] = "model"
    label: ClassVar[str] = "model"
    title: str
    licence: str | None

    @property
    def text(self) -> str:
        return f"{self.title} ({self.licence})" if self.licence else self.title
