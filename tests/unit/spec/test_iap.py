"""What of a file goes together with Identity-Aware Proxy before the service."""

from __future__ import annotations

from typing import Any

import pytest

from homeport import spec
from homeport.errors import SpecError

WHO = ["group:team@example.com", "serviceAccount:program@p.iam.gserviceaccount.com"]


def parsed(access: dict[str, Any], **tables: Any) -> spec.Spec:  # Any: values of homeport.toml
    return spec.parse({"name": "home", "cloudrun": {}, "access": {"iap": WHO, **access}, **tables})


def test_who_comes_in_is_named_as_policies_name_them() -> None:
    assert parsed({}).access.iap == tuple(WHO)
    assert parsed({}, guard={}, observe={}).access.iap == tuple(WHO), (
        "a gateway beside the engine is behind it, too"
    )
    for kind in ("global", "regional"):
        assert parsed({}, edge={"kind": kind, "domain": "llm.example.com"}).access.iap == tuple(WHO)
    internal = {"kind": "internal", "domain": "llm.example.com"}
    own = parsed({}, edge=internal, cloudrun={"network": "n", "subnetwork": "s"})
    regions = {"domain": "llm.example.com", "regions": ["us-central1"]}
    several = parsed({}, edge=regions, cloudrun={"region": "europe-west4"})
    others = parsed(
        {}, edge={"domain": "llm.example.com", "backends": {"/small": "small"}, "shares": {"next": 10}}
    )
    assert own.access.iap == several.access.iap == others.access.iap == tuple(WHO)
    with pytest.raises(SpecError, match="iap"):
        parsed({"iap": ["team@example.com"]})


@pytest.mark.parametrize(
    ("access", "tables", "says"),
    [
        ({"callers": ["user:me@example.com"]}, {}, "takes no ID token, by which access.callers come"),
        ({"public": True, "anyone_may_spend_my_money": True}, {}, "and access.public everybody"),
        ({"audience": "https://a.example.com"}, {}, "whatever its audience"),
        ({"isolated": True}, {}, "not built together with access.isolated"),
        ({}, {"edge": {"kind": "api-gateway", "clients": ["a"]}}, "not built together with an API gateway"),
        ({}, {"agent": {}}, r"not built together with \[agent\]"),
        ({}, {"observe": {"uptime": True}, "scaling": {"min": 1}}, "observe.uptime asks by an ID token"),
        ({}, {"observe": {"callers": True}}, "observe.callers goes by the tokens"),
    ],
)
def test_what_would_not_be_let_through_is_refused_with_the_reason(
    access: dict[str, Any], tables: dict[str, Any], says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        parsed(access, **tables)
    assert not parsed({"iap": [], **access}, **tables).access.iap, (
        "it is the proxy that it does not go together with"
    )
