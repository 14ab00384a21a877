"""What the v2 API has as fields, and Knative as annotations: one table, read both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gcp_rehearsal.apis.run.status import Wrong
from gcp_rehearsal.errors import unimplemented
from gcp_rehearsal.json_text import read_json
from gcp_rehearsal.json_types import Json, JsonObject

Body = Mapping[str, Json]
Made = JsonObject

RUN, SCALE, SERVING = "run.googleapis.com", "autoscaling.knative.dev", "serving.knative.dev"
SECRETS = f"{RUN}/secrets"
THROTTLING, BOOST = f"{RUN}/cpu-throttling", f"{RUN}/startup-cpu-boost"
NEEDS = f"{RUN}/container-dependencies"
_OURS = (RUN, SCALE, SERVING, "cloud.googleapis.com")
_OUTPUTS = frozenset(
    (f"{SERVING}/creator", f"{SERVING}/lastModifier", f"{RUN}/creator", f"{RUN}/lastModifier", f"{RUN}/urls",
     f"{RUN}/ingress-status", f"{RUN}/operation-id", f"{RUN}/minScale-status")
)  # fmt: skip
"""Those that Google writes, and that come back with what is read."""
_OF_TEMPLATES = frozenset((SECRETS, THROTTLING, BOOST, NEEDS, f"{RUN}/cloudsql-instances"))
_NOT_ACTED = ("build-", "base-images", "mesh", "post-key-revocation", "identity", "regions", "sources")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of v2, at a path, and its annotation."""

    path: tuple[str, ...]
    key: str
    to_v1: Callable[[Json], str]
    to_v2: Callable[[str], Json]


def _text(path: str, key: str) -> Field:
    return Field(path=tuple(path.split(".")), key=key, to_v1=str, to_v2=str)


def _integer(path: str, key: str) -> Field:
    return Field(path=tuple(path.split(".")), key=key, to_v1=str, to_v2=int)


def _share(path: str, key: str) -> Field:
    return Field(path=tuple(path.split(".")), key=key, to_v1=str, to_v2=float)


def _flag(path: str, key: str) -> Field:
    return Field(
        path=tuple(path.split(".")),
        key=key,
        to_v1=lambda value: "true" if value else "false",
        to_v2=lambda text: _one_of(text.lower(), {"true": True, "false": False}),
    )


def _json(path: str, key: str) -> Field:
    return Field(
        path=tuple(path.split(".")), key=key, to_v1=lambda value: json.dumps(value, separators=(",", ":")), to_v2=read_json
    )  # fmt: skip


def _word(path: str, key: str, words: Mapping[str, str]) -> Field:
    back = {short: name for name, short in words.items()}
    return Field(
        path=tuple(path.split(".")),
        key=key,
        to_v1=lambda value: words.get(value, ""),
        to_v2=lambda text: _one_of(text, back),
    )


def _one_of(text: str, words: Mapping[str, Any]) -> Any:  # Any: of the table
    if text not in words:
        raise ValueError(text)
    return words[text]


_CLIENT = (_text("client", f"{RUN}/client-name"), _text("clientVersion", f"{RUN}/client-version"))
_POLICY = Field(
    path=("binaryAuthorization",), key=f"{RUN}/binary-authorization",
    to_v1=lambda value: "default" if value.get("useDefault") else value.get("policy", ""),
    to_v2=lambda text: {"useDefault": True} if text == "default" else {"policy": text},
)  # fmt: skip
_BINARIES = (
    _POLICY,
    _text("binaryAuthorization.breakglassJustification", f"{RUN}/binary-authorization-breakglass"),
)
_STAGE = _word("launchStage", f"{RUN}/launch-stage", {"ALPHA": "ALPHA", "BETA": "BETA", "GA": "GA"})
_EGRESS = _word("vpcAccess.egress", f"{RUN}/vpc-access-egress",
                {"ALL_TRAFFIC": "all-traffic", "PRIVATE_RANGES_ONLY": "private-ranges-only"})  # fmt: skip
_CONNECTOR = _text("vpcAccess.connector", f"{RUN}/vpc-access-connector")
_KEY = _text("encryptionKey", f"{RUN}/encryption-key")
_NETWORK = _json("vpcAccess.networkInterfaces", f"{RUN}/network-interfaces")
_ENVIRONMENT = _word("executionEnvironment", f"{RUN}/execution-environment",
                     {"EXECUTION_ENVIRONMENT_GEN1": "gen1", "EXECUTION_ENVIRONMENT_GEN2": "gen2"})  # fmt: skip
_GPU = _flag("gpuZonalRedundancyDisabled", f"{RUN}/gpu-zonal-redundancy-disabled")

