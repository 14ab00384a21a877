"""What an engine honours of what clients ask for, as far as it is known: each engine says it, `homeport verify` asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Feature(StrEnum):
    """Something that clients rely on, and that engines do or do not."""

    SECOND_TURN = "a tool's result, given back over `/v1/chat/completions`, gets text"
    SECOND_TURN_RESPONSES = "the same over `/v1/responses`"
    SECOND_TURN_NATIVE = "the same over `/api/chat`"
    CHOICE_NONE = '`tool_choice` `"none"`: no call comes'
    CHOICE_REQUIRED = '`tool_choice` `"required"`: a call comes'
    CHOICE_NAMED = "`tool_choice` that names a function: that one is called"
    SCHEMA_PATTERN = r"a JSON schema's `pattern` with `\d` or its like is obeyed, or refused"
    RESPONSES_SCHEMA = "a JSON schema over `/v1/responses` (`text.format`) is obeyed"
    UNKNOWN_MODEL = "the name of a model that is not there is refused"
    MODEL_BY_NAME = "`/v1/models/NAME` tells of a model that `/v1/models` lists"
    NO_VECTORS = "vectors asked of a model of text are refused with 400 or its like, and with no advice that leads nowhere"
    IMAGES = "a picture where none can be seen, and what is no picture, get 400 or its like, not 500"
    SOUND = "a sound where none can be heard, and what is no sound, get 400 or its like, not 500"
    MISTAKES = "a client's mistake is answered with 400 or its like, not with 500"


class Stance(StrEnum):
    """How an engine stands to a feature."""

    HONOURED = "yes"
    """Promised: where it is otherwise, a check fails."""
    NOT_HONOURED = "no"
    """Known: where it is so, it is told, and no check fails."""
    UNCHECKED = "not checked"
    """Nobody has seen it here: where it is not honoured, it is told, and no check fails."""
    ABSENT = "not offered"
    """The engine has no such API."""


@dataclass(frozen=True, slots=True)
class Conformance:
    """How one engine stands to one feature, and why that is said."""

    standing: Stance
    note: str = ""
    """What was seen, or where it is written."""


def honoured(note: str = "") -> Conformance:
    """Return that it is honoured."""
    return Conformance(Stance.HONOURED, note)


def not_honoured(note: str) -> Conformance:
    """Return that it is not honoured, with what happens instead."""
    return Conformance(Stance.NOT_HONOURED, note)


def unchecked(note: str = "") -> Conformance:
    """Return that nobody has checked it here, with what is written about it elsewhere."""
    return Conformance(Stance.UNCHECKED, note)


ABSENT = Conformance(Stance.ABSENT)
"""The engine has no such API."""
