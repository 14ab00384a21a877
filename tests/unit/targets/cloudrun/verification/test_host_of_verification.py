"""Under which name a deployed service is asked from outside."""

from __future__ import annotations

import pytest

from homeport.targets.cloudrun.verification.revision import host_of


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://home-abc-uc.a.run.app", "home-abc-uc.a.run.app"),
        ("https://home.example:443", "home.example"),
        ("https://xn--strae-oqa.example", "xn--strae-oqa.example"),
        ("https://straße.example", "xn--strae-oqa.example"),
        ("http://localhost:8080", "localhost:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_it_is_the_name_as_it_is_looked_up_with_a_port_that_is_not_the_usual_one(url: str, host: str) -> None:
    assert host_of(url) == host
