"""Measures an endpoint: calibrates prompts, warms up, then one user, many, and the knee; or one load of the user's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import repeat

from homeport.bench import doubts, engine_metrics, knee
from homeport.bench.connection import Connections, Destination
from homeport.bench.figures import values
from homeport.bench.level import LevelResult, Loaded, level
from homeport.bench.load import LoadPatience, LoadRun, LoadSender
from homeport.bench.options import BenchOptions, OpenLoad
from homeport.bench.prompts import OnePrompt, Prompts, calibrated
from homeport.bench.result import BenchResult, KneeResult, Setting, WarmUp
from homeport.bench.timed_request import RequestFailure, TimedRequest
from homeport.endpoint import Endpoint
from homeport.errors import EndpointError, NotRunning, SpecError
from homeport.hardware import this_machine
from homeport.json_types import Json
from homeport.traffic import Lengths
from homeport.words import counted

VERSION = 1
PATH = "/v1/chat/completions"
WARM_UPS = 2
NEVER = "\ue000"
"""A stop string that no model writes, of one sign, so that no text waits for its rest: it takes the place of a server's own."""
_PARTS = 16
"""The time of a search is for so many loads: one user and the knee three times each, and some ten between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is known of the engine behind an endpoint."""

    on: str = ""
    engine: str = ""
    version: str = ""
    max_instances: int | None = None
    """How many instances may answer; None where that is not known."""
    gpu: str | None = None
    """Of an instance; None where that is not known."""
    context: int | None = None
    """The most tokens of a request, prompt and answer together; None where that is not known."""


async def bench(
    endpoint: Endpoint,
    options: BenchOptions,
    *,
    served: Served | None = None,
    say: Callable[[str], None] = lambda _: None,
    patience: LoadPatience | None = None,
) -> BenchResult:
    """
    Return what the endpoint gives.

    Raises `EndpointError` where it refuses requests, `NotRunning` where nobody answers, `EngineMissing` where the extra
    `bench` is not installed, and `SpecError` for prompts too short to be made, and for requests longer than the context.
    """
    endpoint.ensure_writes_text()
    served = served or Served()
    _ensure_fits(options, served.context)
    async with AsyncExitStack() as stack:
        connections = Connections(Destination.of(endpoint, PATH))
        stack.push_async_callback(connections.close)
        work = await _BenchWork.begun(endpoint, options, connections, patience or LoadPatience(), say)
        started = datetime.now(UTC)
        before = await engine_metrics.read(endpoint)
        await work.warm_up()
        at_knee = await work.measure()
        grown = engine_metrics.grown(before, await engine_metrics.read(endpoint))
        return BenchResult(
            version=VERSION,
            setting=_setting(endpoint, options, work, served, started),
            warm_up=work.warmed,
            levels=tuple(sorted(work.levels.values(), key=lambda level: level.users or 0)),
            knee=at_knee,
            engine_metrics=grown,
        )


