"""Whether an endpoint on Cloud Run is seen in Cloud Monitoring: samples, panels, and alerts that could fire and be heard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

from homeport.engines.metric_names import selected
from homeport.errors import ApiDisabled, HomeportError, NotFound, PermissionDenied, SpecError
from homeport.gateway.callers import LABEL as CALLER
from homeport.gateway.callers import PROVEN, REQUESTS, UNKNOWN
from homeport.google import Google
from homeport.json_types import JsonObject
from homeport.observe.chart import LABEL as NAMESPACE
from homeport.observe.chart import REGION, Alert
from homeport.observe.check import (
    ObserveFinding,
    RuleWords,
    alert,
    clock,
    failed,
    ok,
    panel,
    unknown_yet,
)
from homeport.observe.panels import Watched
from homeport.observe.query import LoadedRule, PrometheusApi, of_project
from homeport.reconcile import Resource
from homeport.reconcile.plan import ActionKind, action_for
from homeport.resources.google.monitoring import COLLECTIONS, POLICY
from homeport.resources.google.rest import LABEL
from homeport.targets.cloudrun.invokers import Openness, openness
from homeport.targets.cloudrun.observe.collector import APIS as SPANS
from homeport.targets.cloudrun.observe.collector import COLLECTOR
from homeport.targets.cloudrun.observe.sidecar import SIDECAR, Observing
from homeport.targets.cloudrun.verification.caller_probe import NOBODY
from homeport.targets.cloudrun.verification.observed_deployment import Body

_AGAIN = "`homeport up --on cloudrun` sets it back"
_NAMELESS = (
    "the tokens do not come as Cloud Run hands them on: something before the service changes them, or this is an account without a name. "
    "`homeport usage --by caller` has these requests as not known"
)
_FORGEABLE = (
    "Cloud Run takes the token away that it looked at, so that no name that was counted can be believed: set callers = false in [observe], "
    "or take the names for what callers say of themselves"
)
_POLICIES = RuleWords(missing="there is no alert policy of it", put=_AGAIN, set_back=_AGAIN)
_LATELY = "2m"
"""Four looks of the sidecar's. Without it the last sample counts for five minutes, since Cloud Monitoring knows no staleness."""
_ASLEEP = "no instance runs, and at zero nothing is measured"


ObserveFindings = tuple[ObserveFinding, ...]
TakenFor = Callable[[], Awaitable[str]]
"""Asks the gateway whom it takes somebody for who shows his own token and one that he made up."""


async def look(
    google: Google, observing: Observing | None, service: Body, taken_for: TakenFor | None = None
) -> ObserveFindings:
    """
    Return what Cloud Monitoring has of the endpoint whose `service` is live; nothing is woken.

    Where an instance runs and counts by caller, it is asked by `taken_for` whether a made-up name is believed.

    Raises `SpecError` for a file without `[observe]`, and whatever keeps the metrics from being read.
    """
    if observing is None:
        raise SpecError(
            "the file has no [observe], so nothing is measured on Cloud Run",
            hint="add it, then `homeport up`",
        )
    api, watched = of_project(google), observing.watched
    samples = await _samples(api, observing, service)
    # What follows from a lack of samples is told once, with the cause.
    why = _why_none(samples)
    findings = [await clock(api), samples]
    findings += [await panel(chart, api, empty_while=why) for chart in watched.panels()]
    policies = await _policies(google, watched.name)
    for expected in watched.alerts():
        findings.append(await _alert(expected, policies.get(expected.name), observing, api, why))
    findings += await _callers(google, api, observing, why)
    findings += await _names(findings, taken_for)
    return (*findings, *await _uptime(observing), *await _traces(google, observing, service))


def _why_none(samples: ObserveFinding) -> str:
    """Return why nothing can be known of what is measured; '' where it can."""
    return "" if samples.verdict == "ok" else "no samples arrive" if samples.verdict == "failed" else _ASLEEP


async def _callers(
    google: Google, api: PrometheusApi, observing: Observing, why: str
) -> tuple[ObserveFinding, ...]:
    """Return whether counts by caller arrive, and whether their names can be believed; nothing where the file wants none."""
    if not observing.observe.callers:
        return ()
    try:
        open_to_all = await openness(google, observing.names.service)
    except PermissionDenied as error:
        return (unknown_yet("callers", f"whether the service is open to everybody cannot be read: {error}"),)
    if open_to_all is Openness.OPEN:
        text = "the service is open to everybody, who may write any name into a request"
        return (failed("callers", text, _AGAIN),)
    if open_to_all is Openness.PERHAPS:
        text = "everybody has a role on the service of which it is not known here whether it lets them call"
        return (unknown_yet("callers", text),)
    return (await _counts(api, observing, why),)


