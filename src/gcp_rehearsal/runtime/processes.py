"""Containers that really run: every instance of a revision is a process on this machine."""

from __future__ import annotations

import contextlib
import hmac
import itertools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from gcp_rehearsal import credentials
from gcp_rehearsal.apis.run import log as run_log
from gcp_rehearsal.apis.run.sizes import seconds
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.facts import cloud_run
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.runtime import image, mount_namespace, mounts
from gcp_rehearsal.runtime.container_runtime import Willing
from gcp_rehearsal.runtime.container_state import READY, ContainerState, Failure
from gcp_rehearsal.runtime.instance import Instance
from gcp_rehearsal.runtime.metadata_server import environment
from gcp_rehearsal.runtime.preparation import InstanceSite, left_out, prepare, serving
from gcp_rehearsal.runtime.process_guard import ProcessGuard
from gcp_rehearsal.runtime.programs import Programs
from gcp_rehearsal.runtime.request_counts import RequestCounts
from gcp_rehearsal.runtime.request_queue import Pool

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

INSTANCES = "/rehearsal/v1/instances"
"""The rehearsal's own path: which processes run, what was changed so that they can run here, how fast time passes."""
METRICS = "/rehearsal/v1/metrics"
"""Another one: what Cloud Run counts by itself."""
Revision = Mapping[str, Json]
_LATE = Failure(message="The configured timeout was reached.", code=0)
_LOOKS_EVERY_S = 0.2
_SEEN = "at the container's own paths, in a mount namespace"
_TRANSLATED = "at paths of this machine, which stand in the table of changes"
_HIDES = "the container's files would lie in front of the programs that it needs"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningInstance:
    """An instance of a service that is up."""

    number: int
    id: str
    """As a metric names it; it is no secret."""
    revision: Revision
    ports: Mapping[int, int]
    """Ports of this machine, by those of the cloud."""
    works: bool
    """Whether it answers something now."""


