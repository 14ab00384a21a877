"""What every shape is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

Json = Any
"""A value that differs from one check or cloud to the next."""


class JsonShape(BaseModel):
    """An object that has these keys and no others."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
