"""Rules of URL maps as their schema describes them: priorities, what each leads to, how headers are told apart, and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gcp_rehearsal.errors import invalid
from gcp_rehearsal.json_types import Json

_MOST_WEIGHT = 1000
_MOST_PRIORITY = 2**31 - 1
_TELLS = ("exactMatch", "prefixMatch", "suffixMatch", "regexMatch", "presentMatch", "rangeMatch")
_REGULAR_HERE = "/regions/"
"""What a map of a region names: regular expressions are for these, and for no global external load balancer."""


def check_rules(matcher: Mapping[str, Json], where: str) -> None:
    """Check the rules of a path matcher. Raises `ApiError`."""
    seen = set[int]()
    for number, rule in enumerate(matcher.get("routeRules") or ()):
        place, priority = f"{where}.routeRules[{number}]", int(rule.get("priority") or 0)
        if not 0 <= priority <= _MOST_PRIORITY:
            raise invalid(
                f"Invalid value for field '{place}.priority': '{priority}'. Must be between 0 and {_MOST_PRIORITY}."
            )
        if priority in seen:
            raise invalid(
                f"Invalid value for field '{place}.priority': '{priority}'. Two route rules have the same priority."
            )
        seen.add(priority)
        split = (rule.get("routeAction") or {}).get("weightedBackendServices")
        if sum(1 for goal in (rule.get("service"), rule.get("urlRedirect"), split) if goal) != 1:
            raise invalid(
                f"Invalid value for field '{place}': ''. Exactly one of service, urlRedirect and routeAction.weightedBackendServices must "
                "be set."
            )
        check_split(split or (), f"{place}.routeAction")
        for each, match in enumerate(rule.get("matchRules") or ()):
            _check_match(match, f"{place}.matchRules[{each}]", str(rule.get("service") or ""))


def check_split(split: Sequence[Mapping[str, Json]], where: str) -> None:
    """Check the weights of a split. Raises `ApiError`."""
    weights = [int(share.get("weight") or 0) for share in split]
    for number, weight in enumerate(weights):
        if not 0 <= weight <= _MOST_WEIGHT:
            raise invalid(
                f"Invalid value for field '{where}.weightedBackendServices[{number}].weight': '{weight}'. Must be between 0 and "
                f"{_MOST_WEIGHT}."
            )
    if weights and not any(weights):
        raise invalid(
            f"Invalid value for field '{where}.weightedBackendServices': ''. At least one weight must not be zero."
        )


def _check_match(match: Mapping[str, Json], where: str, service: str) -> None:
    _check_regular(match, where, service)
    for number, header in enumerate(match.get("headerMatches") or ()):
        place = f"{where}.headerMatches[{number}]"
        said = [key for key in _TELLS if header.get(key) not in (None, False)]
        if not header.get("headerName") or len(said) != 1:
            raise invalid(
                f"Invalid value for field '{place}': ''. It needs a headerName and exactly one of {', '.join(_TELLS)}."
            )
        _check_regular(header, place, service)


def _check_regular(match: Mapping[str, Json], where: str, service: str) -> None:
    if match.get("regexMatch") and service and _REGULAR_HERE not in service:
        raise invalid(
            f"Invalid value for field '{where}.regexMatch': '{match['regexMatch']}'. Regular expressions are only for load balancing "
            "schemes INTERNAL_SELF_MANAGED, EXTERNAL_MANAGED (regional scope) and INTERNAL_MANAGED."
        )


__all__ = ["check_rules", "check_split"]
