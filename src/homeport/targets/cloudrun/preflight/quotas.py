"""What the instances need of the region's quotas, against what the project has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from homeport.catalog import cloudrun
from homeport.errors import ApiDisabled, HomeportError
from homeport.fit.cloud import QuotaFact
from homeport.fit.cloud import quotas as needed
from homeport.google import Google
from homeport.google.quotas import request_command
from homeport.json_types import Json
from homeport.spec import CloudRun, Scaling
from homeport.targets.cloudrun.preflight.finding import (
    PreflightFinding,
    not_checked,
    ok,
    problem,
    unseen,
    warning,
)
from homeport.targets.cloudrun.preflight.request import PreflightInput

SERVICE = "run.googleapis.com"
"""Whose quotas are looked at."""
UNLIMITED = -1
_SCALE = {"CpuAllocPerProjectRegion": 1000, "MemAllocPerProjectRegion": cloudrun.GIB}
"""What one unit of `fit.cloud.quotas` counts at Google; GPUs are in Google's own unit there."""
_NEVER = frozenset({"NO_VALID_BILLING_ACCOUNT", "ON_TRIAL"})
"""Google's words for a project that is given no GPU."""
_AT_FIRST = (
    "Google is said to give a project its first {} when its first deployment is made (its page on GPUs, as quoted in "
    "public; not confirmed), and a project on the free trial none"
)
_UNSEEN = "what other services of the region use of it is not visible here"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaNeed:
    """A quota with what one instance counts in it, in Google's unit."""

    quota: QuotaFact
    each: int
    count: int
    extra: int = 0
    """What other services of the endpoint count in it."""

    @property
    def wanted(self) -> int:
        """Return what all of it counts."""
        return self.each * self.count + self.extra

    @property
    def scale(self) -> int:
        """Return how many of the quota's units make one of those that people read."""
        return _SCALE.get(self.quota.what, 1)

    @property
    def is_gpu(self) -> bool:
        """Tell whether it counts GPUs."""
        return "Gpu" in self.quota.what

    def words(self, value: int) -> str:
        """Return a value of it as people read it."""
        if value == UNLIMITED:
            return "no limit"
        return f"{value / self.scale:g} {self.quota.unit}"

    def instances(self, value: int) -> int:
        """Return how many instances a value is enough for."""
        return self.count if value == UNLIMITED else max(0, value - self.extra) // self.each


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What Cloud Quotas tells of one quota."""

    regions: Mapping[str, int]
    """Values by region; '' is for all that are not named."""
    ineligible: str
    """Why more is not granted without a person, in Google's word; '' where nothing is said."""

    def value(self, region: str) -> int:
        """Return what the project has there; a limit of nothing where the region is not named."""
        return self.regions.get(region, self.regions.get("", 0))


