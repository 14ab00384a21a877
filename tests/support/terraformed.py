"""Terraform's own plan of what was exported, read back as the requests that Google's provider would make of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zlib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gcloud import Said
from gcp_rehearsal import discovery
from gcp_rehearsal.schema import camel
from places import ROOT

_ENV = ROOT / ".venv-terraform"
TERRAFORM = shutil.which("terraform") or shutil.which("terraform", path=str(_ENV / "bin"))
REASON = "there is no Terraform, or no provider for it: `make test-terraform` makes both"
READY = TERRAFORM is not None and (_ENV / "homeport-stamp").is_file()
PROJECT, NUMBER, ACCOUNT = "rehearsal", "481516234200", "012345-6789AB-CDEF01"
ADDRESS = "34.120.0.10"
_RUN = discovery.load("run.v2").schemas

Json = dict[str, Any]  # Any: JSON
Key = tuple[str, ...]
"""An API and a path in it; of a grant the role and the member, too."""


@dataclass(frozen=True)
class Folder:
    """A folder that Terraform works in."""

    path: Path

    def run(self, *arguments: str, code: int = 0, variables: Mapping[str, str] | None = None) -> Said:
        """What a command of Terraform's says; it must exit with `code`."""
        assert TERRAFORM
        env = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        env |= {f"TF_VAR_{name}": value for name, value in (variables or {}).items()}
        env |= {"TF_CLI_CONFIG_FILE": str(_ENV / "terraform.rc"), "CHECKPOINT_DISABLE": "1", "PYTHONPATH": ""}
        ended = subprocess.run(
            [TERRAFORM, *arguments], cwd=self.path, env=env, capture_output=True, text=True, timeout=900, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        said = Said(ended.returncode, ended.stdout, ended.stderr)
        assert said.code == code, f"terraform {' '.join(arguments)}: exit {said.code}\n{said.out}\n{said.err}"
        return said

    def write(self, files: Mapping[str, str], module: str = "") -> None:
        """Put the files of a module there, or of the root."""
        folder = self.path / module
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")

    def planned(self, variables: Mapping[str, str]) -> Json:
        """A plan, as JSON."""
        self.run("plan", "-input=false", "-no-color", "-out=planned", variables=variables)
        found: Json = self.run("show", "-json", "planned").json
        return found

    def waits(self, module: str) -> dict[str, set[str]]:
        """By address of a block of a module: all that Terraform makes before it, as its own graph says."""
        start = f"module.{module}."
        direct: dict[str, set[str]] = {
            one.removeprefix(start): set() for one in self._nodes if one.startswith(start)
        }
        for later, earlier in self._edges:
            if later.startswith(start):
                direct[later.removeprefix(start)].add(earlier.removeprefix(start))

        def closed(address: str, seen: frozenset[str]) -> set[str]:
            new = direct[address] - seen
            return new.union(*(closed(each, seen | new) for each in new))

        return {address: closed(address, frozenset((address,))) for address in direct}

    @cached_property
    def _graph(self) -> str:
        # The JSON of a plan does not name what a `dynamic` block refers to.
        return self.run("graph").out

    @property
    def _nodes(self) -> list[str]:
        return re.findall(r'^ *"([^"]+)" \[label=', self._graph, re.MULTILINE)

    @property
    def _edges(self) -> list[tuple[str, str]]:
        return re.findall(r'^ *"([^"]+)" -> "([^"]+)";$', self._graph, re.MULTILINE)


def number_of(kind: str, name: str, key: str, place: str = "") -> int:
    """The number that the stand-in tells of what Google alone would number."""
    return zlib.crc32(f"{kind}/{name}{f'@{place}' if place else ''}#{key}".encode())


def root_of(
    modules: Mapping[str, Mapping[str, str]],
    *,
    without_image: Container[str] = (),
    closing: Mapping[str, str] | None = None,
) -> str:
    """A root module with all of them in it, so that one plan plans all; `closing` has addresses that are closed, by module."""
    closing = closing or {}
    blocks = [
        f'variable "{one}" {{\n  type      = string\n  ephemeral = true\n  sensitive = true\n}}\n'
        for one in ("hub_token", "edge_private_key")
    ]
    for name, files in modules.items():
        token = "".join(
            f"  {one} = var.{one}\n"
            for one in ("hub_token", "edge_private_key")
            if f'variable "{one}"' in files["variables.tf"]
        )
        closed = f'  back_door = "{closing[name]}"\n' if name in closing else ""
        image = "" if name in without_image else f"  image = var.{name}\n"
        more = re.findall(r'variable "(image_\w+)"', files["variables.tf"])
        others = "".join(f"  {one} = var.{name}_{one}\n" for one in more)
        images = (name, *(f"{name}_{each}" for each in more))
        blocks += [f'variable "{one}" {{\n  type = string\n}}\n' for one in images]
        billed = (
            f'  billing_account = "{ACCOUNT}"\n'
            if 'variable "billing_account"' in files["variables.tf"]
            else ""
        )
        if closed:
            blocks.append(f'output "{name}_url" {{\n  value = module.{name}.url\n}}\n')
        blocks.append(
            f'module "{name}" {{\n  source = "./{name}"\n{image}{others}{token}{billed}{closed}}}\n'
        )
    return "\n".join(blocks)


@dataclass(frozen=True)
class Planned:
    """One thing that a plan would make."""

    address: str
    """In its module, without the place among several of one block."""
    body: Any  # Any: JSON


def requests(plan: Json, module: str) -> dict[Key, Planned]:
    """What would be made by a module of a plan: bodies of Google's API by their address there."""
    (found,) = [
        each for each in plan["planned_values"]["root_module"]["child_modules"] if each["address"] == f"module.{module}"
    ]  # fmt: skip
    made: dict[Key, Planned] = {}
    for one in found["resources"]:
        values = Values(one)
        key, body = _READERS[one["type"]](values)
        assert key not in made, key
        made[key] = Planned(f"{one['type']}.{one['name']}", body)
        values.done()
    return made


class Values:
    """The planned values of one resource, taken one by one: what nobody took would be made, and be seen by no test."""

    def __init__(self, resource: Json) -> None:
        kind, told = resource["type"], resource["values"]
        place = next((told[one].lower() for one in ("region", "location") if told.get(one)), "")
        self._what = resource["address"]
        self._left = {
            key: _meant(value)
            for key, value in resource["values"].items()
            if not _is_empty(value)
            and not re.fullmatch(rf"{kind}/.*#{key}", str(value))
            and value != number_of(kind, str(resource["values"].get("name")), key, place)
            and not (isinstance(value, list) and f"'{kind}/" in str(value) and f"#{key}." in str(value))
        }

    @property
    def kept(self) -> Json:
        """What `rest` gave."""
        return self._kept

    def take(self, key: str, default: Any = None) -> Any:  # Any: JSON
        return self._left.pop(key, default)

    def block(self, key: str) -> Json | None:
        """The one block of that name."""
        found = self.take(key, [])
        assert len(found) <= 1
        return {name: value for name, value in found[0].items() if not _is_empty(value)} if found else None

    def renamed(self, **names: str) -> Json:
        """Those values that there are, under other names."""
        return {ours: self._left.pop(theirs) for theirs, ours in names.items() if theirs in self._left}

    def rest(self) -> Json:
        self._kept, self._left = self._left, {}
        return self._kept

    def done(self) -> None:
        for own in ("deletion_protection", "deletion_policy", "disable_on_destroy"):
            self._left.pop(own, None)
        assert not self._left, f"{self._what} has {self._left}, too"


_MEANINGS = {
    "google_artifact_registry_repository#name": "{name}",
    # In the rehearsal's project; Google gives such a hash as well.
    "google_cloud_run_v2_service#uri": "https://{name}-6qzt42z6ca-{code}.a.run.app",
    "google_monitoring_notification_channel#name": "projects/{project}/notificationChannels/{name}",
    # The second of the subnetwork that is free: Google keeps the first two.
    "google_network_connectivity_regional_endpoint#address": "{free}",
    **{
        f"google_compute_{kind}#id": f"https://www.googleapis.com/compute/v1/projects/{{project}}/{where}/{collection}/{{name}}"
        for region, where in (("", "global"), ("region_", "regions/{place}"))
        for kind, collection in (
            (f"{region}backend_service", "backendServices"),
            (f"{region}url_map", "urlMaps"),
            (f"{region}target_https_proxy", "targetHttpsProxies"),
            (f"{region}target_http_proxy", "targetHttpProxies"),
            (f"{region}ssl_certificate", "sslCertificates"),
            (f"{region}security_policy", "securityPolicies"),
        )
    },
    "google_compute_forwarding_rule#id": "https://www.googleapis.com/compute/v1/projects/{project}/regions/{place}/forwardingRules/{name}",
    "google_network_services_authz_extension#id": "projects/{project}/locations/{place}/authzExtensions/{name}",
    "google_compute_region_network_endpoint_group#id": "https://www.googleapis.com/compute/v1/projects/{project}/regions/{place}/networkEndpointGroups/{name}",
    "google_compute_global_address#address": ADDRESS,
    "google_compute_address#address": ADDRESS,
    "google_certificate_manager_certificate_map#id": "projects/{project}/locations/global/certificateMaps/{name}",
    "google_certificate_manager_certificate_map#name": "{name}",
    "google_compute_subnetwork#id": "https://www.googleapis.com/compute/v1/projects/{project}/regions/{place}/subnetworks/{name}",
    "google_compute_network#id": "https://www.googleapis.com/compute/v1/projects/{project}/global/networks/{name}",
    "google_secret_manager_secret#id": "projects/{project}/secrets/{name}",
    "google_project_iam_custom_role#id": "projects/{project}/roles/{name}",
    "google_service_account#name": "projects/{project}/serviceAccounts/{name}@{project}.iam.gserviceaccount.com",
    "google_service_account#email": "{name}@{project}.iam.gserviceaccount.com",
}
"""What the stand-in's words for attributes stand for, by the provider's documentation."""

_CODES = {"europe-west4": "ez", "us-central1": "uc", "asia-southeast1": "as"}
"""How addresses of Cloud Run name a region."""
_FREE = {"europe-west4": "10.8.0.2", "us-central1": "10.27.56.2", "asia-southeast1": "10.27.248.2"}
"""The first free address of the subnetwork that homeport makes there."""


def _meant(value: Any) -> Any:  # Any: JSON
    if isinstance(value, Mapping):
        return {key: _meant(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_meant(inner) for inner in value]
    if not isinstance(value, str):
        return value

    def told(found: re.Match[str]) -> str:
        known = _MEANINGS.get(f"{found[1]}#{found[4]}")
        place = found[3] or "global"
        words = {
            "name": found[2],
            "project": PROJECT,
            "place": place,
            "code": _CODES.get(place, ""),
            "free": _FREE.get(place, ""),
        }
        return known.format(**words) if known else found[0]

    value = re.sub(r"(google_\w+)/([\w.-]*?)(?:@([\w-]+))?#(\w+)", told, value)
    # Google's certificates and proofs of a load balancer in a region have a checksum in their names, which all others lack.
    return re.sub(r"google_certificate_manager_(\w+)/([\w-]+)(?:@[\w-]+)?#id", _of_manager, value)


def _of_manager(found: re.Match[str]) -> str:
    kind = {"certificate": "certificates", "dns_authorization": "dnsAuthorizations"}[found[1]]
    place = "global" if found[2].endswith("-edge") else "europe-west4"
    return f"projects/{PROJECT}/locations/{place}/{kind}/{found[2]}"


def _is_empty(value: Any) -> bool:  # Any: JSON
    return value is None or value in ([], {})


def _account(values: Values) -> tuple[Key, Json]:
    email = f"{values.take('account_id')}@{PROJECT}.iam.gserviceaccount.com"
    body = values.renamed(display_name="displayName", description="description")
    return ("iam", f"v1/projects/{PROJECT}/serviceAccounts/{email}"), body


def _api(values: Values) -> tuple[Key, Json]:
    return ("serviceusage", values.take("service")), {}


def _secret(values: Values) -> tuple[Key, Json]:
    replication = values.block("replication")
    assert replication is not None
    (managed,) = replication.pop("user_managed")
    assert not replication
    replicas = [{"location": one["location"]} for one in managed["replicas"]]
    key = ("secretmanager", f"v1/projects/{PROJECT}/secrets/{values.take('secret_id')}")
    return key, {**values.renamed(labels="labels"), "replication": {"userManaged": {"replicas": replicas}}}


def _secret_version(values: Values) -> tuple[Key, Json]:
    if (settings := values.take("secret_data")) is not None:
        return ("secretmanager", f"v1/{values.take('secret')}:addVersion"), {"settings": settings}
    assert values.take("secret_data_wo_version") == "1"
    return ("secretmanager", f"v1/{values.take('secret')}:addVersion"), {}


def _repository(values: Values) -> tuple[Key, Json]:
    where = (
        f"projects/{PROJECT}/locations/{values.take('location')}/repositories/{values.take('repository_id')}"
    )
    policies = {}
    for one in values.take("cleanup_policies"):
        made = {"id": one["id"], "action": one["action"]}
        for block in one["condition"]:
            made["condition"] = {camel(name): value for name, value in block.items() if value is not None}
        for block in one["most_recent_versions"]:
            made["mostRecentVersions"] = {
                camel(name): value for name, value in block.items() if value is not None
            }
        policies[one["id"]] = made
    body = values.renamed(format="format", mode="mode", labels="labels", kms_key_name="kmsKeyName")
    config = values.block("remote_repository_config")
    if config is not None:
        (upstream,) = config.pop("docker_repository")
        own = {camel(name): value for name, value in upstream.items() if not _is_empty(value)}
        for block in own.get("customRepository", ()):
            own["customRepository"] = block
        body["remoteRepositoryConfig"] = {"dockerRepository": own, **config}
    return ("artifactregistry", f"v1/{where}"), {**body, "cleanupPolicies": policies}


def _bucket(values: Values) -> tuple[Key, Json]:
    access = {
        "uniformBucketLevelAccess": {"enabled": values.take("uniform_bucket_level_access")},
        "publicAccessPrevention": values.take("public_access_prevention"),
    }
    body = {**values.renamed(name="name", location="location", labels="labels"), "iamConfiguration": access}
    if (kept := values.block("soft_delete_policy")) is not None:
        body["softDeletePolicy"] = {"retentionDurationSeconds": str(kept["retention_duration_seconds"])}
    if (key := values.block("encryption")) is not None:
        body["encryption"] = {"defaultKmsKeyName": key["default_kms_key_name"]}
    return ("storage", f"storage/v1/b/{body['name']}"), body


def _network(values: Values) -> tuple[Key, Json]:
    body = values.renamed(
        name="name", description="description", auto_create_subnetworks="autoCreateSubnetworks"
    )
    body["routingConfig"] = {"routingMode": values.take("routing_mode")}
    return ("compute", f"compute/v1/projects/{PROJECT}/global/networks/{body['name']}"), body


def _subnetwork(values: Values) -> tuple[Key, Json]:
    region = values.take("region")
    body = {camel(name): value for name, value in values.rest().items()}
    return ("compute", f"compute/v1/projects/{PROJECT}/regions/{region}/subnetworks/{body['name']}"), body


def _firewall(values: Values) -> tuple[Key, Json]:
    body: Json = {}
    for word, name in (("allow", "allowed"), ("deny", "denied")):
        rules = values.take(word, [])
        if rules:
            body[name] = [
                {"IPProtocol": one["protocol"], **({"ports": one["ports"]} if one["ports"] else {})} for one in rules
            ]  # fmt: skip
    body |= {camel(name): value for name, value in values.rest().items()}
    return ("compute", f"compute/v1/projects/{PROJECT}/global/firewalls/{body['name']}"), body


def _zone(values: Values) -> tuple[Key, Json]:
    seen = values.block("private_visibility_config")
    assert seen is not None
    networks = [{"networkUrl": one["network_url"]} for one in seen["networks"]]
    body = {camel(name): value for name, value in values.rest().items() if name != "force_destroy"}
    body["privateVisibilityConfig"] = {"networks": networks}
    return ("dns", f"dns/v1/projects/{PROJECT}/managedZones/{body['name']}"), body


def _record(values: Values) -> tuple[Key, Json]:
    zone, body = values.take("managed_zone"), values.rest()
    path = f"dns/v1/projects/{PROJECT}/managedZones/{zone}/rrsets/{body['name']}/{body['type']}"
    return ("dns", path), body


def _service(values: Values) -> tuple[Key, Json]:
    parent = f"projects/{PROJECT}/locations/{values.take('location')}"
    name = values.take("name")
    values.take("deletion_protection")
    limits = values.take("timeouts")
    assert {key: limit for key, limit in limits.items() if limit} == {"create": "40m", "update": "40m"}, (
        "as long as `up` waits, longer than a startup probe"
    )
    body = _message(values.rest(), "GoogleCloudRunV2Service")
    return ("run", f"v2/{parent}/services/{name}"), body


def _message(values: Json, schema: str) -> Json:
    """Blocks as a message of the run API: which are lists and which one message, its own document says."""
    made: Json = {}
    for name, value in values.items():
        if _is_empty(value):
            continue
        key = camel(name)
        fields = _RUN[schema]["properties"]
        assert key in fields, f"{schema} has no {key}"
        inner = fields[key].get("$ref"), fields[key].get("items", {}).get("$ref")
        if inner[0]:
            (block,) = value
            made[key] = _message(block, inner[0])
        elif inner[1]:
            made[key] = [_message(block, inner[1]) for block in value]
        else:
            made[key] = value
    return made


def _role(values: Values) -> tuple[Key, Json]:
    path = f"v1/projects/{PROJECT}/roles/{values.take('role_id')}"
    body = {**values.renamed(title="title", description="description", stage="stage")}
    return ("iam", path), {**body, "includedPermissions": sorted(values.take("permissions"))}


def _job(values: Values) -> tuple[Key, Json]:
    path = f"projects/{PROJECT}/locations/{values.take('region')}/jobs/{values.take('name')}"
    return ("cloudscheduler", f"v1/{path}"), {"name": path, **_sent(values.rest())}


def _watched(collection: str) -> Callable[[Values], tuple[Key, Json]]:
    """A thing of Cloud Monitoring's, by the label of its part."""

    def read(values: Values) -> tuple[Key, Json]:
        if collection == "v1/projects/{}/dashboards":
            body, labels = json.loads(values.take("dashboard_json")), "labels"
        else:
            plain = {
                key: value for key, value in values.rest().items() if key not in {"labels", "user_labels"}
            }
            kept = {key: value for key, value in values.kept.items() if key in {"labels", "user_labels"}}
            body, labels = {**_sent(plain), **_camel(kept)}, "userLabels"
        if collection.endswith("/uptimeCheckConfigs"):
            body["disabled"] = False  # Of which the provider has no word: a check that it makes is on.
        part = body[labels]["homeport-part"]
        return ("monitoring", f"{collection.format(PROJECT)}/{part}"), body

    return read


_SEVERAL = frozenset(("conditions", "threshold_rules", "accepted_response_status_codes"))
"""Blocks of which there may be several; all others of these stand for one message each."""


def _sent(value: Any, key: str = "") -> Any:  # Any: JSON
    if isinstance(value, list) and value and isinstance(value[0], dict):
        several = [_sent(one) for one in value]
        return several if key in _SEVERAL else several[0]
    if isinstance(value, dict):
        # The keys of labels are no fields of the API's.
        return {
            name if key == "labels" else camel(name): _sent(inner, name)
            for name, inner in value.items()
            if not _is_empty(inner)
        }
    return value


def _budget(values: Values) -> tuple[Key, Json]:
    assert values.take("billing_account") == ACCOUNT
    body = _sent(values.rest())
    body["notificationsRule"] = body.pop("allUpdatesRule")
    return ("billingbudgets", "v1/budgets/home"), body


def _object(values: Values) -> tuple[Key, Json]:
    key = ("storage", f"storage/v1/b/{values.take('bucket')}/o/{values.take('name')}")
    return key, {"content": values.take("content")}


def _registered(values: Values) -> tuple[Key, Json]:
    spec = values.block("agent_spec") or {}
    path = f"v1/projects/{PROJECT}/locations/{values.take('location')}/services/{values.take('service_id')}"
    made = {camel(key): inner for key, inner in values.rest().items() if not _is_empty(inner)}
    return ("agentregistry", path), {**made, "agentSpec": {**spec, "content": json.loads(spec["content"])}}


def _template(values: Values) -> tuple[Key, Json]:
    region = values.take("location")
    path = f"v1/projects/{PROJECT}/locations/{region}/templates/{values.take('template_id')}"
    config, metadata = values.block("filter_config"), values.block("template_metadata")
    made = {**values.rest(), "filter_config": [config], "template_metadata": [metadata]}
    return (f"modelarmor.{region}.rep", path), _sole(made)


def _sole(value: Any) -> Any:  # Any: JSON
    """Blocks as one message each, as all of Model Armor's are but the filters for harm."""
    if isinstance(value, list):
        return _sole(value[0])
    if not isinstance(value, dict):
        return value
    return {
        camel(key): [_camel(one) for one in inner] if key == "rai_filters" else _sole(inner)
        for key, inner in value.items()
        if not _is_empty(inner)
    }


def _camel(value: Json) -> Json:
    return {camel(key): inner for key, inner in value.items()}


def _endpoint(values: Values) -> tuple[Key, Json]:
    path = f"v1/{_located(values, 'name', 'regionalEndpoints')}"
    body = _camel(values.rest())
    for key in ("network", "subnetwork"):
        body[key] = f"projects/{body[key].partition('/projects/')[2]}"
    return ("networkconnectivity", path), body


_ALONE = frozenset(("match_condition", "target", "custom_provider", "authz_extension"))
"""Blocks of extensions and policies of which there is one."""


def _callout(api: str, collection: str) -> Callable[[Values], tuple[Key, Json]]:
    """How an extension of a load balancer, or a policy that asks one, is made."""

    def make(values: Values) -> tuple[Key, Json]:
        path = f"v1/{_located(values, 'name', collection)}"
        return (api, path), _within(values.rest())

    return make


def _within(value: Any) -> Any:  # Any: JSON
    if isinstance(value, list):
        return [_within(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        camel(key): inner if key in {"labels", "metadata"} else _within(inner[0] if key in _ALONE else inner)
        for key, inner in value.items()
        if not _is_empty(inner)
    }


_PARTS = {
    "backend_service": "backendServices",
    "url_map": "urlMaps",
    "target_https_proxy": "targetHttpsProxies",
    "target_http_proxy": "targetHttpProxies",
    "forwarding_rule": "forwardingRules",
    "address": "addresses",
    "ssl_certificate": "sslCertificates",
    "security_policy": "securityPolicies",
    "network_endpoint_group": "networkEndpointGroups",
}
_SINGULAR = {
    "backend": "backends",
    "host_rule": "hostRules",
    "path_matcher": "pathMatchers",
    "test": "tests",
    "rule": "rules",
}
_LISTS = {
    *_SINGULAR.values(),
    *("route_rules", "match_rules", "header_matches", "headers", "rules", "weighted_backend_services"),
}


def _part(kind: str) -> Callable[[Values], tuple[Key, Json]]:
    """A part of a load balancer, by its type."""

    def read(values: Values) -> tuple[Key, Json]:
        region = values.take("region")
        place = f"regions/{region}" if region else "global"
        body = _of_compute({_SINGULAR.get(key, key): value for key, value in values.rest().items()})
        if kind == "ssl_certificate":
            assert body.pop("privateKeyWoVersion") == "1"
            body |= {"type": "SELF_MANAGED", "selfManaged": {"certificate": body.pop("certificate")}}
        for each in body.get("outlierDetection", {}).values():
            if isinstance(each, dict):
                each["seconds"] = str(each["seconds"])  # As JSON has a number of that length.
        for each in body.get("backends", ()):
            # What Google means by itself.
            assert each.pop("capacityScaler", 1) == 1
        if "certificateManagerCertificates" in body:
            body["sslCertificates"] = body.pop("certificateManagerCertificates")
        return ("compute", f"compute/v1/projects/{PROJECT}/{place}/{_PARTS[kind]}/{body['name']}"), body

    return read


def _of_compute(value: Any, key: str = "") -> Any:  # Any: JSON
    if isinstance(value, list) and value and isinstance(value[0], dict):
        several = [_of_compute(one) for one in value]
        return several if key in _LISTS else several[0]
    if isinstance(value, dict):
        names = {"ip_address": "IPAddress", "ip_protocol": "IPProtocol"}
        return {
            names.get(name, camel(name)): _of_compute(inner, name)
            for name, inner in value.items()
            if not _is_empty(inner) and name != "timeouts"
        }
    return value


def _proof(collection: str) -> Callable[[Values], tuple[Key, Json]]:
    """What makes a certificate of Google's."""

    def read(values: Values) -> tuple[Key, Json]:
        where, name, within = values.take("location") or "global", values.take("name"), values.take("map")
        path = f"v1/projects/{PROJECT}/locations/{where}"
        path += f"/certificateMaps/{within}" if within else ""
        return ("certificatemanager", f"{path}/{collection}/{name}"), _of_compute(values.rest())

    return read


def _grant(api: str, path: Callable[[Values], str]) -> Callable[[Values], tuple[Key, Json]]:
    def read(values: Values) -> tuple[Key, Json]:
        return (api, path(values), values.take("role"), values.take("member")), {}

    return read


def _web_of(values: Values) -> str:
    """Where IAP has the policy for a service. The provider sends the project's id, which stands for its number."""
    place = f"cloud_run-{values.take('location')}"
    return f"v1/projects/{NUMBER}/iap_web/{place}/services/{values.take('cloud_run_service_name')}"


def _located(values: Values, name: str, collection: str) -> str:
    return f"projects/{PROJECT}/locations/{values.take('location')}/{collection}/{values.take(name)}"


_READERS: Mapping[str, Callable[[Values], tuple[Key, Json]]] = {
    "google_agent_registry_service": _registered,
    "google_artifact_registry_repository": _repository,
    "google_artifact_registry_repository_iam_member": _grant(
        "artifactregistry", lambda values: f"v1/{_located(values, 'repository', 'repositories')}"
    ),
    "google_cloud_run_v2_service": _service,
    "google_cloud_run_v2_service_iam_member": _grant("run", lambda values: f"v2/{_located(values, 'name', 'services')}"),
    "google_iap_web_cloud_run_service_iam_member": _grant("iap", _web_of),
    **{
        f"google_compute_{place}{kind}": _part(kind)
        for kind in _PARTS
        for place in ("", "region_", "global_")
    },
    "google_certificate_manager_dns_authorization": _proof("dnsAuthorizations"),
    "google_certificate_manager_certificate": _proof("certificates"),
    "google_certificate_manager_certificate_map": _proof("certificateMaps"),
    "google_certificate_manager_certificate_map_entry": _proof("certificateMapEntries"),
    "google_compute_firewall": _firewall,
    "google_compute_network": _network,
    "google_compute_subnetwork": _subnetwork,
    "google_dns_managed_zone": _zone,
    "google_dns_record_set": _record,
    "google_billing_budget": _budget,
    "google_cloud_scheduler_job": _job,
    "google_project_iam_custom_role": _role,
    "google_service_account_iam_member": _grant("iam", lambda values: f"v1/{values.take('service_account_id')}"),
    "google_model_armor_template": _template,
    "google_monitoring_alert_policy": _watched("v3/projects/{}/alertPolicies"),
    "google_monitoring_dashboard": _watched("v1/projects/{}/dashboards"),
    "google_monitoring_notification_channel": _watched("v3/projects/{}/notificationChannels"),
    "google_monitoring_uptime_check_config": _watched("v3/projects/{}/uptimeCheckConfigs"),
    "google_network_connectivity_regional_endpoint": _endpoint,
    "google_network_security_authz_policy": _callout("networksecurity", "authzPolicies"),
    "google_network_services_authz_extension": _callout("networkservices", "authzExtensions"),
    "google_network_services_lb_traffic_extension": _callout("networkservices", "lbTrafficExtensions"),
    "google_project_iam_member": _grant(
        "cloudresourcemanager", lambda values: f"v3/projects/{values.take('project')}"
    ),
    "google_project_service": _api,
    "google_secret_manager_secret": _secret,
    "google_secret_manager_secret_iam_member": _grant(
        "secretmanager", lambda values: f"v1/projects/{PROJECT}/secrets/{values.take('secret_id')}"
    ),
    "google_secret_manager_secret_version": _secret_version,
    "google_service_account": _account,
    "google_storage_bucket": _bucket,
    "google_storage_bucket_object": _object,
    "google_storage_bucket_iam_member": _grant("storage", lambda values: f"storage/v1/b/{values.take('bucket')}"),
}  # fmt: skip


def unordered(found: Mapping[Key, Any]) -> dict[Key, Any]:  # Any: JSON
    """The same with what has no order in one: variables by name, ranges by address, rules by priority, groups by address."""
    return {key: _sorted(body) for key, body in found.items()}


def _sorted(value: Any, key: str = "") -> Any:  # Any: JSON
    if isinstance(value, Mapping):
        return {name: _sorted(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        inner = [_sorted(one) for one in value]
        return sorted(inner, key=_text) if key in {"env", "destinationRanges", "rules", "backends"} else inner
    return value


def _text(value: Any) -> str:  # Any: JSON
    return json.dumps(value, sort_keys=True)
