"""Where the requests of a measurement go."""

from __future__ import annotations

import pytest

from homeport.bench.connection import Destination
from homeport.endpoint import Endpoint


@pytest.mark.parametrize("name", ["xn--strae-oqa.example", "straße.example", "XN--Strae-oqa.Example"])
def test_a_name_of_other_letters_is_not_read_as_another_domain(name: str) -> None:
    endpoint = Endpoint(name="home", base_url=f"https://{name}:8443/of/v1", model="m")
    destination = Destination.of(endpoint, "/v1/chat/completions")
    assert (destination.host, destination.port) == ("xn--strae-oqa.example", 8443)
    assert destination.server_name.encode("idna") == b"xn--strae-oqa.example"
    assert destination.head.split(b"\r\n")[:2] == [
        b"POST /of/v1/chat/completions HTTP/1.1",
        b"Host: xn--strae-oqa.example:8443",
    ]


def test_what_is_reached_by_another_way_is_asked_under_its_own_name() -> None:
    endpoint = Endpoint(name="home", base_url="https://straße.example/v1", model="m", via="http://[::1]:8080")
    destination = Destination.of(endpoint, "/v1/completions")
    assert (destination.host, destination.port, destination.tls) == ("::1", 8080, None)
    assert b"\r\nHost: xn--strae-oqa.example\r\n" in destination.head
