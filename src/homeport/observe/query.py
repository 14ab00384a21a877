"""
Questions in PromQL, put to any server that answers Prometheus' HTTP API: a Prometheus, or Google Cloud Monitoring.

Both answer the same paths and shapes; they differ in where these begin and in who is let in. What comes back is data of
others: its size and its form are judged, and a number that is none is None.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from homeport.addresses import ensure_address
from homeport.errors import GoogleError, HomeportError, NetworkError
from homeport.google import Google
from homeport.json_types import Json, JsonObject

MOST_BYTES = 16 * 2**20
"""Of one answer of a server of somebody's."""
MOST_POINTS = 11_000
"""Of one series, as Prometheus bounds it."""
_TIMEOUT_S = 20.0
Asker = Callable[[str, Mapping[str, str]], Awaitable[Json]]
"""Sends a form to `query` or `query_range`, or asks for `rules`, and returns the JSON that comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One number of one series."""

    labels: Mapping[str, str]
    at: float
    """Seconds since 1970, by the server's clock."""
    value: float | None
    """None where it is NaN or infinite, such as a quantile of no requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSeries:
    """The numbers of one series, in order of time."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRule:
    """An alert's rule that a Prometheus has loaded."""

    name: str
    query: str
    labels: Mapping[str, str]
    state: str
    """`inactive`, `pending` or `firing`."""
    health: str
    """`ok`, `err`, or `unknown` before it was tried."""
    error: str


@dataclass(frozen=True, slots=True)
class PrometheusApi:
    """One server of Prometheus' HTTP API."""

    ask: Asker
    where: str
    """What it is called in an error."""

    async def instant(self, query: str, *, at: float | None = None) -> tuple[Sample, ...]:
        """
        Return what a query comes to now, or at a time: no sample where there is no data.

        Raises `HomeportError` for a query that the server refuses, or for an answer that is none.
        """
        form = {"query": query} if at is None else {"query": query, "time": _instant(at)}
        data = self._data(await self.ask("query", form), query)
        with _understood(self.where):
            if data["resultType"] == "scalar":
                return (_sample({}, data["result"]),)
            if data["resultType"] != "vector":
                raise ValueError(data["resultType"])
            return tuple(_sample(sample["metric"], sample["value"]) for sample in data["result"])

    async def range(
        self, query: str, *, start: float, end: float | None = None, step_s: float = 60.0
    ) -> tuple[TimeSeries, ...]:
        """Return what a query comes to between two times, by default until now. Raises as `instant` does."""
        last = time.time() if end is None else end
        if not step_s > 0 or (last - start) / step_s > MOST_POINTS:
            raise HomeportError(
                f"steps of {step_s:g} s over {last - start:.0f} s are more than {MOST_POINTS} points",
                hint="ask for longer steps, or for less time",
            )
        form = {
            "query": query, "start": _instant(start), "end": _instant(last), "step": f"{step_s:g}s",
        }  # fmt: skip
        data = self._data(await self.ask("query_range", form), query)
        with _understood(self.where):
            if data["resultType"] != "matrix":
                raise ValueError(data["resultType"])
            return tuple(
                TimeSeries(
                    labels=_labels(series["metric"]),
                    points=tuple(_point(point) for point in series["values"]),
                )
                for series in data["result"]
            )

    async def rules(self) -> tuple[LoadedRule, ...]:
        """Return the rules of alerts that it has loaded. A Prometheus alone has them: Google's are alert policies."""
        answer = await self.ask("rules", {})
        with _understood(self.where):
            return tuple(
                LoadedRule(
                    name=str(rule["name"]),
                    query=str(rule["query"]),
                    labels=_labels(rule.get("labels", {})),
                    state=str(rule.get("state", "")),
                    health=str(rule["health"]),
                    error=str(rule.get("lastError", "")),
                )
                for group in answer["data"]["groups"]
                for rule in group["rules"]
                if rule["type"] == "alerting"
            )

    def _data(self, answer: Json, query: str) -> JsonObject:
        if isinstance(answer, Mapping) and answer.get("status") == "error":
            reason = str(answer.get("error", "no reason"))[:300]
            raise HomeportError(
                f"{self.where} refuses the query {query!r}: {reason}",
                hint="a metric may be called otherwise in this version of the engine: `homeport observe check` looks",
            )
        data = answer.get("data") if isinstance(answer, Mapping) else None
        if not isinstance(data, Mapping) or "resultType" not in data or "result" not in data:
            raise _no_answer(self.where)
        return dict(data)


@asynccontextmanager
async def at_address(url: str) -> AsyncIterator[PrometheusApi]:
    """Yield the API of a Prometheus at an address such as `http://127.0.0.1:9090`. Its calls raise `NetworkError`."""
    import httpx2

    ensure_address(url, called="the address of the Prometheus")
    base = url.rstrip("/")
    async with httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as http:

        async def ask(path: str, form: Mapping[str, str]) -> Json:
            content, verb = bytearray(), "POST" if form else "GET"
            try:
                async with http.stream(verb, f"{base}/api/v1/{path}", data=dict(form) or None) as answer:
                    async for part in answer.aiter_bytes():
                        content += part
                        if len(content) > MOST_BYTES:
                            raise HomeportError(
                                f"{base} answered a query with more than {MOST_BYTES >> 20} MiB",
                                hint="ask for less time, longer steps or fewer series",
                            )
            except httpx2.RequestError as error:
                raise NetworkError(
                    f"no Prometheus answers at {base}: {str(error) or type(error).__name__}",
                    hint="start it, or name the address of another: --prometheus URL; `homeport export prometheus` writes its files",
                ) from error
            try:
                parsed: Json = json.loads(bytes(content))
            except (ValueError, RecursionError):
                raise _no_answer(base) from None
            return parsed

        yield PrometheusApi(ask, base)


def of_project(google: Google) -> PrometheusApi:
    """Return Google Cloud Monitoring's API for the client's project. Its calls raise `PermissionDenied` and other errors."""
    root = f"v1/projects/{google.project}/location/global/prometheus/api/v1"

    async def ask(path: str, form: Mapping[str, str]) -> Json:
        try:
            # Nothing is changed by it, so it may be sent twice.
            answer: Json = await google.post("monitoring", f"{root}/{path}", dict(form), repeatable=True)
        except GoogleError as error:
            if error.status != 400:
                raise
            return {"status": "error", "error": str(error)}
        return answer

    return PrometheusApi(ask, f"Cloud Monitoring of {google.project}")


class _understood:  # noqa: N801 - reads as a word of the `with` statement
    """Raises `HomeportError` for an answer of another form."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, KeyError | TypeError | ValueError | IndexError | AttributeError):
            raise _no_answer(self._where) from error


def _no_answer(where: str) -> HomeportError:
    return HomeportError(
        f"what {where} answers to a query is not what a Prometheus answers",
        hint="name the address of a Prometheus, without a path",
    )


def _labels(labels: Mapping[str, Json]) -> Mapping[str, str]:
    return {str(name): str(value) for name, value in labels.items()}


def _sample(labels: Mapping[str, Json], value: Json) -> Sample:
    at, number = _point(value)
    return Sample(labels=_labels(labels), at=at, value=number)


def _point(value: Json) -> tuple[float, float | None]:
    at, text = value
    number = float(text)
    return float(at), number if math.isfinite(number) else None


def _instant(seconds: float) -> str:
    return f"{seconds:.3f}"
