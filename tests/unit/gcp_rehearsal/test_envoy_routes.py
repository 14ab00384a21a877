"""Rules of URL maps become Envoy's routes, in the order in which Google tries them."""

from __future__ import annotations

import pytest

from gcp_rehearsal.apis.compute.url_maps import failures, service_for, way_of
from gcp_rehearsal.runtime.envoy_routes import UNACTED, rewritten, routes_of


def test_a_path_as_a_whole_comes_before_all_that_begin_alike() -> None:
    rules = [{"paths": ["/*", "/a/*"], "service": "many"}, {"paths": ["/a/b"], "service": "one"}]
    matcher = {"name": "p", "defaultService": "rest", "pathRules": rules}
    tried = [(match, holder.get("service")) for match, holder, _ in routes_of(matcher)]
    assert tried == [
        ({"path": "/a/b"}, "one"),
        ({"path_separated_prefix": "/a"}, "many"),
        ({"prefix": "/"}, "many"),
        ({"prefix": "/"}, None),
    ]
    routes = {"hostRules": [{"hosts": ["*"], "pathMatcher": "p"}], "pathMatchers": [matcher]}
    assert [service_for(routes, "x", path, {}) for path in ("/a/b", "/a/c")] == ["one", "many"]


def test_a_header_that_is_not_there_fits_no_value_inverted_or_not() -> None:
    match = {"prefixMatch": "/", "headerMatches": [{"headerName": "x-a", "exactMatch": "b", "invertMatch": True}]}  # fmt: skip
    matcher = {"name": "p", "defaultService": "rest", "routeRules": [{"priority": 1, "matchRules": [match], "service": "one"}]}  # fmt: skip
    routes = {"hostRules": [{"hosts": ["*"], "pathMatcher": "p"}], "pathMatchers": [matcher]}
    asked: tuple[dict[str, str], ...] = ({}, {"x-a": "b"}, {"x-a": "c"})
    assert [service_for(routes, "x", "/", one) for one in asked] == ["rest", "rest", "one"]


def test_a_regular_expression_of_a_map_of_a_region_is_one_of_envoys() -> None:
    header = {"headerName": "x-a", "regexMatch": "b+"}
    rule = {
        "priority": 1,
        "service": "one",
        "matchRules": [{"regexMatch": "/v[0-9]+", "headerMatches": [header]}],
    }
    (first, *_) = routes_of({"name": "p", "defaultService": "rest", "routeRules": [rule]})
    assert first[0] == {
        "safe_regex": {"regex": "/v[0-9]+"},
        "headers": [{"name": "x-a", "string_match": {"safe_regex": {"regex": "b+"}}}],
    }


@pytest.mark.parametrize("inverted", [False, True])
def test_a_range_of_numbers_is_answered_with_501_for_whoever_says_the_header(*, inverted: bool) -> None:
    header = {
        "headerName": "x-a",
        "rangeMatch": {"rangeStart": "1", "rangeEnd": "9"},
        "invertMatch": inverted,
    }
    rule = {"priority": 1, "service": "one", "matchRules": [{"prefixMatch": "/", "headerMatches": [header]}]}
    routes = [*routes_of({"name": "p", "defaultService": "rest", "routeRules": [rule]})]
    match, holder, _ = routes[0]
    assert match == {"prefix": "/", "headers": [{"name": "x-a", "present_match": True}]}
    assert holder == {UNACTED: "rangeMatch"}
    assert UNACTED not in routes[1][1]


def test_a_draw_decides_which_part_of_a_split_answers() -> None:
    split = [{"backendService": name, "weight": weight} for name, weight in (("a", 90), ("b", 0), ("c", 10))]
    matcher = {"name": "p", "defaultRouteAction": {"weightedBackendServices": split}}
    routes = {"hostRules": [{"hosts": ["*"], "pathMatcher": "p"}], "pathMatchers": [matcher]}
    draws = (0.0, 0.899, 0.901, 0.9999)
    assert [way_of(routes, "x", "/", {}, drawn=draw).service for draw in draws] == ["a", "a", "c", "c"]
    assert way_of(routes, "x", "/", {}).shared


def test_what_is_rewritten_and_what_cannot_be() -> None:
    assert rewritten({"urlRewrite": {"pathPrefixRewrite": "/v1"}}, {}) == {"prefix_rewrite": "/v1"}
    assert rewritten({}, {"httpsRedirect": True, "redirectResponseCode": "FOUND"}) == {
        "redirect": {"response_code": "FOUND", "https_redirect": True}
    }
    assert rewritten({"retryPolicy": {"numRetries": 1}, "timeout": {"seconds": 1}}, {}) == {
        "cannot": "the rehearsal's Envoy does not act out retryPolicy, timeout of a URL map"
    }


def test_a_maps_own_test_holds_it_to_what_arrives_behind_a_rewritten_path() -> None:
    rule = {
        "priority": 1,
        "matchRules": [{"prefixMatch": "/a/"}],
        "service": "one",
        "routeAction": {"urlRewrite": {"pathPrefixRewrite": "/"}},
    }
    matcher = {"name": "p", "defaultService": "rest", "routeRules": [rule]}
    test = {"host": "x", "path": "/a/v1", "service": "one", "expectedOutputUrl": "https://x/v1"}
    routes = {
        "hostRules": [{"hosts": ["*"], "pathMatcher": "p"}],
        "pathMatchers": [matcher],
        "tests": [test],
    }
    way = way_of(routes, "x", "/a/v1/b?c=/a/", {})
    assert (way.service, way.host, way.path) == ("one", "x", "/v1/b?c=/a/")
    assert list(failures(routes)) == []
    wrong = {**routes, "tests": [{**test, "expectedOutputUrl": "http://x/a/v1"}]}
    (told,) = failures(wrong)
    assert (told["actualOutputUrl"], told["actualService"]) == ("http://x/v1", "one")
    assert next(failures({**routes, "tests": [{**test, "path": "/v1"}]}))["actualService"] == "rest"
