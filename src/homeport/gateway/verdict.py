"""What came of screening a text: nothing found, something found, or not screened, which is never read as clean."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """Who a text is from."""

    PROMPT = "prompt"
    """The caller: whatever a request holds."""
    ANSWER = "answer"
    """The model."""


class Reason(StrEnum):
    """Why a text was not let through."""

    MATCH = "match"
    """A filter found something."""
    UNAVAILABLE = "unavailable"
    """The screen did not answer, or answered with an error."""
    TIMEOUT = "timeout"
    """It did not answer before the deadline."""
    QUOTA = "quota"
    """It had no room before the deadline."""
    DENIED = "denied"
    """It does not let the gateway in."""
    PARTIAL = "partial"
    """Not all filters ran."""
    SKIPPED = "skipped"
    """A filter did not look at this text."""
    TOO_LONG = "too_long"
    """A filter did not look at this text, which is longer than filters take."""
    TRIPPED = "tripped"
    """The screen failed several times in a row, and is left alone for some seconds."""
    BUSY = "busy"
    """The gateway itself has no room for more texts at once."""
    UNREADABLE = "unreadable"
    """It is no text that could be screened, such as a picture or token ids."""
    UNKNOWN_API = "unknown_api"
    """The gateway does not know where the texts of this API are."""


class Refused(Exception):
    """A text is not let through."""

    def __init__(self, reason: Reason, detail: str, *, filters: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.filters = filters
        """Those that found something."""

    @property
    def status(self) -> int:
        """Return the HTTP status that says so: 400 for what the caller sent, 503 for what the screen did not do."""
        if self.reason in {Reason.MATCH, Reason.UNREADABLE}:
            return 400
        if self.reason is Reason.UNKNOWN_API:
            return 404
        return 413 if self.reason is Reason.TOO_LONG else 503


def found(side: Side, filters: tuple[str, ...]) -> Refused:
    """Return the refusal of a text in which `filters` found something."""
    return Refused(
        Reason.MATCH, f"the {side.value} was stopped by the screen: {', '.join(filters)}", filters=filters
    )