async def _counts(api: PrometheusApi, observing: Observing, why: str) -> ObserveFinding:
    """Return whether counts by caller arrive, and a name in any of them: those without one are there from the start."""
    series, place = f"{REQUESTS}_total", _place(observing).removesuffix("}")
    if await api.instant(f'count({series}{place},{CALLER}!="{UNKNOWN}"}})'):
        return ok("callers", "they are counted, by the tokens that Cloud Run has looked at")
    without_name = await api.instant(f"sum({series}{place}}})")
    if any(sample.value for sample in without_name):
        text = f"{without_name[0].value:.0f} requests are counted, and of none is it known who sent it"
        return failed("callers", text, _NAMELESS)
    if without_name or why:
        return unknown_yet("callers", why or "no request for the model has been counted yet")
    text = "no counts by caller arrive, though the engine's do"
    return failed("callers", text, f"{await _wrong(observing) or 'the gateway may not tell them'}: {_AGAIN}")


async def _names(found: Iterable[ObserveFinding], taken_for: TakenFor | None) -> tuple[ObserveFinding, ...]:
    """Return whether a made-up name is believed; nothing where callers are not counted, or nobody was seen who could be asked."""
    counted = any(one.what == "callers" and one.verdict == "ok" for one in found)
    runs = any(one.what == "samples" and one.verdict == "ok" for one in found)
    if taken_for is None or not counted or not runs:
        return ()
    try:
        caller = await taken_for()
    except HomeportError as error:
        return (unknown_yet("callers' names", f"whether a made-up one is believed was not told: {error}"),)
    if caller == NOBODY:
        text = f"whoever may call and shows his own token in {PROVEN} is taken for whom he names in authorization"
        return (failed("callers' names", text, _FORGEABLE),)
    return (ok("callers' names", "a made-up one beside a token that Cloud Run looked at is not believed"),)


async def observe_region(
    google: Google, observing: Observing, service: Body, taken_for: TakenFor | None = None
) -> ObserveFindings:
    """Return what Cloud Monitoring has of a further region of the endpoint, whose `service` is live there."""
    region, api = observing.names.region, of_project(google)
    samples = await _samples(api, observing, service)
    counted = await _callers(google, api, observing, _why_none(samples))
    believed = await _names((samples, *counted), taken_for)
    findings = (samples, *counted, *believed, *await _traces(google, observing, service))
    return tuple(replace(finding, what=f"{finding.what} in {region}") for finding in findings)


def missing_region(region: str, error: NotFound) -> ObserveFindings:
    """Return that there is nothing to look at in a further region."""
    return (failed(f"samples in {region}", str(error), _AGAIN),)


async def _uptime(observing: Observing) -> ObserveFindings:
    """Return whether Google may ask, and does; nothing where nobody wants that. What it was answered is told by panel and alert."""
    if observing.probe is None:
        return ()
    if wrong := await _deviations(observing.probe.resources()):
        return (failed("uptime", f"Google does not ask as it should: {wrong}", _AGAIN),)
    return (ok("uptime", "the check is there and switched on, and who asks may call the service"),)


async def _traces(google: Google, observing: Observing, service: Body) -> ObserveFindings:
    """Return whether spans can get to Cloud Trace; nothing where none are wanted. Whether they do is not asked."""
    if not observing.observe.traces:
        return ()
    try:
        off = [f"{api}.googleapis.com" for api in SPANS if not await _is_on(google, api)]
    except PermissionDenied as error:
        return (unknown_yet("traces", f"whether both APIs that spans need are on cannot be read: {error}"),)
    if off:
        return (
            failed(
                "traces", f"{' and '.join(off)} {'is' if len(off) == 1 else 'are'} off: spans are dropped, and nobody is told",
                f"gcloud services enable {' '.join(off)} --project={google.project}; `homeport up --on cloudrun` does it, too",
            ),
        )  # fmt: skip
    if COLLECTOR not in {container.get("name") for container in service["template"]["containers"]}:
        return (failed("traces", "no collector stands beside the engine", _AGAIN),)
    if wrong := await _wrong(observing):
        return (failed("traces", f"spans may not be written: {wrong}", _AGAIN),)
    return (
        ok(
            "traces",
            "the collector stands beside the engine, may write, and both APIs that it needs are on; by Google's documentation "
            "Cloud Run samples one request in 10 s of each instance at most where clients ask for none, and of others there is no span",
        ),
    )


async def _is_on(google: Google, api: str) -> bool:
    path = f"v1/projects/{google.project}/services/{api}.googleapis.com"
    return bool((await google.get("serviceusage", path)).get("state") == "ENABLED")


