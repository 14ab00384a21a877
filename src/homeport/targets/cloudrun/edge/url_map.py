"""The URL map of an edge: which requests go where, with tests of its own that Google runs before it takes the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homeport.json_types import JsonObject
from homeport.reconcile import Ref
from homeport.resources.google import load_balancer as lb
from homeport.spec import Edge
from homeport.targets.cloudrun.edge.backends import NamedBackend
from homeport.targets.cloudrun.edge.names import EdgeNames

_MATCHER = "edge"
_TESTED_PATH = "/v1/chat/completions"
"""The path that the URL map's own tests ask for."""

_ANY = "*"
"""Google's documents have names of hosts in a rule, and say nothing of addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeMap:
    """
    Which rules are tried, and in which order: paths, then headers, then the numbers by which the proof reaches one backend service,
    then what is left.

    So a proof of a new revision finds the other endpoints where they always are.
    """

    edge: Edge
    called: EdgeNames
    behind: Sequence[NamedBackend]
    """Other endpoints that were found."""
    told_apart: Sequence[tuple[str, str, str]]
    """What the proof's header leads to: the name of a backend service, its region and its tag."""

    def body(self) -> dict[str, Any]:  # Any: JSON, and Refs
        """Return what Compute Engine is asked for."""
        serving, host = _link(self.called.main), self.edge.host
        rules, tests = self._ways()
        if not self._sharing:
            # What a test expects where traffic is shared the API's documents do not say: there is none then.
            tests.append({
                "description": "serving",
                "host": host,
                "path": _TESTED_PATH,
                "service": serving,
            })  # fmt: skip
        for description, name in self._numbered():
            headers = [
                {"headerName": lb.CANDIDATE_HEADER, "exactMatch": Ref(f"backend-service/{name}", "id")}
            ]
            rules.append(
                {"matchRules": [{"prefixMatch": "/", "headerMatches": headers}], "service": _link(name)}
            )
            tests.append(self._test(description, _link(name), headers))
        numbered = [{"priority": number, **rule} for number, rule in enumerate(rules, 1)]
        return {
            "defaultService": serving,
            "hostRules": [{"hosts": [host if self.edge.domain else _ANY], "pathMatcher": _MATCHER}],
            "pathMatchers": [{"name": _MATCHER, **self._rest(), "routeRules": numbered}],
            "tests": tests,
        }

    @property
    def _sharing(self) -> list[NamedBackend]:
        return [backend for backend in self.behind if backend.percent]

    def _rest(self) -> dict[str, Any]:  # Any: as above
        """Return where requests go that no rule tells apart: here, or by the draw of each to one of those that share them."""
        if not self._sharing:
            return {"defaultService": _link(self.called.main)}
        percents = {self.called.to(backend.endpoint): backend.percent for backend in self._sharing}
        percents = {self.called.main: 100 - sum(percents.values()), **percents}
        split = [{"backendService": _link(name), "weight": percent} for name, percent in percents.items()]
        return {"defaultRouteAction": {"weightedBackendServices": split}}

    def _numbered(self) -> list[tuple[str, str]]:
        """Return what a number of Google's leads to, each with the description of its test."""
        several = bool(self.edge.regions)
        numbered = [
            (f"{tag or 'serving'}{f' in {region}' if several else ''}", name)
            for name, region, tag in self.told_apart
        ]
        if self._sharing:
            numbered.append(("serving", self.called.main))
            numbered += [
                (f"serving, by {backend.endpoint}", self.called.to(backend.endpoint))
                for backend in self._sharing
            ]
        return numbered

    def _ways(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:  # Any: as above
        """Return the rules by which paths, without their first part, and headers lead to other endpoints, and the tests of these."""
        rules, tests = list[JsonObject](), list[JsonObject]()
        for backend in self.behind:
            service, description = (
                _link(self.called.to(backend.endpoint)),
                f"{backend.way} to {backend.endpoint}",
            )
            header, value = backend.header
            if backend.path:
                rules.append({
                    "matchRules": [{"prefixMatch": f"{backend.path}/"}],
                    "service": service,
                    "routeAction": {"urlRewrite": {"pathPrefixRewrite": "/"}},
                })  # fmt: skip
                tests.append({
                    "description": description,
                    "host": self.edge.host,
                    "path": f"{backend.path}{_TESTED_PATH}",
                    "service": service,
                    "expectedOutputUrl": f"{self.edge.address}{_TESTED_PATH}",
                })  # fmt: skip
            elif header:
                headers = [{"headerName": header, "exactMatch": value}]
                rules.append(
                    {"matchRules": [{"prefixMatch": "/", "headerMatches": headers}], "service": service}
                )
                tests.append(self._test(description, service, headers))
        return rules, tests

    def _test(
        self, description: str, service: Ref, headers: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:  # Any: as above
        said = [{"name": header["headerName"], "value": header["exactMatch"]} for header in headers]
        return {
            "description": description,
            "host": self.edge.host,
            "path": _TESTED_PATH,
            "headers": said,
            "service": service,
        }


def _link(name: str) -> Ref:
    return Ref(f"backend-service/{name}", "selfLink")


__all__ = ["EdgeMap"]
