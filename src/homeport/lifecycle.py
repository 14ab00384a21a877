"""What a user does with an endpoint: plan, up, down, status, connect, verify. The command line is a thin layer over it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from homeport.endpoint import Endpoint
from homeport.engines.registry import module
from homeport.errors import ApprovalDeclined, HomeportError, NotRunning
from homeport.home import Home, find_home
from homeport.ownership import named
from homeport.progress import Progress, Silent
from homeport.reconcile import Applied, Plan, apply
from homeport.resources.local import endpoint_key, endpoint_record
from homeport.resources.local.condition import engine_of
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.spec import FILE_NAME, Spec, load, parse, with_local
from homeport.targets.local.liveness import Status, look, target_of
from homeport.targets.local.target import LocalTarget
from homeport.targets.local.teardown import take_down

if TYPE_CHECKING:
    from homeport.verify import Report, Result, VerificationSubject

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """What `up` came to."""

    endpoint: Endpoint
    plan: Plan
    changed: tuple[str, ...]
    """Ids of the resources that were made or changed; empty where all was well."""
    record: EndpointRecord
    report: Report | None
    """None where nothing changed and the last verification still holds, or none was wanted."""


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of `work`; also inside a notebook, where an event loop already runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def target(
    spec: Spec | Path | str, *, home: Home | None = None, port: int | None = None, take_over: bool = False
) -> LocalTarget:
    """
    The target for a spec, or for the file that holds one. `port` stands in for the file's.

    A spec without a name is called like the folder of its file; one without a file, like the folder that this is run in.
    With `take_over` it may be another file's endpoint.
    """
    file = Path(FILE_NAME if isinstance(spec, Spec) else spec).absolute()
    home = home or find_home()
    loaded = named(spec if isinstance(spec, Spec) else load(file), file, home)
    if port is not None:
        loaded = with_local(loaded, port=port)
    return LocalTarget(spec=loaded, spec_file=file, home=home, take_over=take_over)


async def bring_up(
    wanted: LocalTarget,
    *,
    approve: Callable[[Plan], bool] = lambda _: True,
    progress: Progress | None = None,
    on_result: Callable[[Result], None] | None = None,
    verify: bool = True,
) -> Up:
    """
    Make the endpoint so, and prove that it works.

    `approve` sees the plan where anything has to be done; without its yes, `ApprovalDeclined` is raised and nothing
    was touched. Whatever changed is verified; `Up.report` says with which result.
    """
    progress = progress or Silent()
    wanted.ensure_owner()
    plan = await wanted.plan()
    if plan.pending and not approve(plan):
        raise ApprovalDeclined("nothing was changed")
    seconds: Mapping[str, float] = {}
    if plan.pending:
        async with wanted.home.lock(wanted.spec.endpoint_name, progress):
            seconds = (await _apply_or_restore(wanted, plan, progress)).seconds
            if wanted.process.id in seconds:
                _add_fetch(wanted.folder, seconds)
    remembered = endpoint_record.load(wanted.folder)
    if remembered is None:
        raise NotRunning(
            f"{wanted.spec.endpoint_name} was taken down while it was brought up", hint="`homeport up` again"
        )
    endpoint = await _endpoint(remembered, wanted.folder)
    report = None
    if verify and not _verified(remembered):
        report = await check(wanted, on_result=on_result)
        remembered = endpoint_record.load(wanted.folder) or remembered
    return Up(endpoint=endpoint, plan=plan, changed=tuple(seconds), record=remembered, report=report)


async def _apply_or_restore(wanted: LocalTarget, plan: Plan, progress: Progress) -> Applied:
    """Apply the plan; where that fails and took an endpoint down that served, start that one again."""
    before = endpoint_record.load(wanted.folder)
    try:
        return await apply(plan, progress)
    except HomeportError:
        if before is not None and before.was_ready and endpoint_record.load(wanted.folder) is None:
            await _restore(wanted, before, progress)
        raise


async def _restore(wanted: LocalTarget, before: EndpointRecord, progress: Progress) -> None:
    old = replace(
        wanted,
        spec=with_local(parse(before.spec, where=f"the record of {before.name}"), port=before.launch["port"]),
        spec_file=Path(before.spec_file),
    )
    progress.note("the change failed: what served before is started again")
    try:
        await apply(await old.plan(), progress)
    except HomeportError as error:
        progress.note(f"and that failed, too: {error}")


def _add_fetch(folder: Path, seconds: Mapping[str, float]) -> None:
    """The start's timeline begins with the fetch of the weights, which is none where they were here."""
    remembered = endpoint_record.load(folder)
    if remembered is not None:
        fetch = sum(took for id_, took in seconds.items() if id_.startswith("weights/"))
        replace(remembered, timeline={"fetch": round(fetch, 3), **remembered.timeline}).save(folder)


async def check(
    wanted: LocalTarget, *, only: tuple[str, ...] = (), on_result: Callable[[Result], None] | None = None
) -> Report:
    """The conformance report of a running endpoint. A whole one is kept with the process as its receipt."""
    from homeport import verify

    remembered = _running(wanted)
    endpoint = await _endpoint(remembered, wanted.folder)
    report = await verify.verify(_subject(wanted, remembered, endpoint), only=only, on_result=on_result)
    if not only:
        counts = {
            outcome.value: sum(r.outcome is outcome for r in report.results) for outcome in verify.Outcome
        }
        now = datetime.now(UTC).isoformat(timespec="seconds")
        current = endpoint_record.load(wanted.folder)
        if current is not None and current.pid == remembered.pid:  # It may have been replaced meanwhile.
            current.with_receipt({"at": now, "passed": report.passed, "counts": counts}).save(wanted.folder)
    return report