async def _samples(api: PrometheusApi, observing: Observing, service: Body) -> ObserveFinding:
    watched = observing.watched
    place = _place(observing)
    up = await api.instant(f"last_over_time({watched.up_of(place)}[{_LATELY}])")
    if any(sample.value == 1 for sample in up):
        return await _engines(api, watched, place, len(up))
    if up:
        return failed(
            "samples", "the sidecar asks the engine, and gets no metrics from it",
            "`homeport logs --on cloudrun` has what the engine wrote; the port in the sidecar's settings may be another: "
            f"{await _wrong(observing) or _AGAIN}",
        )  # fmt: skip
    if SIDECAR not in {container.get("name") for container in service["template"]["containers"]}:
        return failed("samples", "no sidecar stands beside the engine", _AGAIN)
    wrong = await _wrong(observing)
    if wrong:
        return failed("samples", f"none arrive: {wrong}", _AGAIN)
    running = await api.instant(
        "sum(run_googleapis_com:container_instance_count"
        f'{{monitored_resource="cloud_run_revision",service_name="{watched.name}"{_where(observing)}}})'
    )
    if not running or not running[0].value:
        return unknown_yet("samples", f"{_ASLEEP}; `homeport chat --on cloudrun` wakes one")
    return failed(
        "samples", f"{running[0].value:.0f} instances run, and no sample of theirs has come for two minutes",
        "`homeport logs --on cloudrun` has what the sidecar wrote; one that has just started may need a minute",
    )  # fmt: skip


def _place(observing: Observing) -> str:
    """Return the labels by which the series of the endpoint are known, of several regions those of one."""
    return f'{{{NAMESPACE}="{observing.watched.name}"{_where(observing)}}}'


def _where(observing: Observing) -> str:
    return f',{REGION}="{observing.names.region}"' if observing.watched.apart else ""


async def _engines(api: PrometheusApi, watched: Watched, place: str, count: int) -> ObserveFinding:
    """Return whether what arrives is the engine's: of Google's names of metrics, each must be said in full."""
    names = watched.names
    known = (*names.running, *names.waiting, *names.output_tokens)
    if not await api.instant(f"count({' or '.join(f'{selected(series, place)}' for series in known)})"):
        return failed(
            "samples", "they arrive, and none of the engine's series is among them",
            "this version of the engine calls them otherwise, or the sidecar's settings drop them: " + _AGAIN,
        )  # fmt: skip
    return ok(
        "samples",
        f"they arrive: of {count} {'instance' if count == 1 else 'instances'} in the last two minutes",
    )


async def _wrong(observing: Observing) -> str:
    """Return what of the sidecar's settings and of its rights is not as `up` makes it; '' where all is."""
    return await _deviations(observing.before)


async def _deviations(resources: Iterable[Resource]) -> str:
    """Return which of these are not as `up` makes them; '' where all are."""
    deviations = []
    for resource in resources:
        kind = action_for(resource, await resource.read(), {}).kind
        if kind is not ActionKind.NONE:
            deviations.append(
                f"{resource.id} {'is not there' if kind is ActionKind.CREATE else 'was changed'}"
            )
    return "; ".join(deviations)


async def _policies(google: Google, name: str) -> Mapping[str, JsonObject]:
    """Return the endpoint's alert policies by the rules that they hold."""
    version, collection = COLLECTIONS[POLICY]
    policies = {}
    try:
        async for policy in google.pages(
            "monitoring", f"{version}/projects/{google.project}/{collection}", collection
        ):
            if policy.get("userLabels", {}).get(LABEL) == name:
                policies[_condition(policy).get("alertRule", "")] = policy
    except ApiDisabled:
        return {}
    return policies


async def _alert(
    expected: Alert, policy: JsonObject | None, observing: Observing, api: PrometheusApi, why: str
) -> ObserveFinding:  # fmt: skip
    subject = f"alert: {expected.name}"
    if policy is None:
        return await alert(expected, None, api, _POLICIES)
    if policy.get("enabled") is False:
        return failed(subject, "its alert policy is switched off", _AGAIN)
    if observing.observe.alerts and not policy.get("notificationChannels"):
        return failed(subject, "its alert policy would fire, and writes to nobody", _AGAIN)
    query = str(_condition(policy).get("query", ""))
    rule = LoadedRule(name=expected.name, query=query, labels={}, state="", health="ok", error="")
    finding = await alert(expected, rule, api, _POLICIES, empty_while=why)
    if finding.verdict == "ok" and await api.instant(expected.query):
        return failed(subject, f"its condition holds now: {expected.summary}", expected.todo)
    return finding


def _condition(policy: JsonObject) -> JsonObject:
    return next(
        (
            condition["conditionPrometheusQueryLanguage"]
            for condition in policy.get("conditions", ())
            if "conditionPrometheusQueryLanguage" in condition
        ),
        {},
    )
