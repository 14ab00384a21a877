"""An engine's process on this machine, as a resource."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import psutil

from homeport import free_ports
from homeport.backoff import Backoff
from homeport.child_environment import inherited
from homeport.engines.base import Launch
from homeport.engines.registry import module
from homeport.errors import HomeportError, PortTaken
from homeport.home import private_folder, write_private
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile.resource import KNOWN_AFTER_APPLY, Change, Outputs
from homeport.resources.base import BaseResource
from homeport.resources.local import endpoint_record, process_tree
from homeport.resources.local.condition import Condition, State, condition, just_answered
from homeport.resources.local.endpoint_key import EndpointKey, fingerprint, is_same
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.resources.local.gap import AnswerWatch
from homeport.resources.local.stopping import running_processes, stop
from homeport.resources.local.supervised import supervise
from homeport.secret import Secret
from homeport.supervisor import journal
from homeport.supervisor.order import Order
from homeport.weights import Manifest

_SUPERVISOR, _MENDED = "supervisor", "files of weights"
"""Paths of changes."""
_LOOK_S = 0.2
_FOLLOWS = ("homeport.results", "homeport.endpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """An engine that runs, or that its supervisor is about to start again."""

    record: EndpointRecord
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineProcess(BaseResource):
    """The process that serves one endpoint. Live is a `Live`."""

    reports_own_progress: ClassVar[bool] = True
    kind = "process"

    name: str
    folder: Path
    needs: tuple[str, ...]
    make_launch: Callable[[Outputs, int], Launch]
    """The launch, given the weights that are there and the port to listen on."""
    serves: str
    """The engine, its version and the model, in words, for whom the launch is not known yet."""
    host: str
    port: int
    """0 for any."""
    key: EndpointKey
    hidden: tuple[str, ...]
    """Variables that the engine must not inherit: those that hold the key."""
    spec: Mapping[str, Json]
    spec_file: str
    renew: bool = False
    """Whether a key that homeport made is replaced by a new one."""
    restart: str
    """`local.restart`."""
    root: Path
    """Homeport's folder, where the ledger of usage is."""
    usage_days: int
    """`local.usage_days`."""
    memory_limit: Callable[[Outputs], int | None]
    """Bytes of memory of its own beyond which the engine is ended; None for no limit."""

    @property
    def api_key(self) -> Secret | None:
        """Return the key that clients must send; None where none is wanted, or homeport has made none yet."""
        return self.key.current()

    @property
    def id(self) -> str:
        return f"process/{self.name}"

    async def read(self) -> Live | None:
        remembered = endpoint_record.load(self.folder)
        if remembered is None:
            return None
        current = await condition(remembered, self.folder, self.api_key)
        if current.state in {State.DEAD, State.FAILED}:
            return None
        return Live(record=remembered, condition=current)

    def is_managed(self, live: Live) -> bool:
        return True  # Only what carries our mark is found.

    def diff(self, live: Live, outputs: Outputs) -> tuple[Change, ...]:
        if any(need not in outputs for need in self.needs):
            # Not the weights alone: what is read in them decides how the engine is started.
            return (Change(path="", before=_in_words(live.record), after=KNOWN_AFTER_APPLY),)
        changes = list(
            _launch_changes(live.record, self.make_launch(outputs, self.port or _port_of(live.record)))
        )
        manifest = self._manifest(outputs)
        digest = manifest.digest if manifest else ""
        if digest != live.record.weights["digest"]:
            before = live.record.weights["digest"]
            changes.append(Change(path="weights", before=before[:12] or "none", after=digest[:12] or "none"))
        if not changes and self._were_mended(live, outputs):
            changes.append(Change(path=_MENDED, before="as it read them", after="as they are since"))
        if self.renew:
            changes.append(Change(path="api key", before="***", after="*** (a new one)"))
        elif not changes and (live.condition.key_refused or self._is_another(live.record)):
            changes.append(Change(path="api key", before="***", after="*** (another)"))
        if not changes and not live.condition.serves:
            why = f" ({live.condition.why})" if live.condition.why else ""
            before = f"{live.condition.state}{why}" if live.record.was_ready else "not ready yet"
            changes.append(Change(path="ready", before=before, after="a token came out"))
        if not changes:
            changes += self._of_supervisor(live)
        if not live.record.belongs_to(Path(self.spec_file)):
            changes.append(Change(path="file", before=live.record.spec_file, after=self.spec_file))
        return tuple(changes)

    def _were_mended(self, live: Live, outputs: Outputs) -> bool:
        """Return True if files took the place of those that the engine has read."""
        loaded = live.condition.weights
        return loaded is not None and loaded != journal.signs(self._files(outputs))

    def _of_supervisor(self, live: Live) -> list[Change]:
        settings = live.record.spec.get("local", {})
        before = settings.get("restart", "never")
        if live.condition.supervisor is None:
            return [Change(path=_SUPERVISOR, before="none", after=f"restarts it: {self.restart}")]
        if before != self.restart:
            return [
                Change(
                    path=_SUPERVISOR, before=f"restarts it: {before}", after=f"restarts it: {self.restart}"
                )
            ]
        days = settings.get("usage_days")  # Not in records of an earlier version.
        if days is not None and days != self.usage_days:
            return [
                Change(
                    path=_SUPERVISOR,
                    before=f"keeps usage for {days} days",
                    after=f"keeps usage for {self.usage_days} days",
                )
            ]
        return []

    def _files(self, outputs: Outputs) -> list[str]:
        """Return the paths of all files of weights that the engine reads."""
        manifests: list[Manifest] = [outputs[need] for need in self.needs]
        return [str(manifest.folder / file.path) for manifest in manifests for file in manifest.pin.files]

    def summary(self, outputs: Outputs) -> str:
        where = f"{self.host}:{self.port}" if self.port else f"{self.host}, any free port"
        if any(need not in outputs for need in self.needs):
            return f"{self.serves} on {where}"
        launch = self.make_launch(outputs, self.port)
        return f"{launch.engine} {launch.version} serving {launch.model} on {where}"

    async def create(self, outputs: Outputs, progress: Progress) -> Live:
        process_tree.end(running_processes(self.folder))
        launch = self.make_launch(outputs, self._choose_port())
        return await self._serve(launch, outputs, progress)

    async def update(self, live: Live, outputs: Outputs, progress: Progress) -> Live:
        current = _port_of(live.record)
        paths = [change.path for change in self.diff(live, outputs)]
        if paths == ["file"]:
            mine = replace(live.record, spec=self.spec, spec_file=self.spec_file)
            mine.save(self.folder)
            progress.finished(self.id, f"it belongs to {self.spec_file} now")
            return replace(live, record=mine)
        if _SUPERVISOR in paths and set(paths) <= {_SUPERVISOR, "file"}:
            return await self._adopt(live, outputs, progress)
        if paths == ["ready"] and live.condition.state is State.RESTARTING:
            again = await self._restarted(live, outputs, progress)
            if again is not None:
                return again
        if not live.record.was_ready and paths == ["ready"]:
            launch = self.make_launch(outputs, current)
            progress.started(self.id, f"waiting for {launch.engine}, which was started before")
            begun = time.monotonic() - max(0.0, time.time() - live.record.create_time)
            return await self._ready(launch, live.record, begun, progress)
        # Whatever can be refused is refused before the old process is stopped.
        launch = self.make_launch(outputs, current if self.port in {0, current} else self._choose_port())
        pid = live.condition.engine.pid if live.condition.engine else "none"
        progress.note(f"stopping {live.record.launch['engine']} (pid {pid})")
        return await self._take_port(live, launch, outputs, progress)

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        return stop(self.name, self.folder)

    def _is_another(self, started: EndpointRecord) -> bool:
        """Return True if the engine was started with another key than is wanted now."""
        key = self.api_key
        return key is not None and is_same(started, key) is False

    def _manifest(self, outputs: Outputs) -> Manifest | None:
        manifest: Manifest | None = outputs[self.needs[0]] if self.needs else None
        return manifest

    def _choose_port(self) -> int:
        if self.port == 0:
            return free_ports.free_port(self.host)
        if not free_ports.port_is_free(self.host, self.port):
            offer = free_ports.free_port_near(self.host, self.port)
            raise PortTaken(
                f"port {self.port} on {self.host} is taken by {process_tree.listener(self.port)}",
                hint=f"`homeport up --port {offer}` takes one that is free, or set local.port in homeport.toml",
                port=offer,
            )
        return self.port

    def _order(self, launch: Launch, outputs: Outputs, adopt: psutil.Process | None = None) -> Order:
        pulse = module(launch.engine).PULSE
        return Order(
            folder=str(self.folder),
            command=list(launch.command),
            environment={**inherited(launch.inherits, without=self.hidden), **launch.environment},
            api_key=self.api_key.reveal() if self.api_key else None,
            url=launch.url,
            health_path=launch.health_path,
            pulse_path=(launch.pulse_path or pulse.path) if pulse else None,
            busy=pulse.busy if pulse else "",
            model=launch.model,
            ready_within_s=launch.ready_within_s,
            restart=self.restart == "on-failure",
            memory_limit=self.memory_limit(outputs),
            weights=self._files(outputs),
            adopt={"pid": adopt.pid} if adopt else None,
            usage=self._usage_ledger(launch),
        )

    def _usage_ledger(self, launch: Launch) -> Mapping[str, Json]:
        """Return what the supervisor is told of the ledger of usage."""
        names = module(launch.engine).METRICS
        return {
            "root": str(self.root),
            "days": self.usage_days,
            "endpoint": self.name,
            "engine": launch.engine,
            "file": self.spec_file,
            "path": launch.metrics_path,
            "names": asdict(names) if names and launch.metrics_path else None,
            "request_line": module(launch.engine).REQUEST_LINE,
        }

    async def _adopt(self, live: Live, outputs: Outputs, progress: Progress) -> Live:
        """Give the engine, which goes on serving, another supervisor."""
        engine = live.condition.engine
        assert engine is not None
        progress.started(self.id, f"giving {live.record.launch['engine']} (pid {engine.pid}) a supervisor")
        if live.condition.supervisor is not None:
            live.condition.supervisor.kill()  # Asked to end, it would end the engine, too.
            process_tree.end([live.condition.supervisor])
        launch = self.make_launch(outputs, _port_of(live.record))
        pid, _ = supervise(self._order(launch, outputs, adopt=engine))
        who = {"pid": pid, "create_time": psutil.Process(pid).create_time()}
        adopted = replace(live.record, supervisor=who, spec=self.spec, spec_file=self.spec_file)
        adopted.save(self.folder)
        progress.finished(self.id, f"supervised (pid {pid})")
        return Live(record=adopted, condition=await condition(adopted, self.folder, self.api_key))

    async def _restarted(self, live: Live, outputs: Outputs, progress: Progress) -> Live | None:
        """Wait for the supervisor, which starts the engine again; None where that does not help."""
        launch = self.make_launch(outputs, _port_of(live.record))
        progress.started(self.id, f"waiting for {launch.engine}, which its supervisor starts again")
        wait = Backoff(
            what=f"{launch.engine} to be started again", within=launch.ready_within_s, first=_LOOK_S
        )
        current = live.condition
        while current.state is State.RESTARTING and await wait.pause():
            current = await condition(live.record, self.folder, self.api_key)
        if not current.serves:
            return None
        pid = current.engine.pid if current.engine else 0
        progress.finished(self.id, f"{launch.engine} {launch.version} (pid {pid})")
        return Live(record=live.record, condition=current)

    def _start(self, launch: Launch, outputs: Outputs) -> EndpointRecord:
        private_folder(self.folder)
        for path, text in launch.files.items():
            write_private(Path(path), text)
        if self.renew:
            self.key.renew()
        key = self.key.ensure()
        supervisor, pid = supervise(self._order(launch, outputs))
        manifest = self._manifest(outputs)
        started = EndpointRecord(
            name=self.name,
            pid=pid,
            supervisor={"pid": supervisor, "create_time": psutil.Process(supervisor).create_time()},
            create_time=psutil.Process(pid).create_time(),
            start_ticks=process_tree.start_ticks(pid),
            launch=launch.as_json(),
            url=launch.url,
            spec=self.spec,
            spec_file=self.spec_file,
            weights={
                "source": manifest.pin.source if manifest else launch.weights,
                "revision": manifest.pin.revision if manifest else "",
                "digest": manifest.digest if manifest else "",
            },
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            key=fingerprint(self.key.reference, key) if key else None,
        )
        started.save(self.folder)
        return started

    async def _serve(self, launch: Launch, outputs: Outputs, progress: Progress) -> Live:
        progress.started(self.id, f"starting {launch.engine}")
        begun = time.monotonic()
        try:
            return await self._ready(launch, self._start(launch, outputs), begun, progress)
        except HomeportError:
            stop(self.name, self.folder)
            raise

    async def _take_port(self, live: Live, launch: Launch, outputs: Outputs, progress: Progress) -> Live:
        """Stop what runs, start the engine in its place, and measure how long no token could be had in between."""
        if live.record.is_verified:
            endpoint_record.keep_verified(live.record, self.folder)
        with AnswerWatch(f"{live.record.url}{launch.health_path}") as old:
            stop(self.name, self.folder)
        begun = time.monotonic()
        served = await self._serve(launch, outputs, progress)
        if old.last_answer is None:
            return served  # It did not answer before: there was no service to interrupt.
        gap = begun + sum(served.record.timeline.values()) - old.last_answer
        record = replace(served.record, timeline={"gap": round(gap, 3), **served.record.timeline})
        record.save(self.folder)
        progress.note(
            f"gap: {gap:.2f} s from the last answer of the old engine to the first token of the new one"
        )
        return replace(served, record=record)

    async def _ready(self, launch: Launch, started: EndpointRecord, begun: float, progress: Progress) -> Live:
        from homeport.resources.local.readiness import await_first_token

        process = psutil.Process(started.pid)
        _load_what_follows()
        timeline = await await_first_token(launch, process, self.api_key, begun, self.folder / "engine.log")
        ready = replace(started, timeline=timeline)
        ready.save(self.folder)
        progress.finished(self.id, f"{launch.engine} {launch.version} (pid {started.pid})")
        return Live(record=ready, condition=just_answered(ready, self.folder))