@dataclass(slots=True, kw_only=True)
class _BenchWork:
    """A bench while it runs."""

    options: BenchOptions
    sender: LoadSender
    prompts: Prompts
    ignores_eos: bool
    say: Callable[[str], None]
    until: float
    warmed: WarmUp = field(default_factory=lambda: WarmUp(requests=0, first_ttft_s=None, last_ttft_s=None))
    runs: dict[int, list[LoadRun]] = field(default_factory=dict)
    levels: dict[int, LevelResult] = field(default_factory=dict)
    lengths: Iterator[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        load = self.options.open_load
        if load is not None and load.of_trace:
            # A request too long for the context would fail here and end the bench; in the load it is counted.
            tokens_in, tokens_out = load.median
            self.lengths = repeat((max(self.prompts.fewest, tokens_in), tokens_out))
        else:
            self.lengths = Lengths(input=self.options.input, output=self.options.output).drawn(
                self.options.seed
            )

    @classmethod
    async def begun(
        cls,
        endpoint: Endpoint,
        options: BenchOptions,
        connections: Connections,
        patience: LoadPatience,
        say: Callable[[str], None],
    ) -> _BenchWork:
        """Return it with prompts that are exact by the engine's own count."""
        request: dict[str, Json] = {"model": endpoint.model, "temperature": 0.0}
        to_the_end: dict[str, Json] = {"ignore_eos": True, "stop": [NEVER]}
        request |= to_the_end

        async def send(text: str) -> TimedRequest:
            return await LoadSender(endpoint, connections, OnePrompt(request, text), patience).once(1, 1)

        first = await send("Hello")
        ignores_eos = first.failure is not RequestFailure.REFUSED
        if not ignores_eos:
            for name in to_the_end:
                del request[name]
            first = await send("Hello")
        _ensure_answered(first, endpoint)

        async def count(text: str) -> int | None:
            counted = await send(text)
            _ensure_answered(counted, endpoint)
            return counted.input_tokens

        say("counting the tokens of prompts")
        calibration = await calibrated(count)
        prompts = Prompts(calibration=calibration, request=request, seed=options.seed, shared=options.shared)
        if not options.of_trace and options.input < prompts.fewest:
            raise SpecError(
                f"a prompt of {options.input} tokens cannot be made: the chat template alone has {calibration.template}",
                hint=f"say --input {prompts.fewest} or more",
            )
        return cls(
            options=options,
            sender=LoadSender(endpoint, connections, prompts, patience),
            prompts=prompts,
            ignores_eos=ignores_eos,
            say=say,
            until=time.monotonic() + options.seconds,
        )

    async def warm_up(self) -> None:
        """Send the first requests, which are in no other figure."""
        self.say("warming up")
        done = []
        for _ in range(WARM_UPS):
            request = await self.sender.once(*next(self.lengths))
            if request.failure is not None:
                raise EndpointError(
                    f"a request of {request.input} tokens in and {request.output} out failed: {request.failure}: {request.detail}",
                    status=request.status, body=request.detail,
                    hint="is its context long enough for all tokens of a request together?",
                )  # fmt: skip
            done.append(values(request)["ttft"])
        self.warmed = WarmUp(requests=len(done), first_ttft_s=done[0], last_ttft_s=done[-1])
        self.until = time.monotonic() + self.options.seconds

    async def measure(self) -> KneeResult | None:
        """Measure what the options ask for."""
        if self.options.open_load is not None:
            await self._opened()
            return None
        if self.options.users:
            each = self.options.seconds / self.options.repetitions / len(self.options.users)
            for users in self.options.users:
                await self._at(users, repetitions=self.options.repetitions, seconds=each)
            return None
        return await self._searched()

    async def _searched(self) -> KneeResult:
        """Measure one user, search the knee, and measure it as often."""
        each, repetitions = self.options.seconds / _PARTS, self.options.repetitions
        until = self.until - each * repetitions  # The knee itself is measured again.

        async def goodput(users: int) -> float | str:
            if users > 1 and time.monotonic() > until:
                return knee.TIME_UP
            await self._at(users, repetitions=repetitions if users == 1 else 1, seconds=each)
            return self._goodput(users)

        search = await knee.find(
            goodput, most_users=self.options.most_users, tells=lambda users: not self._few(users)
        )
        for few in filter(self._few, search.measured):
            if time.monotonic() < until:  # What the search left of the time is theirs.
                await self._at(few, repetitions=1, seconds=each, fewest=doubts.FEWEST, until=until)
        users, why = knee.least_enough(self._goodputs(search)), search.why
        while len(self.runs[users]) < repetitions:
            await self._at(users, repetitions=repetitions, seconds=each)
            # Measured again, another load may be the one.
            users = knee.least_enough(self._goodputs(search))
            if time.monotonic() > self.until and len(self.runs[users]) < repetitions:
                why = why or knee.TIME_UP
                break
        why = why or knee.judged_again(self._goodputs(search), self.options.most_users)
        why = next(filter(None, map(self._few, search.measured)), why)
        doubted = [level.load for level in self.levels.values() if not level.valid]
        if doubted and not why:
            why = f"the search compared what is no result: {', '.join(doubted)}"
        most = max(map(self._goodput, self.levels))
        return KneeResult(users=users, goodput=most, searched=not why, why=why)

    def _few(self, users: int) -> str:
        return doubts.of_few(_sent(self.runs[users]), self.levels[users].load)

    def _goodputs(self, search: knee.FoundKnee) -> dict[int, float]:
        return {users: self._goodput(users) for users in search.measured}

    def _goodput(self, users: int) -> float:
        return self.levels[users].rates["goodput"].mean

    async def _at(
        self, users: int, *, repetitions: int, seconds: float, fewest: int = 0, until: float = 0.0
    ) -> None:
        """Measure a closed loop `repetitions` times, and until then as often as it takes to send `fewest` requests."""
        runs = self.runs.setdefault(users, [])
        while len(runs) < repetitions or (_sent(runs) < fewest and time.monotonic() < until):
            runs.append(await self.sender.closed(users, self.lengths, seconds=seconds))
        self.levels[users] = self._level(
            Loaded(load=counted(users, "user"), users=users, ignores_eos=self.ignores_eos), runs
        )
        self._tell(self.levels[users])

    async def _opened(self) -> None:
        """Measure the open loop of the options, as often as they say."""
        load = self.options.open_load
        assert load is not None
        runs = []
        for _ in range(self.options.repetitions):
            least = self.prompts.fewest
            lengths = ((max(least, arrival.input), arrival.output) for arrival in load.arrivals)
            runs.append(await self.sender.opened((arrival.seconds for arrival in load.arrivals), lengths))
        seconds = load.arrivals[-1].seconds
        rate = len(load.arrivals) / seconds if seconds else None
        about = Loaded(load=load.title, rate=rate, ignores_eos=self.ignores_eos)
        self.levels[0] = self._noted(self._level(about, runs), load)
        self._tell(self.levels[0])

    def _noted(self, measured: LevelResult, load: OpenLoad) -> LevelResult:
        """Return it with a note of prompts that could not be as short as the trace has them."""
        fewest = self.prompts.fewest
        short = sum(arrival.input < fewest for arrival in load.arrivals)
        if not short:
            return measured
        note = (
            f"{short} of the trace's {counted(len(load.arrivals), 'prompt')} {'was' if short == 1 else 'were'} lengthened to"
            f" {fewest} tokens, the least that can be made: the chat template alone has {fewest - 1}"
        )
        return replace(measured, notes=(*measured.notes, note))

    def _level(self, about: Loaded, runs: list[LoadRun]) -> LevelResult:
        return level(about, runs, self.options.slo, exact=self.prompts.calibration.exact)

    def _tell(self, measured: LevelResult) -> None:
        ttft = measured.latency.get("ttft")
        self.say(
            f"  {measured.load}: {measured.rates['output_tokens'].mean:.1f} output tokens/s"
            + (f", TTFT {ttft.p50:.3f} s" if ttft else "")
            + ("" if measured.valid else " (no result)")
        )


def _sent(runs: Sequence[LoadRun]) -> int:
    return sum(len(run.requests) for run in runs)


def _ensure_fits(options: BenchOptions, context: int | None) -> None:
    """Raise `SpecError` where no request fits into the context; those of a trace are refused one by one, and counted."""
    asked = options.input + options.output
    if context is None or options.of_trace or asked <= context:
        return
    room = context - options.output
    raise SpecError(
        f"prompts of {options.input} tokens and answers of {options.output} are {asked} together, and the endpoint's context has {context}",
        hint=f"say --input {room} or less, or give the endpoint a longer engine.context"
        if room > 0
        else f"say --input and --output of at most {context} together, or give the endpoint a longer engine.context",
    )


def _ensure_answered(request: TimedRequest, endpoint: Endpoint) -> None:
    if request.failure is RequestFailure.CONNECT:
        raise NotRunning(
            f"nothing answers at {endpoint.base_url}: {request.detail}",
            hint="see `homeport status`, start with `homeport up`",
        )
    if request.failure is not None and request.failure is not RequestFailure.EMPTY:
        raise EndpointError(
            f"{endpoint.name} does not answer as it should: {request.failure}: {request.detail}",
            status=request.status, body=request.detail, hint="`homeport verify` tells what is wrong",
        )  # fmt: skip


def _setting(
    endpoint: Endpoint, options: BenchOptions, work: _BenchWork, served: Served, started: datetime
) -> Setting:
    from importlib.metadata import version

    machine = this_machine()
    gpus = "".join(f", {gpu.name}" for gpu in machine.gpus)
    return Setting(
        endpoint=endpoint.name,
        model=endpoint.model,
        on=served.on,
        engine=served.engine,
        engine_version=served.version,
        max_instances=served.max_instances,
        machine=f"{machine.cores} cores, {machine.memory / 2**30:.0f} GiB{gpus}",
        homeport=version("homeport"),
        input=None if options.of_trace else options.input,
        output=None if options.of_trace else options.output,
        template_tokens=work.prompts.calibration.template,
        exact_prompts=work.prompts.calibration.exact,
        ignores_eos=work.ignores_eos,
        shared=options.shared,
        slo=str(options.slo),
        seed=options.seed,
        started_at=started.isoformat(timespec="seconds"),
        gpu=served.gpu,
        rehearsed=bool(endpoint.via),
        arrivals=options.open_load.digest if options.open_load is not None else None,
    )
