"""A bench of engines does not take the name of an endpoint that is there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeport.bench.engines import _ensure_free
from homeport.errors import NotRunning, StateError


class Told:
    """A deployment of which its status is known."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def status(self, *, usage: bool) -> None:
        if self.error is not None:
            raise self.error


def asked(error: Exception | None) -> None:
    deployed: Any = Told(error)  # Any: of a deployment, only its status is asked
    asyncio.run(_ensure_free(deployed, "bench-llamacpp"))


def test_an_endpoint_of_that_name_stays() -> None:
    with pytest.raises(StateError, match="there is an endpoint bench-llamacpp already"):
        asked(None)


def test_a_free_name_is_taken() -> None:
    asked(NotRunning("nothing runs"))
