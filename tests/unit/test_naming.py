"""Names of endpoints, from a file, a folder or the command line."""

from __future__ import annotations

import pytest

from homeport.errors import NotRunning
from homeport.naming import ensure_possible


@pytest.mark.parametrize("name", ["a", "home", "my-models-2", "a" * 37])
def test_a_name_that_an_endpoint_may_have_is_taken(name: str) -> None:
    ensure_possible(name)


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "/etc", "a/b", "A", "2a", "a-", "a\n", "a b", "--help", "a" * 38, "é"]
)
def test_a_name_that_no_endpoint_can_have_is_refused_before_a_path_is_made_of_it(name: str) -> None:
    with pytest.raises(NotRunning, match="no endpoint can be called"):
        ensure_possible(name)
