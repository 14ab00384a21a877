"""What the organisation forbids, against what a deployment does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from homeport.errors import HomeportError, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.targets.cloudrun.preflight.finding import (
    PreflightFinding,
    not_checked,
    ok,
    problem,
    unseen,
    warning,
)
from homeport.targets.cloudrun.preflight.request import PreflightInput

Rule = Mapping[str, Json]
_ASK = "ask those who look after the organisation's policies"
_AREAS = {"us": ("us-", "northamerica-"), "eu": ("europe-",), "europe": ("europe-",), "asia": ("asia-",)}
"""Groups of locations by the beginnings of their regions. The group `eu` leaves out two of Europe's regions."""
_NOT_EU = ("europe-west2", "europe-west6")


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint, and how its rules are held against what is asked."""

    name: str
    judge: Callable[[str, Sequence[Rule], PreflightInput], PreflightFinding]


async def policies(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Return one finding for each constraint that matters here; a single one where none of them can be read."""
    results = await asyncio.gather(
        *(_check_constraint(google, asked, constraint) for constraint in CONSTRAINTS)
    )
    unread = [result for result in results if isinstance(result, HomeportError)]
    if len(unread) == len(results):
        first, names = unseen("policy", unread[0]), [constraint.name for constraint in CONSTRAINTS]
        return [not_checked("policy", f"{', '.join(names)}: {first.text}", first.hint, constraints=names)]
    return [
        unseen(f"policy/{constraint.name}", result) if isinstance(result, HomeportError) else result
        for constraint, result in zip(CONSTRAINTS, results, strict=True)
    ]


async def _check_constraint(
    google: Google, asked: PreflightInput, constraint: Constraint
) -> PreflightFinding | HomeportError:
    subject = f"policy/{constraint.name}"
    path = f"v2/projects/{asked.project}/policies/{constraint.name}:getEffectivePolicy"
    try:
        policy = await google.get("orgpolicy", path)
    except NotFound:
        return ok(subject, "there is no such policy")
    except HomeportError as error:
        return error
    rules = policy.get("spec", {}).get("rules", ())
    if any(rule.get("condition") for rule in rules):
        how = f"gcloud org-policies describe {constraint.name} --effective --project={asked.project}"
        return not_checked(subject, "it depends on tags, which homeport does not evaluate", how)
    return constraint.judge(subject, rules, asked)


def _ingress(subject: str, rules: Sequence[Rule], asked: PreflightInput) -> PreflightFinding:
    if _allows(rules, asked.ingress):
        return ok(subject, f"ingress {asked.ingress} is allowed")
    values = _allowed(rules)
    hint = f"set access.isolated = true, or {_ASK}" if "internal" in values and not asked.isolated else _ASK
    return problem(
        subject, f"ingress {asked.ingress} is forbidden; allowed: {_words(values)}", hint, allowed=values
    )


def _egress(subject: str, rules: Sequence[Rule], asked: PreflightInput) -> PreflightFinding:
    refused = [egress for egress in sorted({"all-traffic", *asked.egress}) if not _allows(rules, egress)]
    if not refused:
        return ok(subject, "all egress may go through the network")
    values = _allowed(rules)
    return problem(
        subject,
        f"egress {' and '.join(refused)} is forbidden; allowed: {_words(values)}",
        _ASK,
        allowed=values,
    )


def _locations(subject: str, rules: Sequence[Rule], asked: PreflightInput) -> PreflightFinding:
    values, denied = _allowed(rules), _denied(rules)
    places = {asked.region, f"in:{asked.region}-locations"} | _groups(asked.region)
    if any(rule.get("denyAll") for rule in rules) or places & set(denied):
        return problem(subject, f"nothing may be made in {asked.region}", f"set cloudrun.region, or {_ASK}")
    if not values or places & set(values):
        return ok(subject, f"{asked.region} is allowed", allowed=values)
    shown = _words(values)
    unknown = [value for value in values if value.startswith("in:") and not _is_known(value)]
    if unknown:
        text = f"whether {asked.region} is allowed is not known: {shown}"
        return warning(
            subject, text, f"do these groups hold {asked.region}? If not, set cloudrun.region", allowed=values
        )
    hint = f"set cloudrun.region to a region of those, or {_ASK}"
    return problem(subject, f"nothing may be made in {asked.region}; allowed: {shown}", hint, allowed=values)


def _domains(subject: str, rules: Sequence[Rule], asked: PreflightInput) -> PreflightFinding:
    return _members(subject, asked, _allowed(rules), any(rule.get("denyAll") for rule in rules))