def names(*, home: Home | None = None) -> list[str]:
    """Names of the endpoints that were started on this machine and not taken down; also where the record is unreadable."""
    home = home or find_home()
    return [name for name in home.endpoints() if endpoint_record.read(home.endpoint(name)) is not None]


def remembered_target(name: str, *, home: Home | None = None) -> LocalTarget:
    """
    The target as it was when the endpoint `name` was last started, from any directory.

    Raises `NotRunning` where no endpoint of that name was started here, `StateError` where its record is unreadable.
    """
    home = home or find_home()
    remembered = endpoint_record.load(home.endpoint(name))
    if remembered is None:
        raise _unknown(name, home)
    return target_of(remembered, home)


def _unknown(name: str, home: Home) -> NotRunning:
    known = names(home=home)
    hint = f"running here: {', '.join(known)}" if known else "`homeport up` starts one"
    return NotRunning(f"no endpoint called {name} runs here", hint=hint)


def statuses(*, home: Home | None = None) -> list[Status]:
    """Every endpoint that was started on this machine and not taken down."""
    home = home or find_home()
    found = [(name, endpoint_record.read(home.endpoint(name))) for name in home.endpoints()]
    return [run(look(name, told, home)) for name, told in found if told is not None]


def status(name: str, *, home: Home | None = None) -> Status:
    """The endpoint `name` as it is now. Raises `NotRunning` where there is none."""
    home = home or find_home()
    told = endpoint_record.read(home.endpoint(name))
    if told is None:
        raise _unknown(name, home)
    return run(look(name, told, home))


def connect(name: str, *, home: Home | None = None) -> Endpoint:
    """
    The endpoint `name`, which runs on this machine, with the key that its engine wants.

    Raises `NotRunning`; `SpecError` or `WrongKey` where that key is not to be had here.
    """
    wanted = remembered_target(name, home=home)
    return run(_endpoint(_running(wanted), wanted.folder))


def log_of(name: str, *, home: Home | None = None) -> Path:
    """The log of the endpoint `name`, which stays when the endpoint is gone. Raises `NotRunning`."""
    log = (home or find_home()).endpoint(name) / "engine.log"
    if not log.exists():
        raise NotRunning(
            f"no endpoint called {name} has run here", hint="`homeport status` lists those that run"
        )
    return log


def log_text(log: Path, *, lines: int | None = None, follow: bool = False) -> Iterator[str]:
    """The text of a log, its last `lines` or all; with `follow` also what comes, until the caller stops."""
    with log.open(errors="replace") as file:
        if lines is None:
            yield from file
        else:
            yield from deque(file, maxlen=lines)
        while follow:
            piece = file.read()
            if piece:
                yield piece
            else:
                time.sleep(0.2)


def _running(wanted: LocalTarget) -> EndpointRecord:
    remembered = endpoint_record.load(wanted.folder)
    name = wanted.spec.endpoint_name
    if remembered is None:
        raise NotRunning(f"{name} does not run", hint="`homeport up` starts it")
    if engine_of(remembered, wanted.folder) is None:
        raise NotRunning(
            f"the process of {name} (pid {remembered.pid}) is gone", hint="`homeport up` starts it again"
        )
    return remembered


def _verified(remembered: EndpointRecord) -> bool:
    return bool(remembered.receipt and remembered.receipt["passed"])


async def _endpoint(remembered: EndpointRecord, folder: Path) -> Endpoint:
    """The endpoint with the key that its engine was started with. Raises `WrongKey` where another is here, `SpecError`."""
    key = await endpoint_key.of_record(remembered, folder).held(remembered)
    return Endpoint(
        name=remembered.name, base_url=f"{remembered.url}/v1", model=remembered.launch["model"], api_key=key
    )


def _subject(wanted: LocalTarget, remembered: EndpointRecord, endpoint: Endpoint) -> VerificationSubject:
    from homeport.verify import VerificationSubject

    manifest = wanted.store.manifest(wanted.weights.source, wanted.weights.format) if wanted.weights else None
    launch = remembered.launch
    digest = remembered.weights["digest"]
    return VerificationSubject(
        endpoint=endpoint,
        model=wanted.described(Path(launch["weights"])),
        engine=launch["engine"],
        context=launch["context"],
        parallel=launch["parallel"],
        tools=launch["tools"],
        weights_path=launch["weights"],
        weights_digest=digest,
        weights_intact=wanted.weights is None or (manifest is not None and manifest.digest == digest),
        weights_unlike=wanted.store.unlike(wanted.weights.source, wanted.weights.format)
        if wanted.weights
        else "",
        adapters=tuple(one.name for one in wanted.spec.engine.lora)
        if module(launch["engine"]).NAMES_ADAPTERS
        else (),
    )


__all__ = [
    "Status",
    "Up",
    "bring_up",
    "check",
    "connect",
    "log_of",
    "log_text",
    "names",
    "remembered_target",
    "run",
    "status",
    "statuses",
    "take_down",
    "target",
]
