"""
Which permissions a role holds, and which a method needs.

The facts lie beside this module with their source and date: `roles.json`, and `methods.json` with the rule and its
exceptions. A method that no permission is known for is not checked, and `unchecked` says why.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

from gcp_rehearsal.json_types import Json, JsonObject

_PREFIX = "roles/"
_BASIC = ("owner", "editor", "viewer")


def roles() -> tuple[str, ...]:
    """Return the roles that are known, such as `roles/run.admin`, sorted."""
    return tuple(sorted(_PREFIX + name for name in (*_BASIC, *_facts().predefined)))


def permissions_of(role: str) -> frozenset[str] | None:
    """Return what `role` (such as `roles/run.admin`) allows; None where the role is not known."""
    name = role.removeprefix(_PREFIX)
    if name == role:
        return None
    return _basic(name) if name in _BASIC else _facts().predefined.get(name)


def is_known(permission: str) -> bool:
    """Return True if there is a permission of that name."""
    return permission in _facts().known


@cache
def required(method_id: str) -> tuple[str, ...]:
    """
    Return the permissions that the caller of a method (its id in the discovery document) needs, all of them;
    () is: not checked.
    """
    short = _short(method_id)
    exception = _methods().exceptions.get(short)
    if exception is not None:
        return exception
    permission = _by_rule(short)
    return (permission,) if permission in _facts().known else ()


def unchecked(method_id: str) -> str:
    """Return why `required` names no permission for a method; '' where it names one, or where nobody has said why."""
    if required(method_id):
        return ""
    api, _, rest = _short(method_id).partition(".")
    if api == "compute" and rest.partition(".")[0] not in _facts().compute:
        return "the rehearsal leaves it out"
    reasons = _methods().unchecked.items()
    return next((reason for pattern, reason in reasons if fnmatchcase(method_id, pattern)), "")


def further(method_id: str) -> tuple[Further, ...]:
    """Return what else the caller of a method needs, by what it asks for."""
    return _methods().further.get(_short(method_id), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """A permission that a method needs by what is asked of it."""

    permission: str
    on: str
    """The kind of resource it is needed on, such as `the service account`."""
    when: str
    """Such as `the object exists`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What `roles.json` says."""

    predefined: Mapping[str, frozenset[str]]
    basic: Mapping[str, Mapping[str, Json]]
    compute: frozenset[str]
    """The collections of Compute Engine whose permissions are kept."""
    known: frozenset[str]
    """All permissions that are in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Methods:
    """What `methods.json` says."""

    services: Mapping[str, str]
    verbs: Mapping[str, str]
    collections: Mapping[str, str]
    exceptions: Mapping[str, tuple[str, ...]]
    unchecked: Mapping[str, str]
    """Patterns of methods' ids, with the reason."""
    further: Mapping[str, tuple[Further, ...]]


@cache
def _basic(name: str) -> frozenset[str]:
    facts = _facts()
    rule = facts.basic[name]
    by_rule = {
        permission
        for permission in facts.known
        if _matches(permission, rule["matches"]) and not _matches(permission, rule["lacks"])
    }
    return frozenset(
        by_rule.union(_spelt_out(rule["and"]), *(facts.predefined[legacy] for legacy in rule["with"]))
    )


def _short(method_id: str) -> str:
    """Return the API, the last collection and the verb of a method: projects and locations are left out."""
    parts = method_id.split(".")
    return ".".join((parts[0], *parts[-2:])) if len(parts) > 3 else method_id


def _by_rule(short: str) -> str:
    methods = _methods()
    api, _, rest = short.partition(".")
    collection, _, verb = rest.rpartition(".")
    collection = methods.collections.get(f"{api}.{collection}", collection)
    return f"{methods.services.get(api, api)}.{collection}.{methods.verbs.get(verb, verb)}"


def _matches(permission: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(permission, pattern) for pattern in patterns)


def _spelt_out(grants: Mapping[str, str]) -> Iterator[str]:
    return (f"{collection}.{verb}" for collection, verbs in grants.items() for verb in verbs.split())


@cache
def _facts() -> _Facts:
    raw = _read("roles.json")
    predefined = {name: frozenset(_spelt_out(role["grants"])) for name, role in raw["roles"].items()}
    return _Facts(
        predefined=predefined,
        basic=raw["basic"],
        compute=frozenset(raw["compute"]),
        known=frozenset(_spelt_out(raw["basic_only"])).union(*predefined.values()),
    )


@cache
def _methods() -> _Methods:
    raw = _read("methods.json")
    return _Methods(
        services=raw["services"],
        verbs=raw["verbs"],
        collections=raw["collections"],
        exceptions={short: tuple(names.split()) for short, names in raw["exceptions"].items()},
        unchecked={pattern: reason for reason, patterns in raw["unchecked"].items() for pattern in patterns},
        further={
            short: tuple(Further(**each) for each in listed)
            for listed, shorts in ((group["needs"], group["methods"]) for group in raw["further"])
            for short in shorts
        },
    )


def _read(name: str) -> JsonObject:
    raw: dict[str, Any] = json.loads(
        files(__package__).joinpath(name).read_text(encoding="utf-8")
    )  # Any: JSON
    return raw