def _subjects(subject: str, rules: Sequence[Rule], asked: PreflightInput) -> PreflightFinding:
    held = [rule for rule in rules if rule.get("enforce")]
    values = [
        str(value)
        for rule in held
        for key in ("allowedMemberSubjects", "allowedPrincipalSets")
        for value in rule.get("parameters", {}).get(key, ())
    ]
    unlisted = tuple(member for member in asked.callers if member not in values)
    return _members(subject, asked, values, bool(held) and not values, callers=unlisted)


def _members(
    subject: str,
    asked: PreflightInput,
    values: Sequence[str],
    nobody: bool,
    *,
    callers: Sequence[str] | None = None,
) -> PreflightFinding:
    if not values and not nobody:
        return ok(subject, "grants are not restricted")
    if asked.public and not {"allUsers", "is:allUsers"} & set(values):
        # The service would be opened without a grant: the check of callers is switched off instead.
        text = "allUsers cannot be granted anything; a public service needs its check of callers off instead"
        return warning(
            subject,
            text,
            f"`up` sets invokerIamDisabled where it may; otherwise {_ASK}",
            allowed=list(values),
        )
    own_domain = f"@{asked.project}.iam.gserviceaccount.com"
    doubtful = [
        caller
        for caller in (asked.callers if callers is None else callers)
        if not caller.endswith(own_domain)
    ]
    if doubtful:
        text = f"only some may be granted anything; whether {', '.join(doubtful)} may is not known"
        return warning(
            subject,
            text,
            f"are they of {', '.join(values) or 'the organisation'}? If not, {_ASK}",
            allowed=list(values),
        )
    return ok(
        subject, "grants are restricted, and go to this project's own accounts only", allowed=list(values)
    )


def _accounts(subject: str, rules: Sequence[Rule], asked: PreflightInput) -> PreflightFinding:
    if not _enforced(rules):
        return ok(subject, "service accounts may be made")
    hint = f"have the service accounts made by somebody else and name them, or {_ASK}"
    return problem(subject, "service accounts cannot be made, and homeport uses none of Google's own", hint)


def _invokers(subject: str, rules: Sequence[Rule], asked: PreflightInput) -> PreflightFinding:
    if asked.public and _enforced(rules):
        return problem(
            subject,
            "callers must be checked; a public service is forbidden",
            f"set access.public = false, or {_ASK}",
        )
    return ok(subject, "callers are checked" if not asked.public else "a service may be public")


def _done_anyway(subject: str, rules: Sequence[Rule], asked: PreflightInput) -> PreflightFinding:
    return ok(subject, "asked for" if _enforced(rules) else "not asked for; homeport does it anyway")


CONSTRAINTS = (
    Constraint("run.allowedIngress", _ingress),
    Constraint("run.allowedVPCEgress", _egress),
    Constraint("gcp.resourceLocations", _locations),
    Constraint("iam.allowedPolicyMemberDomains", _domains),
    Constraint("iam.managed.allowedPolicyMembers", _subjects),
    Constraint("iam.disableServiceAccountCreation", _accounts),
    Constraint("run.managed.requireInvokerIam", _invokers),
    Constraint("storage.uniformBucketLevelAccess", _done_anyway),
    Constraint("storage.publicAccessPrevention", _done_anyway),
)
"""Those that a deployment of homeport's can break, and two that it keeps by itself."""


def _allows(rules: Sequence[Rule], value: str) -> bool:
    if any(rule.get("denyAll") for rule in rules) or {value, f"is:{value}"} & set(_denied(rules)):
        return False
    allowed = _allowed(rules)
    return not allowed or bool({value, f"is:{value}"} & set(allowed))


def _allowed(rules: Sequence[Rule]) -> list[str]:
    if any(rule.get("allowAll") for rule in rules):
        return []
    return [str(value) for rule in rules for value in rule.get("values", {}).get("allowedValues", ())]


def _denied(rules: Sequence[Rule]) -> list[str]:
    return [str(value) for rule in rules for value in rule.get("values", {}).get("deniedValues", ())]


def _enforced(rules: Sequence[Rule]) -> bool:
    return any(rule.get("enforce") for rule in rules)


def _groups(region: str) -> set[str]:
    """Return the groups of locations that hold a region, as far as they are known."""
    areas = {area for area, starts in _AREAS.items() if region.startswith(starts)}
    if region in _NOT_EU:
        areas.discard("eu")
    return {f"in:{area}-locations" for area in areas}


def _is_known(group: str) -> bool:
    name = group.removeprefix("in:").removesuffix("-locations")
    return name in _AREAS or name[-1:].isdigit()


def _words(values: Sequence[str]) -> str:
    return ", ".join(values) or "nothing"
