"""From a revision to an instance that can be started here: commands, environments, ports, files of its containers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.run.status import segments
from gcp_rehearsal.apis.secretmanager.versions import read
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.runtime import image, mount_namespace, mounts
from gcp_rehearsal.runtime.container_paths import Paths
from gcp_rehearsal.runtime.container_process import ContainerPlan, ProcessPlace
from gcp_rehearsal.runtime.fuse import Fuses
from gcp_rehearsal.runtime.image import Image
from gcp_rehearsal.runtime.launch_adaptation import ContainerLaunch
from gcp_rehearsal.runtime.mount_namespace import Bind, MountNamespace
from gcp_rehearsal.runtime.mounts import Volumes
from gcp_rehearsal.runtime.probe import ContainerProbe
from gcp_rehearsal.runtime.process_ends import free_port
from gcp_rehearsal.runtime.programs import LaunchSite, Programs, program_of
from gcp_rehearsal.runtime.run_monitoring import NotUnderstood
from gcp_rehearsal.runtime.sidecar_settings import settings, sidecar_of

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

Body = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSite:
    """What an instance is made with."""

    cloud: Cloud
    programs: Programs
    url: str
    """The rehearsal's own address, at which mounted buckets are read; '' for one that is not on a socket."""
    inside: str
    """The one for clients within the project's networks."""
    folder: Path
    """Of this instance alone; it goes with it."""
    storage: Mapping[str, str]
    """Variables by which Google's libraries find the rehearsal."""
    started: Callable[[int], None]
    """Is told of every process group that is started for it."""

    def files(self) -> list[Path]:
        """Return what of this machine programs are made of."""
        return [path for program in self.programs.values() for path in program.files()]


def serving(revision: Body) -> Body:
    """Return the container that takes the requests: the one with a port."""
    container: Body = next(
        (container for container in revision["containers"] if container.get("ports")),
        revision["containers"][0],
    )
    return container


def port_of(container: Body) -> int:
    """Return the port on which a container takes requests in the cloud."""
    return int((container.get("ports") or [{}])[0].get("containerPort", 8080))


def left_out(cloud: Cloud, revision: Body) -> list[str]:
    """Return the names of the containers whose images have no files here, so that they cannot run."""
    return [
        str(container.get("name", ""))
        for container in revision["containers"]
        if image.find(cloud, str(container["image"])) is None
    ]


def prepare(site: InstanceSite, revision: Body) -> tuple[list[ContainerPlan], dict[int, int]]:
    """Return the containers of an instance, the one that serves first, and the ports of this machine by the cloud's, that of requests first."""
    first = serving(revision)
    missing = left_out(site.cloud, revision)
    every = [first, *(container for container in revision["containers"] if container is not first)]
    running = [container for container in every if container is first or container.get("name") not in missing]
    ports = {port_of(first): free_port()}
    for container in running:
        for probe in _probes(container):
            if probe is not None and probe.cloud_port not in ports:
                ports[probe.cloud_port] = free_port()
    for port in _scraped_ports(site, revision):
        ports.setdefault(port, free_port())
    plans = [_planned(site, revision, container, ports) for container in running]
    return [replace(plan, needs=tuple(set(plan.needs) - set(missing))) for plan in plans], ports


def _scraped_ports(site: InstanceSite, revision: Body) -> list[int]:
    """Return the ports within the instance at which its sidecar of Managed Prometheus asks, where it has one that knows."""
    if sidecar_of(revision) is None:
        return []
    try:
        return [endpoint.port for endpoint in settings(site.cloud, revision).endpoints]
    except (NotUnderstood, ApiError):
        return []


def _sent_to(site: InstanceSite, revision: Body) -> str:
    """Return where an instance finds the rehearsal: as from within where all that it sends goes through a network of the project's."""
    return site.inside if revision.get("vpcAccess", {}).get("egress") == "ALL_TRAFFIC" else site.url


def _probes(container: Body) -> tuple[ContainerProbe | None, ContainerProbe | None]:
    return ContainerProbe.of(container, "startupProbe"), ContainerProbe.of(container, "livenessProbe")


