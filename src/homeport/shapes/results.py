"""The shapes of what the verbs return."""

from __future__ import annotations

from typing import Literal

from pydantic import RootModel

from homeport.contract import ClauseVerdict
from homeport.doctor import DoctorVerdict
from homeport.json_types import Json
from homeport.reconcile import ActionKind
from homeport.results import EndpointPart
from homeport.shapes.base import JsonShape
from homeport.verify.report import Outcome


class ErrorShape(JsonShape):
    """An error, in the place of a result: its class, what happened, what to do, and the exit code."""

    error: str
    message: str
    hint: str
    url: str
    exit_code: int


class ActionShape(JsonShape):
    """One resource, and what would be done to it."""

    kind: ActionKind
    id: str
    summary: str
    changes: list[Json]


class FindingShape(JsonShape):
    """What one look beforehand found."""

    subject: str
    verdict: str
    text: str
    hint: str
    data: dict[str, Json]


class PreflightShape(JsonShape):
    """What was looked at before anything is made."""

    problems: int
    warnings: int
    not_checked: int
    findings: list[FindingShape]


class PlanShape(JsonShape):
    """What `up` would do."""

    name: str
    target: str
    changes_pending: bool
    actions: list[ActionShape]
    facts: Json
    warnings: list[str]
    problems: list[str]
    preflight: PreflightShape | None


class CheckShape(JsonShape):
    """The result of one check."""

    name: str
    title: str
    outcome: Outcome
    detail: str
    seconds: float
    evidence: dict[str, Json]


class ReportShape(JsonShape):
    """The report of a verification."""

    endpoint: str
    model: str
    engine: str
    weights_digest: str
    started_at: str
    seconds: float
    passed: bool
    results: list[CheckShape]


class EndpointShape(JsonShape):
    """Where an endpoint answers, and as what."""

    name: str
    base_url: str
    model: str


class UpShape(JsonShape):
    """The result of `up` and of `swap`."""

    endpoint: EndpointShape
    changed: list[str]
    access: dict[str, str]
    """Who may use the endpoint: label and words."""
    timeline_s: dict[str, float]
    report: ReportShape | None


class RemovalShape(JsonShape):
    """The result of `down`."""

    name: str
    removed: list[str]
    kept: str
    """What stays on purpose, and how it is removed; empty for nothing."""


class RollbackShape(JsonShape):
    """The result of `rollback`."""

    serving: str
    """What serves now: a revision, or here a model."""
    endpoint: EndpointShape | None
    """Null where it could not be read once that served."""
    changed: list[str]
    timeline_s: dict[str, float]
    report: ReportShape | None
    """Null where nothing was verified anew: on Cloud Run it was, before it first served."""


class GuardProbeShape(JsonShape):
    """What became of one text that `guard test` sent."""

    api: str
    streamed: bool
    place: str
    filter: str
    """`none` for the harmless question."""
    outcome: Literal["refused", "passed", "taken", "unscreened", "not offered", "failed"]
    reason: str
    seconds: float
    good: bool
    """Whether it is as it should be."""
    passes: str
    """Where one of Google's roads screens, what of it lets such a text pass, as `guard.unscreened` names it; else ''."""


class ScreenedShape(JsonShape):
    """What a screen says of a text as a prompt, or as an answer."""

    side: Literal["prompt", "answer"]
    outcome: Literal["passes", "stopped", "not screened"]
    filters: list[str]
    reason: str
    detail: str


class GuardTryShape(JsonShape):
    """The result of `guard try`."""

    screen: str
    results: list[ScreenedShape]


class ForgottenShape(JsonShape):
    """The result of `cold-start forget`."""

    forgotten: bool
    """False where there was nothing to forget."""


class WakeShape(JsonShape):
    """The result of `wake`."""

    endpoint: str
    first_token_s: float
    """From the first request to its first token."""
    kept_s: float
    """For how long it was asked again and again after that."""
    requests: int
    failed: int
    usd_per_hour: float | None
    """Of one instance."""
    usd: float | None
    """What one instance cost from the first request to the last; the idle time after it comes on top."""


class ListedShape(JsonShape):
    """One endpoint, by its mark."""

    name: str
    on: str
    region: str
    state: str
    url: str
    model: str
    engine: str
    revision: str
    traffic: dict[str, int]
    min_instances: int | None
    max_instances: int | None
    gpu: str
    usd_per_hour: float | None
    verified: dict[str, Json] | None
    parts: list[EndpointPart]
    other: list[str]


class NotLookedForShape(JsonShape):
    """A kind of thing that was not looked for, or not everywhere: that none is listed does not say that there is none."""

    kind: str
    where: str
    """The regions that were left out; empty where none was asked, or the kind has none."""
    why: str
    do: str
    """What lets it be seen."""


class ListShape(JsonShape):
    """Every endpoint that was found, and what could not be read."""

    endpoints: list[ListedShape]
    unread: list[str]
    not_looked_for: list[NotLookedForShape]
    """What of it was not looked for: those of `unread`, too."""


class DoctorFindingShape(JsonShape):
    """One thing that this machine has or lacks."""

    what: str
    verdict: DoctorVerdict
    detail: str
    hint: str


class ClauseShape(JsonShape):
    """What came of one clause of what homeport relies on in Google Cloud."""

    clause: str
    verdict: ClauseVerdict
    detail: str
    seconds: float


class UntriedShape(JsonShape):
    """What was not tried, and what that would need."""

    question: str
    needs: str


class ContractShape(JsonShape):
    """The result of `doctor --contract`."""

    clauses: list[ClauseShape]
    untried: list[UntriedShape]


class WrittenShape(JsonShape):
    """The result of `export --output`."""

    written: list[str]
    """The paths of the files."""


class ExportedShape(RootModel[dict[str, str]]):
    """What `export` would write: the text of each file, by its path in the folder."""
