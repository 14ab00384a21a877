"""The agent of the file as a service beside the model's: its image, its container, and what it may do."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

from homeport.agents import brain
from homeport.catalog.images import engine_image
from homeport.google import IamResource
from homeport.reconcile import Ref, Resource
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.object import Object
from homeport.resources.google.service import ServiceRole
from homeport.spec import Agent
from homeport.targets.cloudrun.agent_fact import AgentFact
from homeport.targets.cloudrun.companions import Companion
from homeport.targets.cloudrun.containers import HttpProbe, ServiceContainer
from homeport.targets.cloudrun.graph import PORT
from homeport.targets.cloudrun.images import WORKSPACE, ImageBuild, built, written
from homeport.targets.cloudrun.registries import cached
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.weights.manifest import PinnedFile
from homeport.weights.transfer import PYTHON, Job
from homeport.wheel import OwnWheel, constraints, own_wheel

PACKAGE = "agent"
"""The image's name in the endpoint's repository."""
MODULE = "homeport.agents.service.container"
_EXTRAS = ("agents", "cloudrun")
_FOLDER = "homeport"
"""Of the bucket: where wheels of homeport's lie."""
_LONGEST_S = 3600
"""That Cloud Run lets a request take."""
_UNPACK = """#!/usr/bin/env python3
import base64
import pathlib

text = pathlib.Path("{folder}", "wheel.b64")
pathlib.Path("{folder}", "{wheel}").write_bytes(base64.b64decode(text.read_bytes()))
text.unlink()
"""
_DOCKERFILE = """FROM {base}
COPY constraints.txt {wheel} /install/
RUN pip install --no-cache-dir --constraint /install/constraints.txt "/install/{wheel}[{extras}]" && rm -r /install
RUN useradd --create-home agent
USER agent
ENTRYPOINT ["python3", "-m", "{module}"]
CMD ["--host", "0.0.0.0", "--port", "{port}"]
"""


def with_agent(target: CloudRunTarget) -> CloudRunTarget:
    """
    Return the target with the service of its file's `[agent]`; as it is where there is none.

    Raises `Unsupported` for a model that was not trained to call tools, `EngineMissing` where the extra `agents` is not
    installed: the image is made of what runs here.
    """
    agent = target.spec.agent
    if agent is None:
        return target
    brain.ensure_taught(target.spec.model)
    brain.ensure_installed()
    wheel, base = own_wheel(), engine_image("python").pinned
    text = base64.b64encode(wheel.content)
    stored = Object(
        google=target.google,
        bucket=target.names.bucket,
        name=f"{_FOLDER}/{wheel.name}.b64",
        content=text,
    )
    fact = AgentFact.of(agent.tools, agent.mcp, base, wheel.sha256, target.cold_start)
    companion = Companion(
        role=ServiceRole.AGENT,
        containers=(_container(target, agent),),
        callers=target.spec.access.callers,
        max_instances=agent.max_instances,
        concurrency=target.spec.engine.parallel,
        timeout_s=min(_LONGEST_S, agent.max_seconds + round(target.cold_start.high) + 60),
        resources=(stored, *_reading(target), _image(target, stored, wheel, base)),
        facts=(fact,),
    )
    return replace(target, companions=(*target.companions, companion))


def _container(target: CloudRunTarget, agent: Agent) -> ServiceContainer:
    names = target.names
    described = {
        "name": names.companion(ServiceRole.AGENT),
        "model": target.launch.model,
        **agent.model_dump(mode="json", exclude={"max_instances"}),
    }
    probe = HttpProbe(path="/health", port=PORT, period_s=5, timeout_s=4, attempts=24)
    return ServiceContainer(
        name="agent",
        image=Ref(f"image/{PACKAGE}", "reference"),
        environment={
            "HOMEPORT_AGENT": json.dumps(described, sort_keys=True),
            "MODEL_URL": Ref(f"service/{names.name}", "uri"),
        },
        port=PORT,
        limits={"cpu": "1", "memory": "1Gi"},
        boosted=True,
        startup=probe,
    )


def _image(target: CloudRunTarget, stored: Object, wheel: OwnWheel, base: str) -> ContainerImage:
    names, foundations = target.names, target.foundations
    file = PinnedFile(
        path=f"{wheel.name}.b64", size=len(stored.content), sha256=hashlib.sha256(stored.content).hexdigest()
    )
    job = Job(origin=f"gs://{stored.bucket}/{_FOLDER}", goal=WORKSPACE, files=(file,), renamed="wheel.b64")
    python = cached(names, PYTHON)
    texts = {
        "constraints.txt": constraints(_EXTRAS),
        "Dockerfile": _DOCKERFILE.format(
            base=cached(names, base), wheel=wheel.name, extras=",".join(_EXTRAS), module=MODULE, port=PORT
        ),
    }
    unpack = {
        "name": cached(names, PYTHON),
        "id": "unpack",
        "script": _UNPACK.format(folder=WORKSPACE, wheel=wheel.name),
    }
    after = (
        foundations.apis.id,
        f"service-account/{names.builder}",
        *foundations.grants_of(names.builder),
        *(one.id for one in _reading(target)),
        stored.id,
    )
    build = ImageBuild(package=PACKAGE, steps=(written(texts, python), job.step(python=python), unpack))
    return built(target.google, names, target.settings, build, after)


def _reading(target: CloudRunTarget) -> tuple[Resource, ...]:
    """Return what lets the build read the bucket, where it may not anyway."""
    names = target.names
    if target.baked:
        return ()
    return (
        Grant(
            google=target.google,
            role="roles/storage.objectViewer",
            member=f"serviceAccount:{names.email(names.builder)}",
            on=IamResource(api="storage", path=f"storage/v1/b/{names.bucket}"),
            known_as=f"bucket/{names.bucket}",
            needs=(f"bucket/{names.bucket}", f"service-account/{names.builder}"),
        ),
    )
