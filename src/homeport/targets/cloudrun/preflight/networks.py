"""The network and subnetwork that a file names, and what closes our own: they are looked at only, and never changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, ok, problem, unseen
from homeport.targets.cloudrun.preflight.request import OwnSubnetwork, PreflightInput

_LONGEST_PREFIX = 26
"""Of a range that Direct VPC egress takes. See https://docs.cloud.google.com/run/docs/configuring/vpc-direct-vpc."""
_ANOTHER = "set cloudrun.network and cloudrun.subnetwork to a pair that goes together"


async def network(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether a network that the file names is there."""
    if not asked.network:
        return []
    subject = f"network/{asked.network}"
    try:
        await google.get("compute", f"compute/v1/{_network_path(asked)}")
    except NotFound:
        hint = f"`gcloud compute networks list --project={asked.project}` shows them; without cloudrun.network one is made"
        return [problem(subject, f"there is no network {asked.network}", hint)]
    except ApiDisabled as error:
        return [unseen(subject, error)]
    return [ok(subject, "it is there")]


async def proxies(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether the network has a place for the proxies of an internal load balancer: one in each region, for all of them."""
    if asked.edge != "internal" or not asked.network:
        return []
    network_path = _network_path(asked)
    subject, project = f"proxies/{asked.network}", network_path.split("/")[1]
    path = f"compute/v1/projects/{project}/regions/{asked.region}/subnetworks"
    try:
        subnets = [subnet async for subnet in google.pages("compute", path, "items")]
    except ApiDisabled as error:
        return [unseen(subject, error)]
    for subnet in subnets:
        mine = subnet.get("purpose") == "REGIONAL_MANAGED_PROXY" and subnet.get("role") == "ACTIVE"
        if mine and _is_at(str(subnet.get("network", "")), network_path):
            return [ok(subject, f"{subnet['name']} in {asked.region}, {subnet['ipCidrRange']}")]
    name = network_path.rpartition("/")[2]
    hint = (
        f"gcloud compute networks subnets create {name}-proxies --purpose=REGIONAL_MANAGED_PROXY --role=ACTIVE "
        f"--region={asked.region} --network={name} --project={project} --range=… (a /23 that is free in {name}; a /26 at least)"
    )
    text = (
        f"{name} has no active proxy-only subnetwork in {asked.region}, which an internal load balancer wants"
    )
    return [problem(subject, text, hint)]


def paths_of(asked: PreflightInput) -> tuple[str, str]:
    """Return the paths of the network and the subnetwork that a file names."""
    return _network_path(asked), _subnetwork_path(asked)


async def subnetwork(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """
    Tell whether a subnetwork that the file names is of that network, in the region, large enough, and
    reaches Google.
    """
    if not asked.subnetwork:
        return []
    subject, path = f"subnetwork/{asked.subnetwork}", _subnetwork_path(asked)
    _, project, _, region, _, name = path.split("/")
    if region != asked.region:
        text = f"it is in {region}, the service would be in {asked.region}"
        return [problem(subject, text, "set cloudrun.subnetwork to one in the region, or cloudrun.region")]
    try:
        live = await google.get("compute", f"compute/v1/{path}")
    except NotFound:
        hint = (
            f"`gcloud compute networks subnets list --project={project} --filter=region:{region}` shows them"
        )
        return [problem(subject, f"there is no subnetwork {name} in {region}", hint)]
    except ApiDisabled as error:
        return [unseen(subject, error)]
    return _judged(asked, subject, live, f"{name} --region={region} --project={project}") or [
        ok(subject, f"it is there, {live['ipCidrRange']} with Private Google Access")
    ]


def _judged(
    asked: PreflightInput, subject: str, live: Mapping[str, Any], which: str
) -> list[PreflightFinding]:  # Any: JSON
    """Return what is wrong with it. `which` names it to gcloud."""
    findings = []
    if not _is_at(str(live.get("network", "")), _network_path(asked)):
        text = (
            f"it is of the network {str(live.get('network', '')).rpartition('/')[2]}, not of {asked.network}"
        )
        findings.append(problem(subject, text, _ANOTHER))
    if not live.get("privateIpGoogleAccess"):
        text = "Private Google Access is off, and all traffic goes through it: that to Google's APIs and the bucket, too"
        hint = f"gcloud compute networks subnets update {which} --enable-private-ip-google-access"
        findings.append(problem(subject, text, hint))
    cidr = live.get("ipCidrRange")
    if not cidr or IPv4Network(cidr).prefixlen > _LONGEST_PREFIX:
        text = f"its range is {cidr or 'not of IPv4'}, and Direct VPC egress wants a /{_LONGEST_PREFIX} or larger"
        hint = (
            f"gcloud compute networks subnets expand-ip-range {which} --prefix-length={_LONGEST_PREFIX}"
            " (or set cloudrun.subnetwork to a larger one)"
        )
        findings.append(problem(subject, text, hint))
    return findings


def _network_path(asked: PreflightInput) -> str:
    short = asked.network.partition("/compute/v1/")[2] or asked.network
    if short.startswith("projects/"):
        return short
    return f"projects/{asked.project}/global/networks/{short.rpartition('/')[2]}"


def _subnetwork_path(asked: PreflightInput) -> str:
    short = asked.subnetwork.partition("/compute/v1/")[2] or asked.subnetwork
    if short.startswith("projects/") and short.count("/") == 5:
        return short
    return f"projects/{asked.project}/regions/{asked.region}/subnetworks/{short.rpartition('/')[2]}"


def _is_at(link: str, path: str) -> bool:
    """Return True if a link leads to `path`, which may name its project by number, where links have its id."""
    link_parts, path_parts = link.partition("/compute/v1/")[2].split("/"), path.split("/")
    return link_parts[2:] == path_parts[2:] and (
        link_parts[1:2] == path_parts[1:2] or path_parts[1].isdigit()
    )


async def addresses(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether a subnetwork of another region has the addresses of one that is made: a network has each once."""
    found = await asyncio.gather(*(_taken(google, asked, wanted) for wanted in asked.own_subnetworks))
    return [finding for findings in found for finding in findings]


async def _taken(google: Google, asked: PreflightInput, wanted: OwnSubnetwork) -> Sequence[PreflightFinding]:
    path = f"compute/v1/projects/{asked.project}/global/networks/{wanted.name}"
    try:
        links = (await google.get("compute", path)).get("subnetworks", ())
    except (NotFound, ApiDisabled):
        return []
    paths = [f"compute/v1/{str(link).partition('/compute/v1/')[2]}" for link in links]
    if any(path.endswith(f"/regions/{asked.region}/subnetworks/{wanted.name}") for path in paths):
        return []  # It is made already.
    findings = []
    for live in await asyncio.gather(*(google.get("compute", path) for path in paths)):
        cidr, region = live.get("ipCidrRange"), str(live.get("region", "")).rpartition("/")[2]
        if not cidr or not IPv4Network(cidr).overlaps(IPv4Network(wanted.addresses)):
            continue
        text = (
            f"{live['name']} in {region} has {cidr} of the network {wanted.name}, and the one in {asked.region} would have "
            f"{wanted.addresses}: a network has each address once"
        )
        hint = (
            f"set cloudrun.region = {region!r} to stay there, or run `homeport down {asked.name} --on cloudrun` first; or, once nothing uses it "
            "(Cloud Run gives its addresses back one to two hours after a service is gone): "
            f"gcloud compute networks subnets delete {live['name']} --region={region} --project={asked.project}"
        )
        findings.append(problem(f"subnetwork/{wanted.name}", text, hint))
    return findings


async def opened(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether our own network still lets nothing out, as `access.isolated` had it, though it is no longer isolated."""
    if asked.isolated or asked.network:
        return []
    rule = f"{asked.name}-nowhere"
    # Listed, which everybody may who deploys: to read a single one takes what only `access.isolated` takes.
    rules = google.pages("compute", f"compute/v1/projects/{asked.project}/global/firewalls", "items")
    try:
        if rule not in [each["name"] async for each in rules]:
            return []
    except ApiDisabled:
        return []  # There is no network, either.
    return [
        problem(
            f"firewall/{rule}",
            "the network is still closed from when access.isolated was true, and the next revision would not reach its weights",
            f"gcloud compute firewall-rules delete {rule} {asked.name}-to-google --project={asked.project}",
        )
    ]
