"""What every client of Python is asked here, and how it tells what came of it: one line of JSON."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Literal

from pydantic import BaseModel

MODEL = os.environ.get("OPENAI_MODEL", "")
BASE = os.environ.get("OPENAI_BASE_URL", "")
KEY = os.environ.get("OPENAI_API_KEY", "")
WRONG = "sk-wrong"
HELLO = "Hello, how are you?"
WEATHER = "What is the weather in Paris?"
SHAPE = "A city, and whether it rains there, as JSON."


class Weather(BaseModel):
    """An answer of few words, so that a model of any size comes to its end."""

    city: Literal["Paris", "Rome"]
    rain: bool


def get_weather(city: str) -> str:
    """
    Get the current weather in a city.

    Args:
        city: The city, such as Paris

    """
    CALLED.append({"city": city})
    return f"It rains in {city}."


CALLED: list[dict[str, str]] = []
"""The arguments of each call of the tool above."""


def tell(distribution: str, **parts: Callable[[], Any]) -> None:  # Any: what a client gives
    """Try each part, and print what came of it: `{"version": …, "chat": {"said": …}, "wrong_key": {"raised": …}}`."""
    tell_of(version(distribution), parts)


def tell_of(number: str, parts: Mapping[str, Callable[[], Any]]) -> None:  # Any: what a client gives
    """Do the same for what is of this version."""
    told: dict[str, Any] = {"version": number}
    with asyncio.Runner() as runner:  # One loop: clients keep connections, which are a loop's.
        for name, part in parts.items():
            try:
                came = part()
                told[name] = {"said": runner.run(came) if inspect.iscoroutine(came) else came}
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what the client does
                told[name] = {"raised": type(error).__name__, "text": str(error)[:2000]}
    print(json.dumps(told), flush=True)
