"""Waking an endpoint: one request, awaited to its first token, and as many more as keep it awake."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from homeport.backoff import Backoff, SystemTime, Timekeeper
from homeport.catalog import cloudrun
from homeport.endpoint.endpoint import Endpoint
from homeport.errors import HomeportError
from homeport.json_types import JsonObject
from homeport.progress import Progress, Silent

ASK_EVERY_S = 60.0
"""Ten asks in the time that an idle instance may stay: one that gets lost changes nothing."""
TELL_EVERY_S = 300.0
_KEY = "wake"
_QUESTION = ({"role": "user", "content": "Say hello."},)


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeResult:
    """Result of `wake`."""

    endpoint: str
    first_token_s: float
    """From the first request to its first token."""
    kept_s: float = 0.0
    """For how long it was asked again and again after that."""
    requests: int = 1
    failed: int = 0
    usd_per_hour: float | None = None
    """Of one instance; None where it is not known, or costs nothing."""

    @property
    def usd(self) -> float | None:
        """Return what one instance has cost from the first request until now."""
        if self.usd_per_hour is None:
            return None
        return (self.first_token_s + self.kept_s) / 3600 * self.usd_per_hour

    @property
    def price(self) -> str:
        """Return the price until now in words; '' where it is not known."""
        if self.usd is None:
            return ""
        idle = cloudrun.limits().idle_s / 60
        return (
            f"about ${self.usd:.2f} so far for one instance at ${self.usd_per_hour:.4f} an hour; "
            f"up to {idle:.0f} min of idle time come after the last request"
        )

    def as_json(self) -> JsonObject:
        """Return the result as `--json` prints it."""
        return {**asdict(self), "usd": self.usd}


async def first_token(endpoint: Endpoint, *, clock: Timekeeper | None = None) -> float:
    """Return the seconds from one short request to the first token. Raises `HomeportError` where none came."""
    clock = clock or SystemTime()
    begun = clock.now()
    seconds: float | None = None
    async for chunk in endpoint.stream(_QUESTION, max_tokens=8, temperature=0):
        for choice in chunk.get("choices", ()):
            delta = choice.get("delta", {})
            if seconds is None and (
                delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning")
            ):
                seconds = clock.now() - begun
    if seconds is None:
        raise HomeportError(
            f"{endpoint.name} answered without a token", hint="`homeport verify` tells what is wrong with it"
        )
    return seconds


async def with_model(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with the first model that it lists, where none is known. This wakes it, too."""
    if endpoint.model:
        return endpoint
    async with endpoint.client(timeout_s=900.0) as client:
        response = await client.get("/v1/models")
        if response.is_error:
            raise await endpoint.refused(response.status_code, response.text)
        try:
            served = str(response.json()["data"][0]["id"])
        except (ValueError, LookupError, TypeError) as error:
            raise HomeportError(
                f"{endpoint.name} does not list a model at /v1/models", hint="name it with --model"
            ) from error
    return replace(endpoint, model=served)


@dataclass(slots=True, kw_only=True)
class Wakefulness:
    """An endpoint that is woken, and then kept awake for `within_s` seconds."""

    endpoint: Endpoint
    usually: str = ""
    """How long a start from zero takes, in words."""
    usd_per_hour: float | None = None
    progress: Progress = field(default_factory=Silent)
    clock: Timekeeper = field(default_factory=SystemTime)
    result: WakeResult | None = None
    """What has been so far; None until the first token."""
    _begun: float = 0.0

    async def wake(self) -> WakeResult:
        """Ask once, and wait for the token. Raises what the endpoint raises."""
        name, begun = self.endpoint.name, self.clock.now()
        expected = f"; a start from zero takes {self.usually}" if self.usually else ""
        self.progress.started(_KEY, f"asking {name} for a token{expected}")
        try:
            self.endpoint = await with_model(self.endpoint)
            await first_token(self.endpoint, clock=self.clock)
        except BaseException:
            self.progress.failed(_KEY, "no token came")
            raise
        self._begun = self.clock.now()
        self.result = WakeResult(
            endpoint=name, first_token_s=self._begun - begun, usd_per_hour=self.usd_per_hour
        )
        self.progress.finished(_KEY, f"{name} is awake")
        return self.result

    async def keep(self, within_s: float) -> WakeResult:
        """
        Ask again and again, until `within_s` seconds after the first token. `result` has what was so far.

        An ask that fails is told, and the next one goes on; raises its error where the last one failed.
        """
        assert self.result is not None
        wait = Backoff(
            what="the next ask", within=within_s, first=ASK_EVERY_S, counts_looks=True, clock=self.clock
        )
        told_at, error = self._begun, None
        while await wait.pause() and self.clock.now() - self._begun < within_s:
            error = await self._ask()
            if self.clock.now() - told_at >= TELL_EVERY_S:
                told_at = self.clock.now()
                self.progress.note(self.text())
        self._passed(min(self.clock.now() - self._begun, within_s))
        if error is not None:
            raise error
        return self.result

    def text(self) -> str:
        """Return for how long it is awake by now, and the price until now."""
        assert self.result is not None
        self._passed(self.clock.now() - self._begun)
        price = f": {self.result.price}" if self.result.price else "; its price is not known here"
        return f"{self.result.endpoint} was kept awake for {self.result.kept_s / 60:.0f} min{price}"

    async def _ask(self) -> HomeportError | None:
        assert self.result is not None
        failure: HomeportError | None = None
        try:
            await first_token(self.endpoint, clock=self.clock)
        except HomeportError as error:
            failure = error
            self.progress.note(f"one ask failed: {error}")
        self.result = replace(
            self.result,
            requests=self.result.requests + 1,
            failed=self.result.failed + (failure is not None),
        )
        return failure

    def _passed(self, seconds: float) -> None:
        assert self.result is not None
        self.result = replace(self.result, kept_s=seconds)
