"""
Write the schema of Terraform's Google provider, as `terraform providers schema -json` would.

    python scripts/terraform_schema.py cdktn_provider_google-21.1.0-py3-none-any.whl schema.json

The provider comes from its maker's own registry alone, and so does its schema. The bindings for CDK Terrain on PyPI
are generated from that schema, and their JavaScript still says all of it: each attribute's name, type, whether it is
required, optional, computed, write-only; each block's nesting. The text is read, nothing of it is run.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

RESOURCES = (
    "google_agent_registry_service",
    "google_artifact_registry_repository",
    "google_artifact_registry_repository_iam_member",
    "google_cloud_run_v2_service",
    "google_cloud_run_v2_service_iam_member",
    "google_compute_firewall",
    "google_compute_network",
    "google_compute_subnetwork",
    "google_dns_managed_zone",
    "google_dns_record_set",
    "google_project_iam_member",
    "google_project_service",
    "google_secret_manager_secret",
    "google_secret_manager_secret_iam_member",
    "google_secret_manager_secret_version",
    "google_service_account",
    "google_storage_bucket",
    "google_storage_bucket_iam_member",
    "google_storage_bucket_object",
    "google_project_iam_custom_role",
    "google_cloud_scheduler_job",
    "google_service_account_iam_member",
    "google_iap_web_cloud_run_service_iam_member",
    "google_model_armor_template",
    "google_network_connectivity_regional_endpoint",
    "google_network_security_authz_policy",
    "google_network_services_authz_extension",
    "google_network_services_lb_traffic_extension",
    "google_monitoring_dashboard",
    "google_monitoring_alert_policy",
    "google_monitoring_notification_channel",
    "google_monitoring_uptime_check_config",
    "google_billing_budget",
    "google_compute_region_network_endpoint_group",
    "google_compute_backend_service",
    "google_compute_url_map",
    "google_compute_target_https_proxy",
    "google_compute_target_http_proxy",
    "google_compute_global_forwarding_rule",
    "google_compute_global_address",
    "google_compute_ssl_certificate",
    "google_compute_security_policy",
    "google_compute_region_backend_service",
    "google_compute_region_url_map",
    "google_compute_region_target_https_proxy",
    "google_compute_region_target_http_proxy",
    "google_compute_forwarding_rule",
    "google_compute_address",
    "google_compute_region_ssl_certificate",
    "google_compute_region_security_policy",
    "google_certificate_manager_dns_authorization",
    "google_certificate_manager_certificate",
    "google_certificate_manager_certificate_map",
    "google_certificate_manager_certificate_map_entry",
)
_CLASS = re.compile(r"^class (\w+) extends cdktn\.(\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(
    r"^    // (\w+) - computed: (true|false), optional: (true|false), required: (true|false)\n(.*?)(?=^    // \w+ - |^    // =====|\Z)",
    re.MULTILINE | re.DOTALL,
)
_TOLD = re.compile(
    r"^ +(\w+): \{\n +value: .*\n +isBlock: (true|false),\n +type: \"(\w+)\",\n +storageClassType: \"(\w+)\",",
    re.MULTILINE,
)
_FUNCTION = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_WRITE_ONLY = re.compile(r"^ +(\w+): this\.markWriteOnlyAttribute\(", re.MULTILINE)
_INNER = re.compile(r"new (?:index_\d+\.|structs\d+_\d+\.)?(\w+?)(List|Map|OutputReference)\(this, \"\w+\"")
_STRUCTS = re.compile(r"(package/lib/[\w-]+/index)-structs/structs\d+\.js")
"""Where the blocks of a large resource stand, beside its module."""
_TYPES: Mapping[str, Any] = {  # Any: a type as Terraform writes it
    "getStringAttribute": "string",
    "getNumberAttribute": "number",
    "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"],
    "getNumberListAttribute": ["list", "number"],
    "getStringMapAttribute": ["map", "string"],
    "getNumberMapAttribute": ["map", "number"],
    "getBooleanMapAttribute": ["map", "bool"],
}
_MAPS = {"StringMap": "string", "NumberMap": "number", "BooleanMap": "bool"}
_STORED: Mapping[str, Any] = {  # Any: as above
    "string": "string", "boolean": "bool", "number": "number", "stringList": ["list", "string"], "stringMap": ["map", "string"],
}  # fmt: skip
_NESTING = {"list": "list", "set": "set", "struct": "single"}

Json = dict[str, Any]  # Any: JSON


class Field(NamedTuple):
    """One attribute or block of a class."""

    name: str
    computed: bool
    optional: bool
    required: bool
    code: str


def schema(wheel: Path) -> Json:
    """
    Return the schema of the provider's configuration and of `RESOURCES`. Raises `ValueError` for text it
    cannot read.
    """
    with zipfile.ZipFile(wheel) as packed:
        name = next(name for name in packed.namelist() if name.endswith(".jsii.tgz"))
        inner = packed.read(name)
    wanted = {f"package/lib/{_folder(one)}/index.js": one for one in RESOURCES}
    texts: dict[str, str] = {}
    provider: Json = {}
    with tarfile.open(fileobj=io.BytesIO(inner), mode="r|gz") as files:
        for member in files:
            beside = _STRUCTS.fullmatch(member.name)
            one = wanted.get(f"{beside[1]}.js" if beside else member.name)
            if one is None and member.name != "package/lib/provider/index.js":
                continue
            opened = files.extractfile(member)
            assert opened is not None
            text = opened.read().decode().partition("//# sourceMappingURL")[0]
            if one is None:
                provider = {
                    "version": 0,
                    "block": {"attributes": _Module(text).block("GoogleProvider")["attributes"]},
                }
            else:
                texts[one] = texts.get(one, "") + text
    made = {one: {"version": 0, "block": _Module(text).resource()} for one, text in texts.items()}
    missing = set(RESOURCES) - set(made)
    if missing or not provider:
        raise ValueError(f"{wheel.name} has no {', '.join(sorted(missing)) or 'provider'}")
    return {"provider": provider, "resource_schemas": dict(sorted(made.items()))}


def _folder(resource: str) -> str:
    return resource.removeprefix("google_").replace("_", "-")


class _Module:
    """One module of the bindings: a resource, with a class for each block in it."""

    def __init__(self, text: str) -> None:
        self._bodies = {found[1]: found[3] for found in _CLASS.finditer(text)}
        self._root = next(
            (found[1] for found in _CLASS.finditer(text) if found[2] == "TerraformResource"), ""
        )
        self._functions = {found[1].lower(): found[2] for found in _FUNCTION.finditer(text)}

    def resource(self) -> Json:
        """Return the schema of its resource."""
        return self.block(self._root)

    def block(self, name: str) -> Json:
        """Return the schema of what a class is for."""
        body = self._bodies.get(name) or self._bodies[f"{name}OutputReference"]
        told = body if name in self._bodies else self._functions.get(name.lower(), "")
        kinds = {found[1]: (found[2] == "true", found[3], found[4]) for found in _TOLD.finditer(told)}
        hidden = set(_WRITE_ONLY.findall(told))
        attributes: Json = {}
        blocks: Json = {}
        for found in _FIELD.finditer(body):
            field = Field(found[1], found[2] == "true", found[3] == "true", found[4] == "true", found[5])
            is_block, nesting, stored = kinds.get(field.name, (False, "simple", ""))
            if is_block:
                blocks[field.name] = self._nested(field, nesting)
            else:
                flags = {"computed": field.computed, "optional": field.optional, "required": field.required,
                         "write_only": field.name in hidden}  # fmt: skip
                attributes[field.name] = {"type": self._type(field, stored)} | {
                    key: True for key, on in flags.items() if on
                }
        return {"attributes": attributes} | ({"block_types": blocks} if blocks else {})

    def _nested(self, field: Field, nesting: str) -> Json:
        inner = _INNER.search(field.code)
        if inner is None:
            if self._root:
                raise ValueError(f"{self._root} has no class for its block {field.name}")
            return {
                "nesting_mode": _NESTING[nesting],
                "block": {},
            }  # One of the provider's own, which are left out.
        made: Json = {"nesting_mode": _NESTING[nesting], "block": self.block(inner[1])}
        if field.required:
            made["min_items"] = 1
        if inner[2] == "OutputReference" and nesting != "struct":
            made["max_items"] = 1
        return made

    def _type(self, field: Field, stored: str) -> Any:  # Any: a type as Terraform writes it
        inner = _INNER.search(field.code)
        if inner is not None:
            if field.optional or field.required:
                raise ValueError(f"{field.name} can be set, and is neither a plain value nor a block")
            block = self.block(inner[1])
            members = {name: one["type"] for name, one in block["attributes"].items()}
            return ["list", ["object", members]]
        getter = re.search(r"(?:this\.(get\w+Attribute)|new cdktn\.(\w+Map))\(", field.code)
        if getter is None:  # The provider's own, which nothing reads back.
            return _STORED[stored]
        if getter[2]:
            return ["map", _MAPS[getter[2]]]
        found = _TYPES.get(getter[1])
        if found is None:
            raise ValueError(f"{field.name}: {getter[1]} is of no known type")
        return ["set", found[1]] if "Fn.tolist(" in field.code else found


def main() -> int:
    """Write one schema."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("schema", type=Path)
    given = parser.parse_args()
    given.schema.write_text(json.dumps(schema(given.wheel), separators=(",", ":")) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