async def quotas(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Return one finding for each quota: enough, or too little with the smallest change that fits and the request for more."""
    if cloudrun.gpu(asked.shape.gpu) is None:
        return [not_checked("quota", f"the catalog knows no GPU {asked.shape.gpu}, nor its quotas")]
    needs = _needs(asked, zonal=asked.zonal_redundancy)
    spare = _needs(asked, zonal=False)[0] if asked.zonal_redundancy else None
    ids = dict.fromkeys(need.quota.what for need in (*needs, *([spare] if spare else [])))
    results = await asyncio.gather(
        *(_info(google, asked.project, name) for name in ids), return_exceptions=True
    )
    infos: dict[str, Info] = {}
    errors: dict[str, HomeportError] = {}
    for name, result in zip(ids, results, strict=True):
        if isinstance(result, Info):
            infos[name] = result
        elif isinstance(result, HomeportError):
            errors[name] = result
        else:
            raise result
    who = await _email(google)
    change = _change(asked, needs, spare, infos)
    return [
        _unread(need, errors[need.quota.what])
        if need.quota.what in errors
        else _judged(asked, need, infos[need.quota.what], change, who)
        for need in needs
    ]


async def room(google: Google, asked: PreflightInput) -> str:
    """
    Return '' where the quotas hold one instance more than the service may have; else that they do not, with what they lack,
    or that it is not known, and why.
    """
    beside = "beside those that the service may have"
    needs = _needs(replace(asked, max_instances=asked.max_instances + 1), zonal=False)
    for need in needs:
        # A GPU with zonal redundancy counts in a quota of its own.
        required = replace(need, count=1) if need.is_gpu and asked.zonal_redundancy else need
        try:
            have = (await _info(google, asked.project, need.quota.what)).value(asked.region)
        except HomeportError as error:
            return f"it is not known whether the quotas hold one {beside}: {need.quota.what} could not be read ({error})"
        if have != UNLIMITED and required.wanted > have:
            lacking = (
                f"{required.words(required.wanted)} wanted in {asked.region}, {required.words(have)} there"
            )
            return f"the quotas hold none {beside}: {lacking}"
    return ""


def request(asked: PreflightInput, need: QuotaNeed, who: str) -> str:
    """Return the exact command that asks Google for enough."""
    return request_command(
        project=asked.project,
        region=asked.region,
        quota=need.quota.what,
        value=need.wanted,
        why=f"{asked.max_instances} instances of {asked.shape.text}",
        email=who,
    )


def _needs(asked: PreflightInput, *, zonal: bool) -> tuple[QuotaNeed, ...]:
    settings = CloudRun.model_construct(
        region=asked.region,
        gpu=asked.shape.gpu,
        zonal_redundancy=zonal,
    )
    counts = Scaling.model_construct(min=asked.min_instances, max=asked.max_instances)
    others = {
        "CpuAllocPerProjectRegion": asked.companions.cpu,
        "MemAllocPerProjectRegion": asked.companions.memory_gib,
    }
    return tuple(
        QuotaNeed(
            quota=replace(quota, needs=quota.needs + others.get(quota.what, 0)),
            extra=round(others.get(quota.what, 0) * _SCALE.get(quota.what, 1)),
            each=round(quota.needs * _SCALE.get(quota.what, 1)) // asked.max_instances,
            count=asked.max_instances,
        )
        for quota in needed(asked.shape, settings, counts, asked.beside)
    )


async def _info(google: Google, project: str, name: str) -> Info:
    path = f"v1/projects/{project}/locations/global/services/{SERVICE}/quotaInfos/{name}"
    return _read(await google.get("cloudquotas", path))


def _read(body: Mapping[str, Json]) -> Info:
    """Read a quota. Google puts the more specific dimensions first, and leaves out a value of nothing."""
    regions: dict[str, int] = {}
    for entry in body.get("dimensionsInfos", ()):
        value = int(entry.get("details", {}).get("value", 0))
        named = entry.get("dimensions", {}).get("region")
        for region in [named] if named else entry.get("applicableLocations", ()):
            regions.setdefault(region, value)
        if not entry.get("dimensions"):
            regions.setdefault("", value)
    eligibility = body.get("quotaIncreaseEligibility", {})
    return Info(regions=regions, ineligible=eligibility.get("ineligibilityReason", ""))


def _judged(asked: PreflightInput, need: QuotaNeed, info: Info, change: str, who: str) -> PreflightFinding:
    have, required = info.value(asked.region), need.wanted
    subject = f"quota/{need.quota.what}"
    data = {
        "needs": required,
        "has": have,
        "unit": need.quota.unit,
        "instances": need.instances(have),
        "ineligible": info.ineligible,
    }
    text = f"{need.words(required)} wanted in {asked.region}, {need.words(have)} there"
    if have == UNLIMITED:
        return ok(subject, text, **data)
    first_grant = _given_at_first(asked, need, info)
    if first_grant and required > first_grant:
        fewer = f"set scaling.max = {first_grant // need.each}"
        ask = f"{fewer}; or ask for more: {request(asked, need, who)}"
        return problem(subject, f"{text}; {_AT_FIRST.format(first_grant // need.each)}", ask, **data)
    if first_grant:
        hint = (
            f"go on: Google decides when the service is made; where it refuses: {request(asked, need, who)}"
        )
        return warning(subject, f"{text}; {_AT_FIRST.format(first_grant // need.each)}", hint, **data)
    if required > have:
        ask = request(asked, need, who)
        return problem(
            subject, text + _of_a_trial(need, have, info), f"{change}; or ask for more: {ask}", **data
        )
    if need.is_gpu and have < 2 * need.each:
        hint = f"a change of the running service is verified beside it: ask for two, or expect it to wait; {request_two(asked, need, who)}"
        return warning(subject, f"{text}, and none for a second revision; {_UNSEEN}", hint, **data)
    return ok(subject, f"{text}; {_UNSEEN}", **data)


def _given_at_first(asked: PreflightInput, need: QuotaNeed, info: Info) -> int:
    """
    Return what Google gives of a quota when a project's first deployment is made, where that may be still to come.

    It is not where the project has some of it anywhere, or where Google says that it grants nothing.
    """
    gpu = cloudrun.gpu(asked.shape.gpu)
    if gpu is None or asked.zonal_redundancy or not need.is_gpu or any(info.regions.values()):
        return 0
    return 0 if info.ineligible in _NEVER else gpu.given_at_first * gpu.quota_unit


def request_two(asked: PreflightInput, need: QuotaNeed, who: str) -> str:
    """Return the exact command that asks for room for a second instance."""
    return request(asked, replace(need, count=2), who)


def _of_a_trial(need: QuotaNeed, have: int, info: Info) -> str:
    if not need.is_gpu or have:
        return ""
    if info.ineligible in _NEVER:
        return f"; Google says {info.ineligible}: a billing account on the free trial has no GPUs"
    return "; none at all is what a project on the free trial has, and some new ones"


def _change(
    asked: PreflightInput, needs: Sequence[QuotaNeed], spare: QuotaNeed | None, infos: Mapping[str, Info]
) -> str:
    """Return the smallest change of homeport.toml that fits what the project has."""

    def fits(region: str, several: Sequence[QuotaNeed]) -> int:
        known = [need for need in several if need.quota.what in infos]
        return min((need.instances(infos[need.quota.what].value(region)) for need in known), default=0)

    count = fits(asked.region, needs)
    if count >= 1:
        return f"set scaling.max = {count}"
    if spare is not None and (without := fits(asked.region, (spare, *needs[1:]))):
        fewer = f" and scaling.max = {without}" if without < asked.max_instances else ""
        return f"set cloudrun.zonal_redundancy = false{fewer}"
    gpu = cloudrun.gpu(asked.shape.gpu)
    others = {
        region: fits(region, needs) for region in (gpu.regions if gpu else ()) if region != asked.region
    }
    best = max(others, key=lambda region: min(others[region], asked.max_instances), default="")
    if best and others[best]:
        fewer = f" with scaling.max = {others[best]}" if others[best] < asked.max_instances else ""
        return f"set cloudrun.region = {best!r}{fewer}, whose quotas are enough"
    return "no setting of homeport.toml fits what the project has of it in any region with this GPU"


def _unread(need: QuotaNeed, error: HomeportError) -> PreflightFinding:
    finding = unseen(f"quota/{need.quota.what}", error)
    likely = "would be enough" if need.quota.suffices else "would not be enough"
    if need.quota.default is None:
        likely = "is not known to be enough"
    hint = finding.hint if isinstance(error, ApiDisabled) else error.hint
    default = f"{need.quota.text}; that {likely}"
    return not_checked(finding.subject, f"{finding.text}; {default}", hint, needs=need.wanted)


async def _email(google: Google) -> str:
    try:
        return await google.credentials.who()
    except HomeportError:
        return ""
