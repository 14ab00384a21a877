"""Rules of URL maps as Envoy's routes: what a request must be, and how it is rewritten or sent elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gcp_rehearsal.json_types import Json, JsonObject

_TEMPLATES = "type.googleapis.com/envoy.extensions.path"
_CODES = {
    "": "MOVED_PERMANENTLY", "MOVED_PERMANENTLY_DEFAULT": "MOVED_PERMANENTLY", "FOUND": "FOUND", "SEE_OTHER": "SEE_OTHER",
    "TEMPORARY_REDIRECT": "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT": "PERMANENT_REDIRECT",
}  # fmt: skip
UNACTED = "unacted"
"""The key of a rule that is put in the place of one that Envoy is not told: what of it that is."""
_ACTED_OUT = frozenset({"weightedBackendServices", "urlRewrite"})


def routes_of(matcher: Mapping[str, Json]) -> Iterator[tuple[JsonObject, Mapping[str, Json], str]]:
    """Yield what a request must be, in the order in which it is tried, with the rule that it leads to and how its keys begin."""
    for rule in sorted(matcher.get("routeRules") or (), key=lambda rule: int(rule.get("priority") or 0)):
        for match in rule.get("matchRules") or ():
            yield _match(match), ({UNACTED: "rangeMatch"} if _has_ranges(match) else rule), ""
    patterns = [
        (str(path), rule) for rule in matcher.get("pathRules") or () for path in rule.get("paths") or ()
    ]
    for path, rule in sorted(patterns, key=lambda pattern: -len(pattern[0].removesuffix("*"))):
        yield _fits(path), rule, ""
    yield {"prefix": "/"}, matcher, "default"


def rewritten(action: Mapping[str, Json], redirect: Mapping[str, Json]) -> JsonObject:
    """Return a redirect, or what of a request is changed; under `cannot`, why there is neither."""
    if redirect:
        response: JsonObject = {"response_code": _CODES[str(redirect.get("redirectResponseCode") or "")]}
        for key, name in (
            ("httpsRedirect", "https_redirect"), ("hostRedirect", "host_redirect"), ("pathRedirect", "path_redirect"),
            ("prefixRedirect", "prefix_rewrite"), ("stripQuery", "strip_query"),
        ):  # fmt: skip
            if redirect.get(key):
                response[name] = redirect[key]
        return {"redirect": response}
    unknown = sorted(key for key, value in action.items() if value and key not in _ACTED_OUT)
    if unknown:
        return {"cannot": f"the rehearsal's Envoy does not act out {', '.join(unknown)} of a URL map"}
    rewrite = action.get("urlRewrite") or {}
    changed: JsonObject = {}
    for key, name in (("pathPrefixRewrite", "prefix_rewrite"), ("hostRewrite", "host_rewrite_literal")):
        if rewrite.get(key):
            changed[name] = rewrite[key]
    if rewrite.get("pathTemplateRewrite"):
        kind = f"{_TEMPLATES}.rewrite.uri_template.v3.UriTemplateRewriteConfig"
        config = {"@type": kind, "path_template_rewrite": rewrite["pathTemplateRewrite"]}
        changed["path_rewrite_policy"] = {"name": "template", "typed_config": config}
    return changed


def _has_ranges(match: Mapping[str, Json]) -> bool:
    return any(header.get("rangeMatch") is not None for header in match.get("headerMatches") or ())


def _fits(pattern: str) -> JsonObject:
    if pattern == "/*":
        return {"prefix": "/"}
    return {"path_separated_prefix": pattern[:-2]} if pattern.endswith("/*") else {"path": pattern}


def _match(match: Mapping[str, Json]) -> JsonObject:
    route_match: JsonObject = {"prefix": "/"}
    if match.get("prefixMatch") is not None:
        route_match = {"prefix": match["prefixMatch"]}
    elif match.get("fullPathMatch") is not None:
        route_match = {"path": match["fullPathMatch"]}
    elif match.get("regexMatch") is not None:
        route_match = {"safe_regex": {"regex": match["regexMatch"]}}
    elif match.get("pathTemplateMatch") is not None:
        kind = f"{_TEMPLATES}.match.uri_template.v3.UriTemplateMatchConfig"
        config = {"@type": kind, "path_template": match["pathTemplateMatch"]}
        route_match = {"path_match_policy": {"name": "template", "typed_config": config}}
    if match.get("ignoreCase"):
        route_match["case_sensitive"] = False
    headers = [
        _field_match(header, str(header.get("headerName"))) for header in match.get("headerMatches") or ()
    ]
    parameters = [
        _field_match(parameter, str(parameter.get("name")))
        for parameter in match.get("queryParameterMatches") or ()
    ]
    return (
        route_match
        | ({"headers": headers} if headers else {})
        | ({"query_parameters": parameters} if parameters else {})
    )


def _field_match(match: Mapping[str, Json], name: str) -> JsonObject:
    matcher: JsonObject = {"name": name}
    for key, kind in (("exactMatch", "exact"), ("prefixMatch", "prefix"), ("suffixMatch", "suffix")):
        if match.get(key) is not None:
            matcher["string_match"] = {kind: match[key]}
    if match.get("regexMatch") is not None:
        matcher["string_match"] = {"safe_regex": {"regex": match["regexMatch"]}}
    if match.get("rangeMatch") is not None:
        # Whatever the range, in it or not: who has the header is told that this is not acted out.
        return matcher | {"present_match": True}
    if "string_match" not in matcher:
        matcher["present_match"] = True
    return matcher | ({"invert_match": True} if match.get("invertMatch") else {})


__all__ = ["UNACTED", "rewritten", "routes_of"]
