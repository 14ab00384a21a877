"""
Google's Model Armor as the screen: one call of REST a text, against a template in the service's region.

Whatever is not "all filters ran, and none found anything" is a refusal. Google's own answer for a text that is longer than
a filter takes is `NO_MATCH_FOUND` with `EXECUTION_SKIPPED`: not screened, and not clean.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from homeport.backoff import Backoff
from homeport.errors import (
    HomeportError,
    InvalidArgument,
    NetworkError,
    NoCredentials,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
)
from homeport.gateway.screens.base import FILTERS
from homeport.gateway.verdict import Reason, Refused, Side
from homeport.google import Google, Settings
from homeport.google.retry import Pace
from homeport.json_types import Json

_KEYS = {"injection": "pi_and_jailbreak", "harm": "rai", "secrets": "sdp", "urls": "malicious_uris"}
"""Our names of filters, and Google's in its answers."""
_NAMES = {theirs: ours for ours, theirs in _KEYS.items()}
_SHORT = 65_536
"""A text with no more characters has no more tokens than any filter takes."""
_FIRST_WAIT_S = 0.1
_TRIES = 2
_PATIENCE = 0.7
"""The share of the deadline that is spent on waiting for room, so that the reason can still be told."""
ONE_TRY = Settings(deadline=6.0, attempt=6.0, parallel=256, pace=Pace(tries=1, connects=1))
"""How the client of Google's is set: whether a refusal is tried again is decided here."""


class ModelArmorScreen:
    """Asks `sanitizeUserPrompt` and `sanitizeModelResponse` of one template."""

    def __init__(
        self, door: Google, *, template: str, filters: Collection[str] = FILTERS, deadline_s: float = 8.0
    ) -> None:
        """Take the template's path, such as `projects/P/locations/L/templates/T`, and the filters that it must have."""
        self._door, self._template = door, template
        self._patience = deadline_s * _PATIENCE
        self._api = f"modelarmor.{template.split('/')[3]}.rep"
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
        answer = await self._sanitized(method, {key: {"text": text}})
        result = answer.get("sanitizationResult") if isinstance(answer, dict) else None
        if not isinstance(result, dict):
            raise Refused(Reason.UNAVAILABLE, "Model Armor answered without a result")
        return self._read(result, text)

    async def _sanitized(self, method: str, body: Json) -> Json:
        """Return Google's answer. What has no room waits for some until shortly before the deadline; what fails is tried again."""
        wait = Backoff(
            what="room in Model Armor's quota", within=self._patience, first=_FIRST_WAIT_S, longest=1.0
        )
        failures = 0
        while True:
            try:
                return await self._door.post(
                    self._api, f"v1/{self._template}:{method}", body, repeatable=True
                )
            except HomeportError as error:
                refused = _failed(error)
                failures += refused.reason is not Reason.QUOTA
                again = refused.reason is Reason.QUOTA or (
                    refused.reason is Reason.UNAVAILABLE and failures < _TRIES
                )
                if not again or not await wait.pause():
                    raise refused from error

    def _read(self, result: Mapping[str, Json], text: str) -> tuple[str, ...]:
        results = result.get("filterResults")
        each = {key: _inner(report) for key, report in results.items()} if isinstance(results, dict) else {}
        matched = [key for key, report in each.items() if report.get("matchState") == "MATCH_FOUND"]
        if result.get("filterMatchState") == "MATCH_FOUND" or matched:
            return tuple(_NAMES.get(key, key) for key in matched) or ("unnamed",)
        skipped = [key for key, report in each.items() if report.get("executionState") != "EXECUTION_SUCCESS"]
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


def _inner(report: Json) -> Mapping[str, Json]:
    """Return what a filter says of itself; the one for data has it one level deeper."""
    verdict: Json = next(iter(report.values()), {}) if isinstance(report, dict) else {}
    if isinstance(verdict, dict):
        for key in ("inspectResult", "deidentifyResult"):
            if isinstance(verdict.get(key), dict):
                verdict = verdict[key]
                break
    return verdict if isinstance(verdict, dict) else {}


def _failed(error: HomeportError) -> Refused:
    if isinstance(error, QuotaExceeded):
        return Refused(Reason.QUOTA, "Model Armor's quota is spent, and stayed so until the deadline")
    if isinstance(error, PermissionDenied | NoCredentials | NotFound):
        return Refused(Reason.DENIED, f"Model Armor does not screen for this gateway: {error}")
    if isinstance(error, InvalidArgument):
        # It is this text that Google does not take: others must not wait because of it.
        return Refused(Reason.SKIPPED, f"Model Armor does not take this text: {error}")
    if isinstance(error, NetworkError):
        late = "was not answered within" in str(error)
        return Refused(Reason.TIMEOUT if late else Reason.UNAVAILABLE, "Model Armor did not answer in time")
    return Refused(Reason.UNAVAILABLE, f"Model Armor answered with an error: {error}")
