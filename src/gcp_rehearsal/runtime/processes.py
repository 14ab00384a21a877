"""Containers that really run: every instance of a revision is a process on this machine."""

from __future__ import annotations

import hmac
import itertools
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gcp_rehearsal import credentials
from gcp_rehearsal.apis.run import log as run_log
from gcp_rehearsal.apis.run.status import segments
from gcp_rehearsal.apis.secretmanager.versions import read
from gcp_rehearsal.facts import cloud_run
from gcp_rehearsal.runtime import image, mount_namespace, mounts
from gcp_rehearsal.runtime.container_paths import Paths
from gcp_rehearsal.runtime.container_runtime import Willing
from gcp_rehearsal.runtime.container_state import READY, ContainerState
from gcp_rehearsal.runtime.fuse import Fuses
from gcp_rehearsal.runtime.image import Image
from gcp_rehearsal.runtime.instance import Instance, ProcessPlace, StartupProbe
from gcp_rehearsal.runtime.launch_adaptation import ContainerLaunch
from gcp_rehearsal.runtime.metadata_server import environment
from gcp_rehearsal.runtime.mount_namespace import Bind, MountNamespace
from gcp_rehearsal.runtime.mounts import Volumes
from gcp_rehearsal.runtime.process_ends import free_port
from gcp_rehearsal.runtime.process_guard import ProcessGuard
from gcp_rehearsal.runtime.programs import LaunchSite, Programs, program_of
from gcp_rehearsal.runtime.request_queue import Pool

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

INSTANCES = "/rehearsal/v1/instances"
"""The rehearsal's own path: which processes run, what was changed so that they can run here, how fast time passes."""
Revision = Mapping[str, Any]  # Any: JSON
_LOOKS_EVERY_S = 0.2
_SEEN = "at the container's own paths, in a mount namespace"
_TRANSLATED = "at paths of this machine, which stand in the table of changes"
_HIDES = "the container's files would lie in front of the programs that it needs"