SERVICE: tuple[Field, ...] = (
    *_CLIENT, _STAGE, *_BINARIES,
    _text("description", f"{RUN}/description"),
    _word("ingress", f"{RUN}/ingress",
          {"INGRESS_TRAFFIC_ALL": "all", "INGRESS_TRAFFIC_INTERNAL_ONLY": "internal", "INGRESS_TRAFFIC_NONE": "none",
           "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER": "internal-and-cloud-load-balancing"}),
    _json("customAudiences", f"{RUN}/custom-audiences"),
    _flag("defaultUriDisabled", f"{RUN}/default-url-disabled"),
    _flag("invokerIamDisabled", f"{RUN}/invoker-iam-disabled"),
    _flag("iapEnabled", f"{RUN}/iap-enabled"),
    _integer("scaling.minInstanceCount", f"{RUN}/minScale"),
    _integer("scaling.maxInstanceCount", f"{RUN}/maxScale"),
    _integer("scaling.manualInstanceCount", f"{RUN}/manualInstanceCount"),
    _word("scaling.scalingMode", f"{RUN}/scalingMode", {"AUTOMATIC": "automatic", "MANUAL": "manual"}),
)  # fmt: skip
REVISION: tuple[Field, ...] = (
    *_CLIENT, _EGRESS, _NETWORK, _CONNECTOR, _KEY, _ENVIRONMENT, _GPU,
    _integer("scaling.minInstanceCount", f"{SCALE}/minScale"),
    _integer("scaling.maxInstanceCount", f"{SCALE}/maxScale"),
    _share("scaling.concurrencyUtilization", f"{RUN}/scaling-concurrency-target"),
    _share("scaling.cpuUtilization", f"{RUN}/scaling-cpu-target"),
    _flag("sessionAffinity", f"{RUN}/sessionAffinity"),
    _flag("healthCheckDisabled", f"{RUN}/health-check-disabled"),
)  # fmt: skip
JOB: tuple[Field, ...] = (*_CLIENT, _STAGE, *_BINARIES)
EXECUTION: tuple[Field, ...] = _CLIENT
TASK: tuple[Field, ...] = (_EGRESS, _NETWORK, _CONNECTOR, _KEY, _ENVIRONMENT, _GPU)
"""Of a task's template, which has no metadata of its own: the execution's annotations hold them."""
_KINDS = {"Service": SERVICE, "Revision": REVISION, "Job": JOB, "Execution": (*EXECUTION, *TASK)}


def to_v1(fields: tuple[Field, ...], body: Body) -> dict[str, str]:
    """Return the annotations that say what the fields of `body` say."""
    annotations = {}
    for field in fields:
        value = _at(body, field.path)
        text = "" if value is None else field.to_v1(value)
        if text and not (field is _STAGE and text == "GA"):
            annotations[field.key] = text
    return annotations


def to_v2(fields: tuple[Field, ...], annotations: Mapping[str, str], body: Made, wrong: Wrong) -> None:
    """Set in `body` what the annotations say."""
    for field in fields:
        if field.key not in annotations:
            continue
        text = (
            "all-traffic" if field is _EGRESS and annotations[field.key] == "all" else annotations[field.key]
        )
        try:
            value = field.to_v2(text)
        except ValueError:
            wrong.say(f"annotations[{field.key}]", f"Invalid value '{text}' for annotation {field.key}")
            continue
        inner = body
        for key in field.path[:-1]:
            inner = inner.setdefault(key, {})
        inner[field.path[-1]] = value


def users(annotations: Mapping[str, str], kind: str, wrong: Wrong) -> dict[str, str]:
    """
    Return the annotations that are the user's own; whatever is Google's and does not belong here is added to
    `wrong`.

    Raises `ApiError` 501 for those of Google's that the rehearsal does not act out.
    """
    known = {field.key for field in _KINDS[kind]} | (
        _OF_TEMPLATES if kind in {"Revision", "Execution"} else set()
    )
    own = {}
    for key, value in annotations.items():
        if key in known or key in _OUTPUTS:
            continue
        if key.partition("/")[0] not in _OURS:
            own[key] = value
            continue
        if key.partition("/")[2].startswith(_NOT_ACTED):
            raise unimplemented(f"the annotation {key}")
        kinds = [name for name, fields in _KINDS.items() if key in {field.key for field in fields}]
        kinds += ["Revision"] if key in _OF_TEMPLATES else []
        hint = f" Supported kinds are: {', '.join(kinds)}" if kinds else ""
        wrong.say(
            f"annotations[{key}]",
            f"Annotation '{key}' is not supported on resources of kind '{kind}'.{hint}",
        )
    return own


def _at(body: Body, path: tuple[str, ...]) -> Json:
    value: Json = body
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
