"""What every shape is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema


class JsonShape(BaseModel):
    """An object that has these keys and no others."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class PrintedSchema(GenerateJsonSchema):
    """The schema of what is printed: a dataclass is printed whole, also where a field has its default."""

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        """Return whether the key is always there."""
        return field["type"] == "dataclass-field" or super().field_is_required(field, total)
