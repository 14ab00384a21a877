"""An `[edge]` without a domain: an address that the user has reserved, with a certificate for it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from homeport import spec
from homeport.errors import SpecError
from homeport.spec import Edge

OWN: dict[str, Any] = {"certificate": "file:own.pem", "private_key": "file:own.key"}  # Any: keys of `[edge]`


def test_an_address_takes_the_place_of_a_domain() -> None:
    edge = Edge(ip="203.0.113.7", **OWN)
    assert (edge.host, edge.address) == ("203.0.113.7", "https://203.0.113.7")


@pytest.mark.parametrize(
    "ip", ["203.0.113", "203.0.113.256", "203.0.113.07", "203.0.113.7.", "2001:db8::1", "llm.example.com"]
)
def test_what_is_no_address_of_ipv4_is_refused(ip: str) -> None:
    with pytest.raises(ValidationError, match="ip"):
        Edge(ip=ip, **OWN)


def test_google_makes_no_certificate_for_an_address_so_one_must_be_named() -> None:
    with pytest.raises(ValidationError, match="ip needs a certificate of your own that names it") as refused:
        Edge(ip="203.0.113.7")
    assert "openssl req -x509" in str(refused.value)


def test_one_of_two_names_must_go_and_one_there_must_be() -> None:
    with pytest.raises(ValidationError, match="domain and ip are two names for one address: remove one"):
        Edge(ip="203.0.113.7", domain="llm.example.com", **OWN)
    with pytest.raises(ValidationError, match="or an address that you have reserved"):
        Edge()


def test_an_agent_that_would_ask_there_is_refused() -> None:
    table = {"agent": {"tools": ["calculator"]}, "edge": {"ip": "203.0.113.7", **OWN}}
    with pytest.raises(SpecError, match=r"edge.ip is not built together with \[agent\]"):
        spec.parse(table)


def test_an_api_gateway_has_an_address_of_googles() -> None:
    with pytest.raises(ValidationError, match="ip is about a load balancer"):
        Edge(kind="api-gateway", clients=["alice"], ip="203.0.113.7")