def _load_what_follows() -> None:
    """Load what is wanted once the engine serves: while it loads its weights, nobody waits for that."""
    for name in _FOLLOWS:
        import_module(name)


def _port_of(remembered: EndpointRecord) -> int:
    return int(remembered.launch["port"])


def _launch_changes(remembered: EndpointRecord, launch: Launch) -> list[Change]:
    before, after = _flat(remembered.launch), _flat(launch.as_json())
    keys = [*after, *(key for key in before if key not in after)]
    return [
        Change(path=key, before=before.get(key, "none"), after=after.get(key, "none"))
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _in_words(record: EndpointRecord) -> str:
    digest = record.weights["digest"][:12]
    return f"{record.launch['model']}{f' with weights {digest}' if digest else ''}"


def _flat(launch: Mapping[str, Json]) -> dict[str, str]:
    """Return the launch as people compare it: each flag of the command on its own, and nothing said twice."""
    flat: dict[str, list[str]] = {}
    flag = "program"
    for word in launch["command"]:
        if word.startswith("--"):
            flag = word
            flat.setdefault(flag, [])
        else:
            flat.setdefault(flag, []).append(word)
    values = {flag: " ".join(words) or "on" for flag, words in flat.items()}
    values |= {f"${name}": value for name, value in launch["environment"].items()}
    values |= {Path(path).name: text for path, text in launch["files"].items()}
    return {"engine version": f"{launch['engine']} {launch['version']}", **values}