class Engines(Willing):
    """
    Runs the container of a revision that has a port, where its image has its files here; else it pretends.

    `programs` say how this machine runs what single images start; what is changed for that is in `report()`. Tasks of
    jobs are pretended.
    """

    def __init__(self, programs: Programs = MappingProxyType({})) -> None:
        super().__init__()
        self._programs = programs
        self.url = ""
        """The rehearsal's own address, at which mounted buckets are read; '' for one that is not on a socket."""
        self._cloud: Cloud
        self._pools: dict[str, Pool] = {}
        self._starting: dict[str, Instance] = {}
        self._said: dict[int, Revision] = {}
        self._all: dict[int, tuple[Instance, Path, str]] = {}
        self._count = itertools.count(1)
        self._ending: list[threading.Thread] = []
        self._guard = ProcessGuard()

    def begin(self, cloud: Cloud) -> None:
        """Whose containers they are."""
        self._cloud = cloud
        cloud.clock.each_time = self.look

    def runs(self, revision: Revision) -> bool:
        """Whether this revision's image can be run here."""
        return self._image(revision) is not None

    def service(self, revision: Revision, waited: float) -> ContainerState:
        """Starts the first instance, and says how far it is."""
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

    def pool(self, revision: Revision) -> Pool:
        """The instances of a revision: none, where all were idle for long."""
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
        """End all instances of a revision."""
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
        """Take what containers have written to the logs, and end instances that were idle for long."""
        now = self._cloud.clock.now()
        for key, (instance, _, _) in list(self._all.items()):
            while instance.lines:
                run_log.container_said(self._cloud, self._said[key], instance.lines.popleft())
        for pool in self._pools.values():
            if pool.active:
                pool.idle_since = None
            elif pool.idle_since is None:
                pool.idle_since = now
            elif now - pool.idle_since >= pool.idle_s:
                idle, pool.instances = pool.instances[pool.least :], pool.instances[: pool.least]
                for instance in idle:
                    self._end(instance)

    def report(self) -> list[dict[str, Any]]:  # Any: JSON
        """The instances that run: their revisions, processes, ports, and all that was changed for this machine."""
        return [
            {
                "revision": name,
                "pid": instance.process.pid,
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
                    for change in instance.what.changes
                ],
            }
            for number, (instance, _, name) in self._all.items()
            if instance.process is not None and instance.alive
        ]

    def account(self, address: str) -> str | None:
        """The account of the instance whose own address ends so; None where there is no such instance."""
        for number, revision in self._said.items():
            if hmac.compare_digest(address.encode(), self._address(number).encode()):
                return str(revision["serviceAccount"])
        return None

    def _address(self, number: int) -> str:
        """The end of an instance's own address, which nobody can guess: whoever asks there has its tokens."""
        return f"{number}-{credentials.mark(self._cloud.secret, f'instance {number}')}"

    def _image(self, revision: Revision) -> Image | None:
        return image.find(self._cloud, str(_container(revision)["image"]))

    def _start(self, revision: Revision) -> Instance:
        container, found = _container(revision), self._image(revision)
        assert found is not None
        number = next(self._count)
        folder = self._cloud.folder / "instances" / str(number)
        mounted = mounts.volumes(
            self._cloud, revision, container, folder / "volumes", Fuses(self.url, self._beside())
        )
        view = self._room(found, mounted, folder)
        paths = Paths(found.root, mounted.folders, inside=view is not None)
        wanted = int((container.get("ports") or [{}])[0].get("containerPort", 8080))
        port = free_port()
        what = self._container(revision, found)
        home = folder / "home"
        place = ProcessPlace(
            home=home,
            paths=paths,
            workdir=paths.here(container.get("workingDir") or found.workdir) or home,
            volumes=mounted,
            room=view,
            started=self._guard.watch,
        )
        what.adapt(paths, port, wanted)
        probe, apart = StartupProbe.of(container), StartupProbe.of(container).port not in {0, wanted}
        if apart:
            probe = replace(probe, port=what.move_port(probe.port, free_port()))
        program = program_of(self._programs, found.base)
        if program is not None:
            storage = environment(f"{self.url}{INSTANCES}/{self._address(number)}") if self.url else {}
            program.adapt(
                what, LaunchSite(image=found, paths=paths, port=port, folder=folder, storage=storage)
            )
        if not apart:
            probe = replace(probe, path=what.probed or probe.path, port=0)
        instance = Instance(what, port=port, wanted=wanted, probe=probe, place=place)
        self._all[number] = (instance, folder, revision["name"])
        self._said[number] = revision
        return instance

    def _room(self, found: Image, mounted: Volumes, folder: Path) -> MountNamespace | None:
        """The container's own view of its files; None where this machine has none to give."""
        if mount_namespace.works():
            return None
        files = [
            Bind(source=path, target=f"/{path.relative_to(found.root)}")
            for path in found.root.rglob("*")
            if path.is_file()
        ]
        volumes = [
            Bind(source=source, target=path, read_only=path in mounted.read_only)
            for path, source in mounted.folders.items()
        ]
        made = MountNamespace(root=folder / "root", binds=(*files, *volumes))
        made.root.mkdir(parents=True)
        needed = [Path(sys.prefix), Path(sys.base_prefix), *self._files(), folder]
        return None if made.hides(needed) else made

    def _files(self) -> list[Path]:
        return [path for program in self._programs.values() for path in program.files()]

    def _beside(self) -> tuple[Path, ...]:
        """Where programs of this machine lie beside those on the PATH."""
        return tuple(path.parent for path in self._files())

    def _container(self, revision: Revision, found: Image) -> ContainerLaunch:
        said = _container(revision)
        _, _, short = segments(revision["name"])
        service = revision["service"]
        port = str((said.get("ports") or [{}])[0].get("containerPort", 8080))
        env = {
            **found.env,
            "PORT": port,
            "K_SERVICE": service,
            "K_REVISION": short,
            "K_CONFIGURATION": service,
        }
        hidden = set()
        for one in said.get("env", ()):
            source = one.get("valueSource", {}).get("secretKeyRef")
            if source:
                name = mounts.secret_name(revision["name"], source["secret"], source.get("version"))
                env[one["name"]] = read(self._cloud, name).decode()
                hidden.add(one["name"])
            else:
                env[one["name"]] = one.get("value", "")
        # As in Docker: another entrypoint takes the image's arguments away with it.
        command = list(said.get("command") or found.entrypoint)
        arguments = said.get("args") or (() if said.get("command") else found.cmd)
        return ContainerLaunch(command=[*command, *arguments], env=env, hidden=frozenset(hidden))

    def _end(self, instance: Instance) -> None:
        """End an instance elsewhere, since that may take ten seconds."""
        key = next((key for key, (one, _, _) in self._all.items() if one is instance), None)
        if key is None:
            return
        while instance.lines:
            run_log.container_said(self._cloud, self._said[key], instance.lines.popleft())
        _, folder, _ = self._all.pop(key)
        del self._said[key]

        def gone() -> None:
            instance.stop()
            groups = [one.group for one in instance.place.volumes.fuse]
            for group in (instance.process.pid if instance.process is not None else None, *groups):
                if group is not None:
                    self._guard.release(group)
            mounts.remove(folder)

        thread = threading.Thread(target=gone)
        self._ending = [one for one in self._ending if one.is_alive()] + [thread]
        thread.start()


def _container(revision: Revision) -> Mapping[str, Any]:  # Any: JSON
    found: Mapping[str, Any] = next(  # Any: JSON
        (one for one in revision["containers"] if one.get("ports")), revision["containers"][0]
    )
    return found
