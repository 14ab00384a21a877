"""The shapes of how an endpoint is reached, and with which key."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from homeport.shapes.base import JsonShape

Variables = Annotated[
    dict[str, str],
    Field(
        description="What clients read, by the variable's name. The key is in clear, which is what it is printed for."
    ),
]


class KeyShape(JsonShape):
    """Where the key of an endpoint is, without the key."""

    name: str
    """Of the endpoint."""
    reference: str
    """env:NAME, file:PATH, generated (homeport made it) or none."""
    path: str | None
    """The file that it is kept in; null where it is in none."""
    is_the_engines: bool | None
    """Whether it is the one that the engine was started with; null where the endpoint wants none."""
    problem: str
    """Why it is not; '' where it is."""
    hint: str


class ConsoleShape(JsonShape):
    """Where the console is."""

    url: str
    """With its key, in clear, behind the #."""
