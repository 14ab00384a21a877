"""A made-up agent that stands beside a model as a service of its own: small, without a GPU, allowed to call the model."""

from __future__ import annotations

from homeport.reconcile import Ref
from homeport.resources.google.service import ServiceRole
from homeport.targets.cloudrun.companions import Companion
from homeport.targets.cloudrun.containers import HttpProbe, ServiceContainer, Volume

IMAGE = "us-docker.pkg.dev/example/agents/agent:1"
AGENT = Companion(
    role=ServiceRole.AGENT,
    containers=(
        ServiceContainer(
            name="agent",
            image=IMAGE,
            environment={"MODEL_URL": Ref("service/home", "uri"), "STEPS": "8"},
            port=8000,
            limits={"cpu": "1", "memory": "512Mi"},
            startup=HttpProbe(path="/", port=8000, period_s=5, timeout_s=2, attempts=10),
            alive=HttpProbe(path="/", port=8000, period_s=60, timeout_s=5, attempts=3),
            volumes=(
                Volume(
                    name="notes",
                    path="/notes",
                    source={"emptyDir": {"medium": "MEMORY", "sizeLimit": "64Mi"}},
                ),
            ),
        ),
    ),
    callers=("user:friend@example.com",),
)