class Engines(Willing):
    """
    Runs the containers of a revision whose images have their files here; it pretends where that which serves has none.

    `programs` say how this machine runs what single images start; what is changed for that is in `report()`. Tasks of
    jobs run likewise, to their end.
    """

    def __init__(self, programs: Programs = MappingProxyType({})) -> None:
        super().__init__()
        self._programs = programs
        self.counts = RequestCounts()
        self.url = ""
        """The rehearsal's own address, at which mounted buckets are read; '' for one that is not on a socket."""
        self.inside = ""
        """The one at which clients count as within the project's networks."""
        self._cloud: Cloud
        self._pools: dict[str, Pool] = {}
        self._starting: dict[str, Instance] = {}
        self._tasks: dict[str, Instance] = {}
        self._said: dict[int, Revision] = {}
        self._all: dict[int, tuple[Instance, Path, str]] = {}
        self._count = itertools.count(1)
        self._ending: list[threading.Thread] = []
        self._guard = ProcessGuard()

    def begin(self, cloud: Cloud) -> None:
        """Remember whose containers they are, and look after them whenever the cloud's time goes on."""
        self._cloud = cloud
        cloud.clock.each_time = self.look

    def runs(self, revision: Revision) -> bool:
        """Return True if this revision's image can be run here."""
        return image.find(self._cloud, str(serving(revision)["image"])) is not None

    def service(self, revision: Revision, waited: float) -> ContainerState:
        """Start the first instance, and say how far it is."""
        if not self.runs(revision):
            return super().service(revision, waited)
        name = revision["name"]
        instance = self._starting.get(name)
        if instance is None:
            self._starting[name] = instance = self._start(revision)
            self._cloud.clock.real_time(True)
        if not instance.up.done():
            return ContainerState(again=_LOOKS_EVERY_S, real=True)
        del self._starting[name]
        self._cloud.clock.real_time(False)
        self.look()
        failure = instance.up.result()
        if failure is not None:
            self._end(instance)
            return ContainerState(failure=failure)
        pool = self.pool(revision)
        pool.startup_s = instance.took
        pool.adopt(instance)
        return READY

    def task(self, task: Revision, waited: float) -> ContainerState:
        """Start an attempt of a task, and say how far it is; what it wrote to buckets is there once it has ended well or badly."""
        if not self.runs(task):
            return super().task(task, waited)
        name = task["name"]
        instance = self._tasks.get(name)
        if instance is None:
            self._tasks[name] = instance = self._start(task)
            self._cloud.clock.real_time(True)
        late = instance.age > seconds(task["timeout"])
        if instance.alive and not late:
            return ContainerState(again=_LOOKS_EVERY_S, real=True)
        failure = _LATE if late else instance.outcome()
        failure = self._save(task, instance) or failure
        self._end_task(name)
        return ContainerState(failure=failure) if failure else READY

    def _save(self, task: Revision, instance: Instance) -> Failure | None:
        """
        Make objects of what a task wrote to buckets. Returns a failure where Cloud Storage refuses one, which its log tells, too: in the
        cloud the program hears of that when it closes the file.
        """
        failure: Failure | None = None
        for container in instance.containers:
            for written in container.plan.place.volumes.written:
                try:
                    written.save(self._cloud)
                except ApiError as error:
                    line = f"What was written to the bucket {written.bucket} could not be kept there: {error.message}"
                    run_log.instance_failed(self._cloud, task, line)
                    failure = failure or Failure(message=line)
        return failure

    def pool(self, revision: Revision) -> Pool:
        """Return the instances of a revision: none, where all were idle for long."""
        name = revision["name"]
        if name not in self._pools:
            scaling, limits = revision.get("scaling", {}), cloud_run.service_limits()
            self._pools[name] = Pool(
                lambda: self._start(revision),
                lambda: run_log.instance_started(self._cloud, revision),
                concurrency=int(revision.get("maxInstanceRequestConcurrency") or limits.default_concurrency),
                most=int(scaling.get("maxInstanceCount") or limits.default_instances),
            )
            self._pools[name].least = int(scaling.get("minInstanceCount") or 0)
            gpu = revision.get("nodeSelector", {}).get("accelerator")
            self._pools[name].idle_s = float(limits.idle_gpu_s if gpu else limits.idle_s)
        return self._pools[name]

    def stop(self, name: str) -> None:
        """End all instances of a revision, or a task."""
        self._end_task(name)
        starting = self._starting.pop(name, None)
        if starting is not None:
            self._cloud.clock.real_time(False)
            self._end(starting)
        pool = self._pools.pop(name, None)
        for instance in pool.instances if pool else ():
            self._end(instance)
        super().stop(name)

    def shutdown(self) -> None:
        """End everything; returns when all of it is gone."""
        for instance, _, _ in list(self._all.values()):
            self._end(instance)
        for thread in self._ending:
            thread.join()
        self._guard.close()
        self._pools.clear()
        mounts.remove(self._cloud.folder / "instances")

    def look(self) -> None:
        """Take what containers have written to the logs, and end instances that are over, or were idle for long."""
        now = self._cloud.clock.now()
        for key, (instance, _, name) in list(self._all.items()):
            self._take_logs(key)
            # One that starts is its starter's to end, who is yet to hear how that came out.
            waited_for = instance in (self._starting.get(name), self._tasks.get(name))
            if instance.up.done() and not instance.alive and not waited_for:
                self._end(instance)
                self._replace(instance, name)
        for pool in self._pools.values():
            if pool.active:
                pool.idle_since = None
            elif pool.idle_since is None:
                pool.idle_since = now
            elif now - pool.idle_since >= pool.idle_s:
                idle, pool.instances = pool.instances[pool.least :], pool.instances[: pool.least]
                for instance in idle:
                    self._end(instance)

    def report(self) -> list[JsonObject]:
        """Return the instances that run: their revisions, processes, ports, and all that was changed for this machine."""
        return [
            {
                "revision": name,
                "pid": instance.process.pid,
                "containers": [
                    {"name": container.plan.name, "pid": container.process.pid}
                    for container in instance.containers
                    if container.process is not None
                ],
                "leftOut": left_out(self._cloud, self._said[number]),
                "port": instance.port,
                "ready": instance.ready,
                "command": instance.what.command,
                "standIn": instance.what.stand_in,
                "buckets": instance.place.volumes.how,
                "files": _SEEN
                if instance.place.room
                else f"{_TRANSLATED}: {mount_namespace.works() or _HIDES}",
                "changes": [
                    asdict(replace(change, here=change.here.replace(self._address(number), f"{number}-***")))
                    for container in instance.containers
                    for change in container.plan.what.changes
                ],
            }
            for number, (instance, _, name) in self._all.items()
            if instance.process is not None and instance.alive
        ]

    def running(self) -> Iterator[RunningInstance]:
        """Yield the instances of services that are up."""
        for number, (instance, _, _) in list(self._all.items()):
            revision = self._said[number]
            if instance.ready and "execution" not in revision:
                mark = credentials.mark(self._cloud.secret, f"shown {number}")
                yield RunningInstance(
                    number=number, id=mark, revision=revision, ports=instance.ports, works=instance.active > 0
                )

    def account(self, address: str) -> str | None:
        """Return the account of the instance whose own address ends so; None where there is no such instance."""
        for number, revision in self._said.items():
            if hmac.compare_digest(address.encode(), self._address(number).encode()):
                return str(revision["serviceAccount"])
        return None

    def _address(self, number: int) -> str:
        """Return the end of an instance's own address, which nobody can guess: a request there gets its tokens."""
        return f"{number}-{credentials.mark(self._cloud.secret, f'instance {number}')}"

    def _start(self, revision: Revision) -> Instance:
        number = next(self._count)
        folder = self._cloud.folder / "instances" / str(number)
        site = InstanceSite(
            cloud=self._cloud,
            programs=self._programs,
            url=self.url,
            inside=self.inside,
            folder=folder,
            storage=environment(f"{self.url}{INSTANCES}/{self._address(number)}") if self.url else {},
            started=self._guard.watch,
        )
        containers, ports = prepare(site, revision)
        for name in left_out(self._cloud, revision):
            run_log.container_left_out(self._cloud, revision, name)
        instance = Instance(containers, port=next(iter(ports.values())), ports=ports)
        self._all[number] = (instance, folder, revision["name"])
        self._said[number] = revision
        return instance

    def _end_task(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            self._cloud.clock.real_time(False)
            self._end(task)

    def _take_logs(self, key: int) -> None:
        """Write to the logs what an instance has to say that nobody has heard yet."""
        instance, revision = self._all[key][0], self._said[key]
        for name, line in instance.lines():
            run_log.log_container_line(self._cloud, revision, line, container=name)
        while instance.system:
            run_log.instance_failed(self._cloud, revision, instance.system.popleft())

    def _replace(self, instance: Instance, name: str) -> None:
        """Take an instance that is over out of its pool; start another where a minimum of instances is wanted."""
        pool = self._pools.get(name)
        if pool is None or instance not in pool.instances:
            return
        pool.instances.remove(instance)
        if instance.unhealthy or len(pool.instances) < pool.least:
            with contextlib.suppress(
                RuntimeError
            ):  # Without an event loop nobody asks: the next request starts one.
                pool.add()

    def _end(self, instance: Instance) -> None:
        """End an instance elsewhere, since that may take ten seconds."""
        key = next((key for key, (other, _, _) in self._all.items() if other is instance), None)
        if key is None:
            return
        self._take_logs(key)
        _, folder, _ = self._all.pop(key)
        del self._said[key]

        def gone() -> None:
            instance.stop()
            for container in instance.containers:
                groups = [fuse.group for fuse in container.plan.place.volumes.fuse]
                for group in (container.process.pid if container.process is not None else None, *groups):
                    if group is not None:
                        self._guard.release(group)
            mounts.remove(folder)

        thread = threading.Thread(target=gone)
        self._ending = [earlier for earlier in self._ending if earlier.is_alive()] + [thread]
        thread.start()
