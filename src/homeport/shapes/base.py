"""What every shape is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class JsonShape(BaseModel):
    """An object that has these keys and no others."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