def _planned(site: InstanceSite, revision: Body, container: Body, ports: Mapping[int, int]) -> ContainerPlan:
    """Return how a container is started; `ports` are those of its instance, by the cloud's."""
    content = image.find(site.cloud, str(container["image"]))
    assert content is not None
    name, serves = str(container.get("name", "")), container is serving(revision)
    own = site.folder if serves else site.folder / "beside" / name
    fuses = Fuses(site.url, tuple(path.parent for path in site.files()))
    mounted = mounts.volumes(site.cloud, revision, container, site.folder / "volumes", fuses)
    view = _room(site, content, mounted, own)
    paths = Paths(content.root, mounted.folders, inside=view is not None)
    home = own / "home"
    program = program_of(site.programs, content.base)
    if program is not None and not content.entrypoint:
        content = replace(content, entrypoint=tuple(program.entrypoint), cmd=tuple(program.cmd))
    launch = _launch(site.cloud, revision, container, content)
    launch.adapt(paths)
    served, is_task = port_of(serving(revision)), "execution" in revision
    if serves and is_task:
        launch.move_port(served, ports[served])
        launch.move_addresses(ports)
    elif serves:
        launch.serve_at(ports[served], served)
    others = {cloud: here for cloud, here in ports.items() if not serves or cloud != served}
    for cloud, here in others.items():
        launch.move_port(cloud, here)
    if len(revision["containers"]) > 1:
        launch.move_addresses(others)
    probes = [probe and replace(probe, port=ports[probe.cloud_port]) for probe in _probes(container)]
    if program is not None:
        # What is asked whether it is alive is where it listens; while it starts it may be asked elsewhere.
        port = ports[served] if serves else next(
            (probe.port for probe in reversed(probes) if probe is not None), 0
        )  # fmt: skip
        program.adapt(launch, LaunchSite(
            image=content, paths=paths, port=port, folder=own, storage=site.storage, url=_sent_to(site, revision),
        ))  # fmt: skip
    if launch.probed:
        probes = [
            replace(probe, path=launch.probed) if probe and probe.cloud_port == served else probe
            for probe in probes
        ]
    startup, liveness = probes
    place = ProcessPlace(
        home=home, paths=paths, workdir=paths.here(container.get("workingDir") or content.workdir) or home,
        volumes=mounted, room=view, started=site.started,
    )  # fmt: skip
    return ContainerPlan(
        name=name, what=launch, place=place, port=served if serves else startup.cloud_port if startup else 0,
        startup=startup, liveness=liveness, needs=tuple(container.get("dependsOn", ())), is_task=is_task,
    )  # fmt: skip


def _room(site: InstanceSite, container_image: Image, mounted: Volumes, own: Path) -> MountNamespace | None:
    """Return the container's own view of its files; None where this machine has none to give."""
    if mount_namespace.works():
        return None
    files = [
        Bind(source=path, target=f"/{path.relative_to(container_image.root)}")
        for path in container_image.root.rglob("*")
        if path.is_file()
    ]
    volumes = [
        Bind(source=source, target=path, read_only=path in mounted.read_only)
        for path, source in mounted.folders.items()
    ]
    namespace = MountNamespace(root=own / "root", binds=(*files, *volumes))
    namespace.root.mkdir(parents=True)
    needed = [Path(sys.prefix), Path(sys.base_prefix), *site.files(), site.folder]
    return None if namespace.hides(needed) else namespace


def _own_variables(revision: Body, container: Body) -> dict[str, str]:
    """Return what Cloud Run tells a container of itself."""
    _, _, short = segments(revision["name"])
    if "execution" in revision:
        return {
            "CLOUD_RUN_JOB": revision["job"],
            "CLOUD_RUN_EXECUTION": revision["execution"],
            "CLOUD_RUN_TASK_INDEX": str(revision.get("index", 0)),
            "CLOUD_RUN_TASK_ATTEMPT": str(revision.get("retried", 0)),
        }
    service = revision["service"]
    variables = {"K_SERVICE": service, "K_REVISION": short, "K_CONFIGURATION": service}
    # No other container is told a port.
    return {**variables, "PORT": str(port_of(container))} if container is serving(revision) else variables


def _launch(cloud: Cloud, revision: Body, container: Body, container_image: Image) -> ContainerLaunch:
    env = {**container_image.env, **_own_variables(revision, container)}
    hidden = set()
    for variable in container.get("env", ()):
        source = variable.get("valueSource", {}).get("secretKeyRef")
        if source:
            name = mounts.secret_name(revision["name"], source["secret"], source.get("version"))
            env[variable["name"]] = read(cloud, name).decode()
            hidden.add(variable["name"])
        else:
            env[variable["name"]] = variable.get("value", "")
    # As in Docker: another entrypoint takes the image's arguments away with it.
    command = list(container.get("command") or container_image.entrypoint)
    arguments = container.get("args") or (() if container.get("command") else container_image.cmd)
    return ContainerLaunch(command=[*command, *arguments], env=env, hidden=frozenset(hidden))
