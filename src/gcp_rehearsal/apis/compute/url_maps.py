"""URL maps: what they name, where they send a request, and the tests that they carry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from gcp_rehearsal.apis.compute.references import check_scope, resolve
from gcp_rehearsal.apis.compute.route_rules import check_rules, check_split
from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import ApiError, invalid, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject

_SPLITS = "weightedBackendServices[].backendService"
_ACTION = (_SPLITS, "requestMirrorPolicy.backendService")
REFERENCES: tuple[str, ...] = (
    "defaultService", "pathMatchers[].defaultService", "pathMatchers[].pathRules[].service",
    "pathMatchers[].routeRules[].service", "tests[].service",
    *(f"{holder}.{field}" for field in _ACTION for holder in (
        "defaultRouteAction", "pathMatchers[].defaultRouteAction", "pathMatchers[].pathRules[].routeAction",
        "pathMatchers[].routeRules[].routeAction")),
)  # fmt: skip
"""The fields that name backend services."""


def prepare(call: Call, body: JsonObject) -> None:
    """Check what a map names and whether it routes as its tests say. Raises `ApiError`."""
    resolve(call, body, REFERENCES)
    check_scope(call, body, REFERENCES)
    _check_shape(body)
    failed = next(failures(body), None)
    if failed is not None and "expectedOutputUrl" in failed:
        raise invalid(
            "Invalid value for field 'resource.tests': ''. Test failure: Expect URL "
            f"'{failed['host']}{failed['path']}' to be sent on as '{failed['expectedOutputUrl']}', but it is sent on as "
            f"'{failed['actualOutputUrl']}'."
        )
    if failed is not None:
        raise invalid(
            "Invalid value for field 'resource.tests': ''. Test failure: Expect URL "
            f"'{failed['host']}{failed['path']}' to map to service '{failed['expectedService']}', but actually mapped to "
            f"'{failed['actualService']}'."
        )


def validate(call: Call) -> JsonObject:
    """Tell whether a map would load, and whether it routes as its tests say."""
    body = dict(call.body.get("resource") or {})
    try:
        resolve(call, body, REFERENCES)
        _check_shape(body)
        failed = list(failures(body))
    except ApiError as error:
        if error.code == 501:
            raise
        return {"result": {"loadSucceeded": False, "loadErrors": [error.message], "testPassed": False}}
    more = {"testFailures": failed} if failed else {}
    return {"result": {"loadSucceeded": True, "testPassed": not failed, **more}}


def failures(body: Mapping[str, Json]) -> Iterator[JsonObject]:
    """Yield those of a map's tests that it fails, as Google tells them."""
    for test in body.get("tests") or ():
        host, path = str(test.get("host") or ""), str(test.get("path") or "/")
        headers = {
            str(header.get("name")).lower(): str(header.get("value")) for header in test.get("headers") or ()
        }
        way = way_of(body, host, path, headers)
        if way.shared and test.get("service"):
            raise unimplemented("a test of a URL map that names a service where requests are split by weight")
        report = {
            "host": host,
            "path": path,
            "expectedService": str(test.get("service") or ""),
            "actualService": way.service,
        }
        if report["expectedService"] not in {"", way.service}:
            yield report
            continue
        expected = str(test.get("expectedOutputUrl") or "")
        # Its scheme is ignored where a service is named. Of redirects the rehearsal tells nothing here.
        if expected and way.service and expected.partition("://")[2] != f"{way.host}{way.path}":
            scheme = expected.partition("://")[0]
            yield {
                **report,
                "expectedOutputUrl": expected,
                "actualOutputUrl": f"{scheme}://{way.host}{way.path}",
            }


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedRequest:
    """Where a map sends a request, and as what it arrives there."""

    service: str
    """The address of the backend service; '' for a redirect."""
    host: str
    path: str
    """With its query."""
    shared: bool = False
    """Whether it is one of a split, by a draw."""


def service_for(body: Mapping[str, Json], host: str, path: str, headers: Mapping[str, str]) -> str:
    """Return the address of the backend service that a request goes to. Raises what `way_of` raises."""
    return way_of(body, host, path, headers).service


def way_of(
    body: Mapping[str, Json], host: str, path: str, headers: Mapping[str, str], *, drawn: float = 0.0
) -> RoutedRequest:
    """
    Return where a request goes, with its host and the beginning of its path rewritten. `drawn`, from 0 to below 1, decides a split.

    Raises `ApiError` 501 for a rule that cannot be read here.
    """
    plain = path.partition("?")[0]
    holder, prefix, matched = _rule_for(body, host, plain, headers)
    action = holder.get("defaultRouteAction" if prefix else "routeAction") or {}
    rewrite = action.get("urlRewrite") or {}
    begin = rewrite.get("pathPrefixRewrite")
    if begin is not None:
        path = f"{begin}{path[len(matched) :]}"
    split = action.get("weightedBackendServices") or ()
    service = _drawn(split, drawn) if split else holder.get("defaultService" if prefix else "service")
    return RoutedRequest(
        service=str(service or ""),
        host=str(rewrite.get("hostRewrite") or host),
        path=path,
        shared=len(split) > 1,
    )


