"""Is what was deployed to Cloud Run closed to strangers, and what was planned?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from homeport.resources.google.traffic import addresses_of, is_closed
from homeport.secret import Secret
from homeport.targets.cloudrun.edge_backends_check import behind
from homeport.targets.cloudrun.guard_check import guard
from homeport.targets.cloudrun.iap_check import iap_misfit
from homeport.targets.cloudrun.invokers import INVOKERS
from homeport.targets.cloudrun.observed_deployment import (
    INGRESS_ALL,
    ExpectedDeployment,
    ObservedDeployment,
    ProbeToken,
    Sender,
    StoredBucket,
)
from homeport.task import Task
from homeport.verify.check import Check, OnResult, picked
from homeport.verify.checks import access
from homeport.verify.checks.load import together
from homeport.verify.report import Finding, Outcome, Result, failed, passed, skipped
from homeport.verify.runner import names_of

_FEW = ("/", "/v1/models", "/v1/chat/completions")
"""Asked where the front answers, which knows no paths."""
_METRICS = ("/metrics", "/metrics/", "/metrics?name=x", "//metrics", "/v1/../metrics")
"""Spellings of it that some servers take for the same path."""
_AT_ONCE = 8
EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})
_GPU = "nvidia.com/gpu"
_UNLOOKED = "not checked: from here everything is answered with 404, whoever asks: run it within the network"
_PUBLIC = "not checked: the file says public = true, so everybody may call it"


async def verify_deployed(
    deployed: ObservedDeployment, *, only: Sequence[str] = (), on_result: OnResult | None = None
) -> tuple[Result, ...]:
    """
    Return the results of all checks of a deployment, or of those named in `only`; `on_result` hears of each
    as it ends.

    They are meant to stand in a `Report` beside those of the endpoint. None of them needs the GPU, so they are made
    at once, and told in their order.
    """
    results = []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(check.looked(deployed)) for check in picked(CLOUD_CHECKS, only)]
        for task in tasks:
            result = await task
            results.append(result)
            if on_result is not None:
                on_result(result)
    return tuple(results)


async def no_token(deployed: ObservedDeployment) -> Finding:
    """Check that without a token every path that an engine is known to have is refused."""
    if deployed.planned.public:
        return skipped(_PUBLIC)
    paths = list(dict.fromkeys(path for _, path in access.paths().requests))
    return await _refused(deployed, [(deployed.front, path) for path in paths], None, "without a token")


async def stranger(deployed: ObservedDeployment) -> Finding:
    """Check that the token of somebody who may not call it is refused with 403."""
    probe_token = deployed.stranger
    if deployed.planned.public:
        return skipped(_PUBLIC)
    if probe_token.token is None:
        return skipped(f"not checked: {probe_token.why_none}")
    statuses = await _statuses(deployed, [(deployed.front, path) for path in _FEW], probe_token.token)
    if all(status == 401 for status in statuses.values()):
        return skipped("not checked: the stranger's token itself was not taken (401)", statuses=statuses)
    if _unlooked(deployed, statuses):
        return skipped(_UNLOOKED, statuses=statuses)
    whose = (
        f"the token of {probe_token.who}, who may not call it" if probe_token.who else "a stranger's token"
    )
    return _judged(deployed, statuses, f"with {whose}")


async def audience(deployed: ObservedDeployment) -> Finding:
    """Check that a token that was made for another audience is refused."""
    probe_token = deployed.elsewhere
    if deployed.planned.public:
        return skipped(_PUBLIC)
    if probe_token.token is None:
        return skipped(f"not checked: {probe_token.why_none}")
    statuses = await _statuses(deployed, [(deployed.front, path) for path in _FEW], probe_token.token)
    if _unlooked(deployed, statuses):
        return skipped(_UNLOOKED, statuses=statuses)
    return _judged(deployed, statuses, "with a token for another audience")


async def around(deployed: ObservedDeployment) -> Finding:
    """Check that no second way leads to the engine: ingress is as planned, and every other address asks for a token, too."""
    ingress = deployed.service.get("ingress", INGRESS_ALL)
    if ingress != deployed.planned.ingress:
        return failed(f"ingress is {ingress}, not {deployed.planned.ingress}", ingress=ingress)
    containers = deployed.revision.get("containers", ())
    ports = [container.get("name", "") for container in containers if container.get("ports")]
    if len(ports) > 1:
        return failed(f"several containers take requests: {', '.join(ports)}", containers=ports)
    if not containers:
        return skipped("not checked: Cloud Run does not tell which containers the revision has")
    known = list(addresses_of(deployed.service))
    others = [url for url in known if url != deployed.front]
    closed = is_closed(deployed.service)
    if not known:
        return skipped("not checked: Cloud Run tells no address of the service", ingress=ingress)
    if deployed.planned.public and not closed:
        return skipped(_PUBLIC, ingress=ingress)
    if not others:
        return passed(f"ingress is {ingress}, and there is no other address", ingress=ingress)
    requests = [(url, path) for url in others for path in _FEW]
    # Not even a token that opens the load balancer may open the address behind it.
    finding = await _refused(deployed, requests, deployed.own.token if closed else None, "around the front")
    if (
        closed
        and deployed.own.token is None
        and not deployed.planned.public
        and finding.outcome is Outcome.PASSED
    ):
        return skipped(
            "not checked with a token that the load balancer takes, only without one, which is refused: "
            f"{deployed.own.why_none}",
            **finding.evidence,
        )
    return finding


async def private(deployed: ObservedDeployment) -> Finding:
    """Check that only those who are named may call it: no allUsers, and the check of callers is on."""
    if deployed.planned.public:
        return skipped(_PUBLIC)
    if deployed.service.get("invokerIamDisabled"):
        return failed("the check of callers is off (invokerIamDisabled): everybody may call it")
    if wrong := iap_misfit(deployed):
        return failed(wrong, iap=sorted({one.member for one in deployed.entrants}))
    bindings = deployed.policy.get("bindings", ())
    members = sorted({member for binding in bindings for member in binding.get("members", ())})
    if opened := sorted(EVERYBODY.intersection(members)):
        roles = [binding["role"] for binding in bindings if set(binding.get("members", ())) & EVERYBODY]
        return failed(
            f"{' and '.join(opened)} may call it, by {', '.join(roles)}", members=opened, roles=roles
        )
    named = {caller.casefold() for caller in deployed.planned.callers}
    calls = [binding for binding in bindings if binding["role"] in INVOKERS]
    calling = frozenset(member for binding in calls for member in binding.get("members", ()))
    leaving = frozenset(each for each in calling if each.casefold() in deployed.planned.leaving - named)
    if unnamed := frozenset(each for each in calling - leaving if each.casefold() not in named):
        return failed(
            f"{_listed(unnamed)} may call it, though [access] callers does not name them: `homeport up` takes that back",
            members=members,
        )
    if deployed.entrants_unread:
        return skipped(f"not checked: {deployed.entrants_unread}", members=members)
    until = f", and {_listed(leaving)} until this `up` takes it away" if leaving else ""
    return passed(
        f"{len(members) - len(leaving)} named callers, besides those of the project{until}", members=members
    )


async def mount(deployed: ObservedDeployment) -> Finding:
    """Check that buckets are mounted read-only: the planned folders of the bucket of weights, the bucket of caches, and no others."""
    volumes = [volume for volume in deployed.revision.get("volumes", ()) if "gcs" in volume]
    planned, caches = deployed.planned.prefixes, deployed.planned.caches
    if not volumes:
        if planned:
            return failed(f"no bucket is mounted; {_listed(planned)} was planned")
        return skipped("no bucket is mounted: the weights come with the image, or are streamed")
    mounted = set()
    for volume in volumes:
        gcs = volume["gcs"]
        options = [str(option) for option in gcs.get("mountOptions", ())]
        if not gcs.get("readOnly"):
            return failed(f"the volume {volume['name']} (gs://{gcs['bucket']}) can be written", volume=volume)
        if any(option in {"rw", "o=rw"} for option in options):
            return failed(f"an option lets the volume {volume['name']} be written", options=options)
        only = next((option[9:].strip("/") for option in options if option.startswith("only-dir=")), "")
        if caches and (gcs["bucket"], only) == (caches, ""):
            continue
        if only not in planned or gcs["bucket"] != deployed.planned.bucket:
            return failed(
                f"what is mounted is {only or 'the whole bucket'} (gs://{gcs['bucket']}), not "
                f"{_listed(planned) or 'nothing'} (gs://{deployed.planned.bucket})",
                options=options,
            )
        mounted.add(only)
    if planned - mounted:
        return failed(f"not mounted: {_listed(planned - mounted)}", volumes=volumes)
    names = ", ".join(dict.fromkeys(f"gs://{volume['gcs']['bucket']}" for volume in volumes))
    return passed(f"{names} read-only, {_listed(planned)} only", volumes=volumes)


async def image(deployed: ObservedDeployment) -> Finding:
    """Check that the image that runs is the planned one, by the digest that Cloud Run resolved."""
    name, planned = deployed.serving.get("name", ""), deployed.planned.image_digest
    digests = [
        status.get("imageDigest", "")
        for status in deployed.revision.get("containerStatuses", ())
        if status.get("name", "") == name
    ]
    if not digests or not digests[0]:
        return skipped("not checked: Cloud Run does not tell the digest of what runs")
    runs = digests[0].rpartition("@")[2]
    if runs != planned:
        return failed(f"the image {runs[:19]}… runs, not {planned[:19]}…", runs=runs, planned=planned)
    return passed(f"{planned[:19]}…", digest=planned)


async def weights(deployed: ObservedDeployment) -> Finding:
    """Check that the weights and adapters that the revision was made for are the planned ones, and lie in the bucket."""
    planned, bucket = deployed.planned, deployed.bucket
    if planned.baked:
        return skipped("the weights come with the image, whose digest is a check of its own")
    made_for = deployed.revision.get("annotations", {}).get(planned.weights_annotation, "")
    adapted = deployed.revision.get("annotations", {}).get(planned.adapters_annotation, "")
    evidence = {"revision": made_for, "planned": planned.weights_digest, "bucket": bucket.digest}
    if bucket.broken:
        return failed(
            f"not whole: {', '.join(bucket.broken)}. Its manifest or a file of it is missing or another; "
            "`homeport up --on cloudrun` brings it again",
            broken=bucket.broken,
            **evidence,
        )
    # What is not known because the bucket was not read cannot be compared.
    if adapted != planned.adapters and (planned.adapters or not bucket.unread):
        was, now = adapted or "no adapters", planned.adapters or "none"
        return failed(f"the revision was made for {was}, not for {now}", **evidence)
    if not made_for or (made_for != planned.weights_digest and (planned.weights_digest or not bucket.unread)):
        was = f"{made_for[:12]}…" if made_for else "no weights that it names"
        expected = f", not {planned.weights_digest[:12]}…" if planned.weights_digest else ""
        return failed(f"the revision was made for {was}{expected}", **evidence)
    if bucket.unread:
        return skipped(f"the revision names them; the bucket was not read: {bucket.unread}", **evidence)
    if not bucket.digest:
        return failed("there is no manifest of the weights in the bucket", **evidence)
    if bucket.digest != planned.weights_digest:
        return failed(f"the manifest in the bucket is {bucket.digest[:12]}…, another", **evidence)
    count = len(planned.adapters.split())
    beside = f", and {count} adapter{'s' if count > 1 else ''}" if count else ""
    return passed(
        f"manifest {planned.weights_digest[:12]}…{beside}, in the bucket as on the revision", **evidence
    )


async def size(deployed: ObservedDeployment) -> Finding:
    """Check that GPU, concurrency and the most instances are as planned."""
    planned, revision = deployed.planned, deployed.revision
    actual = {
        "GPU": revision.get("nodeSelector", {}).get("accelerator", "none"),
        "GPUs": deployed.serving.get("resources", {}).get("limits", {}).get(_GPU, "0"),
        "concurrency": revision.get("maxInstanceRequestConcurrency"),
        "max_instances": _most(deployed),
        "zonal_redundancy": not revision.get("gpuZonalRedundancyDisabled", False),
    }
    expected = {
        "GPU": planned.gpu,
        "GPUs": "1",
        "concurrency": planned.concurrency,
        "max_instances": planned.max_instances,
        "zonal_redundancy": planned.zonal_redundancy,
    }
    wrong = [
        f"{key} is {actual[key]}, not {value}" for key, value in expected.items() if actual[key] != value
    ]
    if wrong:
        return failed("; ".join(wrong), seen=actual, planned=expected)
    return passed(
        f"{planned.gpu}, {planned.concurrency} requests at once, {planned.max_instances} instances at most",
        **actual,
    )


async def metrics(deployed: ObservedDeployment) -> Finding:
    """Check that what the engine counts, which is open within the instance, is not there from outside: for nobody."""
    if not deployed.planned.observed:
        return skipped(
            "the file has no [observe]: the metrics are where the engine has them, for those who may call it"
        )
    token = None if deployed.planned.public else deployed.own.token
    if token is None and not deployed.planned.public:
        return skipped(f"not checked: {deployed.own.why_none}")
    statuses = await _statuses(deployed, [(deployed.front, path) for path in (*_METRICS, *_FEW)], token)
    if _unlooked(deployed, statuses):
        return skipped(_UNLOOKED, statuses=statuses)
    if set(statuses.values()) <= deployed.refusals:
        return skipped("not checked: who asks from here is let in nowhere", statuses=statuses)
    metric_statuses = {place: statuses[place] for place in statuses if "metrics" in place}
    opened = [
        f"{place} gets {status}"
        for place, status in metric_statuses.items()
        if status not in deployed.refusals | {404}
    ]
    if opened:
        return failed(
            f"the engine's metrics are seen from outside: {'; '.join(opened)}", statuses=metric_statuses
        )
    return passed(
        f"{len(metric_statuses)} requests by one who may call it, all refused or answered with 404",
        statuses=metric_statuses,
    )


CLOUD_CHECKS: tuple[Check[ObservedDeployment], ...] = (
    Check("no-token", "without a token every path is refused", no_token),
    Check("stranger", "a stranger's token is refused", stranger),
    Check("audience", "a token for another audience is refused", audience),
    Check("around", "the engine cannot be reached around the front", around),
    Check("behind", "each path leads to its endpoint, and to nobody without a token", behind),
    Check("metrics", "the engine's metrics are not seen from outside", metrics),
    Check("guard", "what the screen is there for is stopped", guard),
    Check("private", "nobody but the named callers may call it", private),
    Check("mount", "the weights' mount is read-only", mount),
    Check("image", "the image that runs is the planned one", image),
    Check("weights", "the weights are the planned ones", weights),
    Check("size", "GPU, concurrency and instances are as planned", size),
)

AGENT = "agent"
"""The check of the agent beside the model, which is asked as a client of its own."""
CLIENTS = "clients"
"""The check of an API gateway, which is asked as each of its clients."""

ROUTE = "route"
"""The check of a load balancer before several regions, which is asked as clients ask it."""


def check_names(task: Task | None = None) -> list[str]:
    """Return the names of all checks of an endpoint here that serves for `task`; for any where it is None."""
    return [*names_of(task), *(check.name for check in CLOUD_CHECKS), AGENT, CLIENTS, ROUTE]


async def _refused(
    deployed: ObservedDeployment, requests: Sequence[tuple[str, str]], token: Secret | None, how: str
) -> Finding:
    return _judged(deployed, await _statuses(deployed, requests, token), how)


def _unlooked(deployed: ObservedDeployment, statuses: Mapping[str, int]) -> bool:
    """Return True if no token was looked at: outside of its network an internal service has 404 for everybody."""
    return deployed.service.get("ingress", INGRESS_ALL) != INGRESS_ALL and set(statuses.values()) == {404}


def _judged(deployed: ObservedDeployment, statuses: Mapping[str, int], how: str) -> Finding:
    # A request from outside to an internal service gets 404, whatever the path.
    open_to_all = deployed.service.get("ingress", INGRESS_ALL) == INGRESS_ALL
    fine = deployed.refusals if open_to_all else deployed.refusals | {404}
    opened = [f"{place} gets {status}" for place, status in statuses.items() if status not in fine]
    if opened:
        more = f", and {len(opened) - 3} more" if len(opened) > 3 else ""
        return failed(f"not refused {how}: {'; '.join(opened[:3])}{more}", statuses=dict(statuses))
    return passed(f"{len(statuses)} requests {how}, all refused", statuses=dict(statuses))


async def _statuses(
    deployed: ObservedDeployment, requests: Sequence[tuple[str, str]], token: Secret | None
) -> dict[str, int]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def status_at(url: str, path: str) -> tuple[str, int]:
        async with slots:
            return f"{url}{path}", await deployed.sender.status(url, path, token=token)

    return dict(await together(status_at(url, path) for url, path in requests))


def _listed(names: frozenset[str]) -> str:
    return " and ".join(sorted(names))


def _most(deployed: ObservedDeployment) -> int | None:
    """Return the smaller of the limits of the service and of the revision; None where there is neither."""
    limits = [
        resource.get("scaling", {}).get("maxInstanceCount")
        for resource in (deployed.service, deployed.revision)
    ]
    return min((int(limit) for limit in limits if limit), default=None)


__all__ = [
    "AGENT",
    "CLIENTS",
    "CLOUD_CHECKS",
    "INGRESS_ALL",
    "ROUTE",
    "ExpectedDeployment",
    "ObservedDeployment",
    "ProbeToken",
    "Sender",
    "StoredBucket",
    "check_names",
    "verify_deployed",
]
