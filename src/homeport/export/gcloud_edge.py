"""What gcloud is told of a load balancer: its parts in order, and last that the service takes requests from nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from homeport.export.builds import scope
from homeport.export.fields import Fields
from homeport.export.gcloud_commands import GcloudCommands
from homeport.export.graph import ResourceKind, Things
from homeport.export.shell import Lines, command, values
from homeport.export.text import to_yaml
from homeport.google.call import self_link
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.load_balancer import Backend
from homeport.resources.google.managed_certificate import AUTHORIZATION
from homeport.resources.google.rest import RestResource
from homeport.resources.google.traffic import BACK_DOOR

KEY_FILE = "TLS_KEY_FILE"
"""The variable of the shell that names the file with the key of one's own certificate."""
_COMPUTE = "compute.googleapis.com"
_BACK_DOOR = "__BACK_DOOR__"


def group(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the calls for a serverless group: gcloud has no flag for its description, by which homeport finds it."""
    name, file = _short(one), f"group-{_short(one)}.json"
    return GcloudCommands(
        look=("gcloud", "compute", "network-endpoint-groups", "describe", name, scope(one)),
        make=("rest", "POST", _COMPUTE, f"/{one.address.made_at}", file),
        files={file: json.dumps(body.rest(), indent=2) + "\n"},
    )


def backend(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a backend service, and for the policy that is attached to it by a command of its own."""
    assert isinstance(one, Backend)
    name, file = _short(one), f"backend-{_short(one)}.yaml"
    wanted = body.rest()
    guard = one.policy.id.rpartition("/")[2] if one.policy else ""
    collection = one.address.made_at.replace("backendServices", "securityPolicies")
    policy = self_link(f"{collection}/{guard}") if guard else ""
    placed = ("backend", name, scope(one), file, guard)
    return GcloudCommands(
        look=("gcloud", "compute", "backend-services", "describe", name, scope(one)),
        make=placed,
        change=placed,
        files={file: to_yaml(_in_numbers(wanted))},
        compared={**wanted, "securityPolicy": policy},
    )


def _in_numbers(wanted: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
    """Return a backend service with its seconds as numbers: gcloud refuses the texts that Google's API has for them."""
    ejected = {
        key: {**value, "seconds": int(value["seconds"])} if isinstance(value, Mapping) else value
        for key, value in wanted.get("outlierDetection", {}).items()
    }
    return {**wanted, **({"outlierDetection": ejected} if ejected else {})}


def url_map(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a URL map, which gcloud takes as a file alone, once it has rules with headers."""
    name, file = _short(one), f"map-{_short(one)}.yaml"
    return GcloudCommands(
        look=("gcloud", "compute", "url-maps", "describe", name, scope(one)),
        make=("gcloud", "compute", "url-maps", "import", name, scope(one), "--source", file),
        change=("remap", name, scope(one), file),
        files={file: to_yaml(body.rest())},
    )


def address(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for an address, of which nothing can be changed."""
    name, verb = body.take("name"), ("gcloud", "compute", "addresses")
    kind, subnetwork = body.take("addressType"), body.take("subnetwork")
    flags = {
        "--ip-version": body.take("ipVersion"),
        "--network-tier": body.take("networkTier"),
        "--purpose": body.take("purpose"),
        "--subnet": subnetwork,
        "--description": body.take("description"),
    }
    if (kind == "INTERNAL") is not bool(subnetwork):
        raise TypeError(f"gcloud has no words for {one.id}")
    return GcloudCommands(
        look=(*verb, "describe", name, scope(one)),
        make=(*verb, "create", name, scope(one), *_flags(flags)),
    )


def certificate(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a certificate of one's own, whose key is read from a file that the caller names."""
    name, verb, file = body.take("name"), ("gcloud", "compute", "ssl-certificates"), f"{_short(one)}.pem"
    if body.take("type") != "SELF_MANAGED":
        raise TypeError(f"gcloud has no words for {one.id}")
    own = body.take("selfManaged")
    flags = {"--description": body.take("description")}
    return GcloudCommands(
        look=(*verb, "describe", name, scope(one)),
        make=("certificate", name, scope(one), *_flags(flags), "--certificate", file),
        files={file: own["certificate"]},
    )


def policy(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a security policy: it is made of a file, and its rules are changed one by one."""
    name, verb, file = _short(one), ("gcloud", "compute", "security-policies"), f"policy-{_short(one)}.json"
    wanted = body.rest()
    return GcloudCommands(
        look=(*verb, "describe", name, scope(one)),
        make=(*verb, "create", name, scope(one), "--file-format=json", "--file-name", file),
        change=("rules", name, *_regional(one), *(word for rule in wanted["rules"] for word in _rule(rule))),
        files={file: json.dumps(wanted, indent=2) + "\n"},
    )


def _rule(rule: Mapping[str, Any]) -> list[str]:  # Any: JSON
    """Return the words for a rule of a policy: its priority and gcloud's flags."""
    body = Fields(rule, "a rule of a security policy")
    match, limit = body.take("match"), Fields(body.take("rateLimitOptions", {}), "the limit of a rule")
    threshold = limit.take("rateLimitThreshold", {})
    denied = limit.take("exceedAction")
    flags = {
        "--action": body.take("action"),
        "--description": body.take("description"),
        "--src-ip-ranges": ",".join(match["config"]["srcIpRanges"]),
        "--rate-limit-threshold-count": threshold.get("count"),
        "--rate-limit-threshold-interval-sec": threshold.get("intervalSec"),
        "--conform-action": limit.take("conformAction"),
        "--exceed-action": denied.replace("(", "-").rstrip(")") if denied else None,
        "--enforce-on-key": str(limit.take("enforceOnKey")).replace("_", "-").lower() if denied else None,
        "--enforce-on-key-name": limit.take("enforceOnKeyName"),
    }
    preview = "--preview" if body.take("preview") else "--no-preview"
    priority = body.take("priority")
    body.done()
    limit.done()
    return ["rule", str(priority), preview, *_flags(flags)]


def https_proxy(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a proxy with certificates, or a map of them. What it showed before goes once the other is in."""
    name, verb = body.take("name"), ("gcloud", "compute", "target-https-proxies")
    leads, described = f"--url-map={body.take('urlMap')}", f"--description={body.take('description')}"
    shown, certificates = body.take("certificateMap"), body.take("sslCertificates")
    if shown:
        shows, gone = f"--certificate-map={_last(shown)}", "--clear-ssl-certificates"
    elif certificates[0].startswith("//"):
        shows, gone = f"--certificate-manager-certificates={_last(certificates[0])}", ""
    else:
        shows, gone = f"--ssl-certificates={certificates[0]}", "--clear-certificate-map"
    # A certificate map is worldwide alone.
    gone = gone if scope(one) == "--global" else ""
    other: dict[str, Any] = {"sslCertificates": []} if shown else {"certificateMap": ""}  # Any: JSON
    return GcloudCommands(
        look=(*verb, "describe", name, scope(one)),
        make=(*verb, "create", name, scope(one), leads, shows, described),
        change=("show", name, scope(one), gone, leads, shows),
        compared={**one.wanted, **other},
    )


def http_proxy(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a proxy without certificates."""
    name, verb = body.take("name"), ("gcloud", "compute", "target-http-proxies")
    leads = f"--url-map={body.take('urlMap')}"
    return GcloudCommands(
        look=(*verb, "describe", name, scope(one)),
        make=(*verb, "create", name, scope(one), leads, f"--description={body.take('description')}"),
        change=(*verb, "update", name, scope(one), leads),
    )


def rule(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a forwarding rule, of which nothing is changed."""
    name, verb, port = body.take("name"), ("gcloud", "compute", "forwarding-rules"), body.take("portRange")
    target = body.take("target")
    proxy = "--target-https-proxy" if "/targetHttpsProxies/" in target else "--target-http-proxy"
    if body.take("IPProtocol") != "TCP":
        raise TypeError(f"gcloud has no words for {one.id}")
    flags = {
        "--load-balancing-scheme": body.take("loadBalancingScheme"),
        "--network-tier": body.take("networkTier"),
        "--network": body.take("network"),
        "--subnet": body.take("subnetwork"),
        "--address": body.take("IPAddress"),
        "--ports": port.partition("-")[0],
        proxy: target,
        "--description": body.take("description"),
    }
    return GcloudCommands(
        look=(*verb, "describe", name, scope(one)),
        make=(*verb, "create", name, scope(one), *_flags(flags)),
    )


def authorization(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for the proof that a domain is one's own."""
    name, verb = _short(one), ("gcloud", "certificate-manager", "dns-authorizations")
    flags = {"--domain": body.take("domain"), "--labels": _labels(body)}
    return GcloudCommands(
        look=(*verb, "describe", name, _location(one)),
        make=(*verb, "create", name, _location(one), *_flags(flags)),
    )


def managed(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a certificate of Google's. It comes when the domain is proven, which is waited for later."""
    name, verb, own = _short(one), ("gcloud", "certificate-manager", "certificates"), body.take("managed")
    flags = {
        "--domains": ",".join(own["domains"]),
        "--dns-authorizations": ",".join(_last(each) for each in own["dnsAuthorizations"]),
        "--labels": _labels(body),
    }
    return GcloudCommands(
        look=(*verb, "describe", name, _location(one)),
        make=(*verb, "create", name, _location(one), *_flags(flags)),
    )


def certificate_map(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a map of certificates."""
    name, verb = _short(one), ("gcloud", "certificate-manager", "maps")
    described = f"--description={body.take('description')}"
    return GcloudCommands(
        look=(*verb, "describe", name, _location(one)),
        make=(*verb, "create", name, _location(one), described, f"--labels={_labels(body)}"),
        change=(*verb, "update", name, _location(one), described),
    )


def entry(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for the entry of a map, by which a domain shows its certificate."""
    name, verb = _short(one), ("gcloud", "certificate-manager", "maps", "entries")
    within = (f"--map={one.address.path.split('/')[6]}", _location(one))
    flags = {
        "--hostname": body.take("hostname"),
        "--certificates": ",".join(_last(each) for each in body.take("certificates")),
        "--labels": _labels(body),
    }
    return GcloudCommands(
        look=(*verb, "describe", name, *within), make=(*verb, "create", name, *within, *_flags(flags))
    )


KNOWS: Mapping[str, Callable[[RestResource, Fields], GcloudCommands]] = {
    ResourceKind.GROUP: group,
    ResourceKind.BACKEND: backend,
    ResourceKind.URL_MAP: url_map,
    ResourceKind.ADDRESS: address,
    ResourceKind.CERTIFICATE: certificate,
    ResourceKind.POLICY: policy,
    ResourceKind.HTTPS_PROXY: https_proxy,
    ResourceKind.HTTP_PROXY: http_proxy,
    ResourceKind.RULE: rule,
    ResourceKind.AUTHORIZATION: authorization,
    ResourceKind.MANAGED: managed,
    ResourceKind.CERTIFICATE_MAP: certificate_map,
    ResourceKind.ENTRY: entry,
}


def functions() -> Lines:
    """Return the functions that these commands are made with, and that close the door."""
    return files("homeport.export").joinpath("edge.sh").read_text(encoding="utf-8").splitlines()


def door(things: Things, one: ClosedDoor) -> tuple[Lines, dict[str, str]]:
    """Return the lines that say which DNS records are wanted, wait until the edge answers, and close the service; and their file."""
    file = f"door-{one.name}.json"
    change = one.closed(_BACK_DOOR)
    text = json.dumps(change, indent=2) + "\n"
    told = dict(change["annotations"])
    del told[BACK_DOOR]
    compared = {**change, "annotations": {key: value or "" for key, value in told.items()}}
    # Where something waited for the edge before, and in a further region, it has been said.
    said = things.is_further or ResourceKind.ANSWERING in things.kinds()
    proxied = "proxied=yes " if things.service.wanted.get("iapEnabled") else ""
    lines = [
        *([] if said else _wanted(things, one)),
        proxied
        + command("door", f"/{one.path}", file, str(round(one.within)), one.address, *one.told_apart)
        + " <<'END'",
        *values(compared),
        "END",
    ]
    return lines, {file: text}


def answering(things: Things, one: ClosedDoor) -> Lines:
    """Return the lines that say which DNS records are wanted, and wait until the edge answers, where it was not seen to before."""
    return [
        *_wanted(things, one),
        command("answering", f"/{one.path}", str(round(one.within)), one.address, *one.told_apart),
    ]


def _wanted(things: Things, one: ClosedDoor) -> Lines:
    """Return the lines that say what the domain's DNS must hold, and from where the edge is asked."""
    records = _records(things, one)
    return [
        *(['say "the domain\'s DNS must say:"'] if records else []),
        *(f"say {record}" for record in records),
        *([command("say", one.from_where)] if one.from_where else []),
    ]


def _records(things: Things, one: ClosedDoor) -> list[str]:
    """Return, as words of the shell, the records that the domain's DNS must hold."""
    domain, records = one.address.removeprefix("https://"), []
    for part in things.all(RestResource):
        if part.kind == ResourceKind.ADDRESS:
            question = command("gcloud", "compute", "addresses", "describe", _short(part), scope(part))
            records.append(f"\"  {domain}. A $({question} --format='value(address)')\"")
        if part.kind == AUTHORIZATION:
            fields = ",".join(f"dnsResourceRecord.{field}" for field in ("name", "type", "data"))
            question = command(
                "gcloud",
                "certificate-manager",
                "dns-authorizations",
                "describe",
                _short(part),
                _location(part),
            )
            records.append(f'"  $({question} --format=\'value[separator=" "]({fields})\')"')
    return records


def _short(resource: RestResource) -> str:
    return resource.address.path.rpartition("/")[2]


def _last(link: str) -> str:
    return link.rpartition("/")[2]


def _regional(one: RestResource) -> tuple[str, ...]:
    """Return the scope of a part whose commands are global where they say nothing."""
    return () if scope(one) == "--global" else (scope(one),)


def _location(one: RestResource) -> str:
    return f"--location={one.address.path.split('/')[4]}"


def _labels(body: Fields) -> str:
    return ",".join(f"{key}={value}" for key, value in body.take("labels").items())


def _flags(flags: Mapping[str, Any]) -> list[str]:  # Any: a text, a number, or None
    return [f"{flag}={value}" for flag, value in flags.items() if value is not None]
