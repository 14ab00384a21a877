"""What every table of the file is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, field_validator

from homeport.path_rules import unprintable


class SpecTable(BaseModel):
    """A table of the file, without keys that nobody knows and without characters that nobody sees."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)
    # A key that was written into the file by mistake must be in no traceback.

    @field_validator("*")
    @classmethod
    def _seen(cls, value: object) -> object:
        """Refuse what nobody sees in any string: a newline is another line of whatever the string ends in."""
        for text in value if isinstance(value, tuple) else (value,):
            unseen = unprintable(text) if isinstance(text, str) else ""
            if unseen:
                raise ValueError(
                    f"has the character {unseen}, which nobody sees; write it again, on one line"
                )
        return value
