"""
Google's Model Armor as the screen: one call of REST a text, against a template in the service's region.

Whatever is not "all filters ran, and none found anything" is a refusal. Google's own answer for a text that is longer than
a filter takes is `NO_MATCH_FOUND` with `EXECUTION_SKIPPED`: not screened, and not clean.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from homeport.errors import (
    HomeportError,
    NetworkError,
    NoCredentials,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
)
from homeport.gateway.screens.base import FILTERS
from homeport.gateway.verdict import Reason, Refused, Side
from homeport.google import Google
from homeport.json_types import Json

_KEYS = {"injection": "pi_and_jailbreak", "harm": "rai", "secrets": "sdp", "urls": "malicious_uris"}
"""Our names of filters, and Google's in its answers."""
_NAMES = {theirs: ours for ours, theirs in _KEYS.items()}
_SHORT = 65_536
"""A text with no more characters has no more tokens than any filter takes."""


class ModelArmorScreen:
    """Asks `sanitizeUserPrompt` and `sanitizeModelResponse` of one template."""

    def __init__(
        self, door: Google, *, template: str, location: str, filters: Collection[str] = FILTERS
    ) -> None:
        """Take the template's path, such as `projects/P/locations/L/templates/T`, and the filters that it must have."""
        self._door, self._template = door, template
        self._api = f"modelarmor.{location}.rep"
        self._wanted = frozenset(_KEYS[name] for name in filters) | {"csam"}

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._door.aclose()

    async def judge(self, text: str, side: Side) -> tuple[str, ...]:
        """Return the filters that found something. Raises `Refused` unless all of them ran."""
        method, key = (
            ("sanitizeUserPrompt", "userPromptData")
            if side is Side.PROMPT
            else ("sanitizeModelResponse", "modelResponseData")
        )
        try:
            answer = await self._door.post(
                self._api, f"v1/{self._template}:{method}", {key: {"text": text}}, repeatable=True
            )
        except HomeportError as error:
            raise _failed(error) from error
        result = answer.get("sanitizationResult") if isinstance(answer, dict) else None
        if not isinstance(result, dict):
            raise Refused(Reason.UNAVAILABLE, "Model Armor answered without a result")
        return self._read(result, text)

    def _read(self, result: Mapping[str, Json], text: str) -> tuple[str, ...]:
        results = result.get("filterResults")
        each = {key: _inner(one) for key, one in results.items()} if isinstance(results, dict) else {}
        matched = [key for key, one in each.items() if one.get("matchState") == "MATCH_FOUND"]
        if result.get("filterMatchState") == "MATCH_FOUND" or matched:
            return tuple(_NAMES.get(key, key) for key in matched) or ("unnamed",)
        skipped = [key for key, one in each.items() if one.get("executionState") != "EXECUTION_SUCCESS"]
        missing = sorted(self._wanted - each.keys())
        if skipped:
            which = ", ".join(_NAMES.get(key, key) for key in skipped)
            if len(text) > _SHORT:
                raise Refused(
                    Reason.TOO_LONG,
                    f"the text is longer than Model Armor's filters take: {which} did not look at it",
                )
            raise Refused(Reason.SKIPPED, f"Model Armor left out {which}")
        if missing:
            which = ", ".join(_NAMES.get(key, key) for key in missing)
            raise Refused(Reason.PARTIAL, f"Model Armor's template did not run {which}")
        if result.get("invocationResult") != "SUCCESS" or result.get("filterMatchState") != "NO_MATCH_FOUND":
            raise Refused(
                Reason.PARTIAL, f"Model Armor says {result.get('invocationResult')!r}: not all of it ran"
            )
        return ()


def _inner(one: Json) -> Mapping[str, Json]:
    """Return what a filter says of itself; the one for data has it one level deeper."""
    found: Json = next(iter(one.values()), {}) if isinstance(one, dict) else {}
    if isinstance(found, dict):
        for key in ("inspectResult", "deidentifyResult"):
            if isinstance(found.get(key), dict):
                found = found[key]
                break
    return found if isinstance(found, dict) else {}


def _failed(error: HomeportError) -> Refused:
    if isinstance(error, QuotaExceeded):
        return Refused(Reason.QUOTA, "Model Armor's quota is spent, and stayed so until the deadline")
    if isinstance(error, PermissionDenied | NoCredentials | NotFound):
        return Refused(Reason.DENIED, f"Model Armor does not screen for this gateway: {error}")
    if isinstance(error, NetworkError):
        late = "was not answered within" in str(error)
        return Refused(Reason.TIMEOUT if late else Reason.UNAVAILABLE, "Model Armor did not answer in time")
    return Refused(Reason.UNAVAILABLE, f"Model Armor answered with an error: {error}")