def _rule_for(
    body: Mapping[str, Json], host: str, plain: str, headers: Mapping[str, str]
) -> tuple[Mapping[str, Json], str, str]:
    """Return what holds the goal of a request, how its keys begin, and the part of the path that it was found by."""
    matcher = _matcher(body, host)
    if matcher is None:
        return body, "default", ""
    for rule in sorted(matcher.get("routeRules") or (), key=lambda rule: int(rule.get("priority") or 0)):
        for match in rule.get("matchRules") or ():
            if _meets(match, plain, headers):
                return rule, "", str(match.get("prefixMatch") or match.get("fullPathMatch") or "")
    best, fixed = None, ""
    for rule in matcher.get("pathRules") or ():
        for pattern in rule.get("paths") or ():
            begin = pattern.removesuffix("*")
            if _fits(pattern, plain) and (best is None or len(begin) > len(fixed)):
                best, fixed = rule, begin
    return (best, "", fixed) if best is not None else (matcher, "default", "")


def _matcher(body: Mapping[str, Json], host: str) -> JsonObject | None:
    named, length = "", -1
    for rule in body.get("hostRules") or ():
        for pattern in rule.get("hosts") or ():
            fits = pattern in {"*", host} or (pattern.startswith("*.") and host.endswith(pattern[1:]))
            if fits and len(pattern) > length:
                named, length = rule.get("pathMatcher") or "", len(pattern)
    return next((matcher for matcher in body.get("pathMatchers") or () if matcher.get("name") == named), None)


def _drawn(split: Sequence[Mapping[str, Json]], drawn: float) -> str:
    weights = [int(share.get("weight") or 0) for share in split]
    place = drawn * sum(weights)
    for share, end in zip(split, accumulate(weights), strict=True):
        if place < end:
            return str(share["backendService"])
    return ""


def _fits(pattern: str, path: str) -> bool:
    if pattern.endswith("/*"):
        return path == pattern[:-2] or path.startswith(pattern[:-1])
    return path == pattern


def _meets(match: Mapping[str, Json], path: str, headers: Mapping[str, str]) -> bool:
    for key in ("pathTemplateMatch", "queryParameterMatches", "metadataFilters"):
        if match.get(key):
            raise unimplemented(f"'{key}' of a rule, in the tests of a URL map")
    ignore = bool(match.get("ignoreCase"))
    compared = path.lower() if ignore else path
    for key, fits in (("prefixMatch", compared.startswith), ("fullPathMatch", compared.__eq__)):
        want = match.get(key)
        if want is not None and not fits(want.lower() if ignore else want):
            return False
    pattern = match.get("regexMatch")
    if pattern is not None and not re.fullmatch(pattern, path):
        return False
    return all(_has(headers, header) for header in match.get("headerMatches") or ())


def _has(headers: Mapping[str, str], match: Mapping[str, Json]) -> bool:
    value = headers.get(str(match.get("headerName") or "").lower())
    if value is None:
        # As Envoy has it, on which these load balancers stand: what is not there fits no wanted value, inverted or not.
        return bool(match.get("invertMatch")) and bool(match.get("presentMatch"))
    fits = True
    for key, holds in (
        ("exactMatch", lambda have, want: have == want),
        ("prefixMatch", lambda have, want: have.startswith(want)),
        ("suffixMatch", lambda have, want: have.endswith(want)),
        ("regexMatch", lambda have, want: re.fullmatch(want, have) is not None),
    ):
        if match.get(key) is not None:
            fits = fits and holds(value, match[key])
    return fits != bool(match.get("invertMatch"))


def _check_shape(body: Mapping[str, Json]) -> None:
    names = [matcher.get("name") for matcher in body.get("pathMatchers") or ()]
    for number, rule in enumerate(body.get("hostRules") or ()):
        if rule.get("pathMatcher") not in names:
            raise invalid(
                f"Invalid value for field 'resource.hostRules[{number}].pathMatcher': '{rule.get('pathMatcher')}'. "
                "No path matcher has this name."
            )
    used = {rule.get("pathMatcher") for rule in body.get("hostRules") or ()}
    for number, matcher in enumerate(body.get("pathMatchers") or ()):
        where = f"resource.pathMatchers[{number}]"
        if matcher.get("name") not in used:
            raise invalid(
                f"Invalid value for field '{where}.name': '{matcher.get('name')}'. No host rule uses it."
            )
        if matcher.get("pathRules") and matcher.get("routeRules"):
            raise invalid(f"Invalid value for field '{where}': pathRules and routeRules exclude one another.")
        check_rules(matcher, where)
        _check_default(matcher, where)
    _check_default(body, "resource")


def _check_default(holder: Mapping[str, Json], where: str) -> None:
    split = (holder.get("defaultRouteAction") or {}).get("weightedBackendServices")
    targets = [holder.get("defaultService"), split, holder.get("defaultUrlRedirect")]
    if sum(1 for target in targets if target) != 1:
        raise invalid(
            f"Invalid value for field '{where}.defaultService': '{holder.get('defaultService') or ''}'. Exactly one of "
            "defaultService, defaultUrlRedirect and defaultRouteAction.weightedBackendServices must be set."
        )
    check_split(split or (), f"{where}.defaultRouteAction")


__all__ = ["REFERENCES", "RoutedRequest", "failures", "prepare", "service_for", "validate", "way_of"]
