"""What is wrong with the file is told without the secrets that addresses in it may hold."""

from __future__ import annotations

import pytest

from homeport import spec
from homeport.errors import SpecError

URL = "https://me:hidden@x.example/mcp"


@pytest.mark.parametrize(
    "table",
    [
        {"agent": {"mcp": [URL]}},
        {"agent": {"mcp": ["https://x.example/mcp?key=hidden"]}},
        {"agent": {"mcp": ["me:hidden@x.example/mcp"]}},
        {"agent": {"mcp": [], "mcp_secrets": {URL: "tools-token"}}},
        {"agent": {"mcp": [], "mcp_secrets": {URL: "no secret's name"}}},
        {"guard": URL},
        {"model": "gemma-3-270m", "name": URL},
    ],
)
def test_no_password_and_no_query_of_an_address_is_shown(table: dict[str, object]) -> None:
    with pytest.raises(SpecError) as refused:
        spec.parse(table)
    assert "hidden" not in f"{refused.value} {refused.value.hint}"
    assert "…" in str(refused.value)


def test_a_name_that_is_no_secret_is_shown() -> None:
    with pytest.raises(SpecError, match="but is 'user:me@example'"):
        spec.parse({"name": "user:me@example"})
