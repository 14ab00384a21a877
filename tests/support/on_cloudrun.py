"""The deployment of a spec on a Cloud Run that is rehearsed in the test's own process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from homeport.deployment import Deployment
from homeport.google import Google
from homeport.reconcile import Plan
from homeport.spec import Spec
from homeport.targets.cloudrun.lifecycle import CloudRunLifecycle


def deployment(
    google: Google, spec: Spec, file: Path = Path("/x/homeport.toml"), **fields: Any
) -> Deployment:
    """The deployment of `spec`. `fields` are those of its lifecycle: so Any."""
    return Deployment(target=lifecycle(google, spec, file, **fields))


def lifecycle(
    google: Google, spec: Spec, file: Path = Path("/x/homeport.toml"), **fields: Any
) -> CloudRunLifecycle:
    """What is asked of Cloud Run for the deployment."""
    return CloudRunLifecycle(google=google, spec=spec, spec_file=file, via="", **fields)


def unchecked(plan: Plan) -> list[str]:
    """Subjects that preflight could not look at."""
    assert plan.preflight is not None
    return [one["subject"] for one in plan.preflight["findings"] if one["verdict"] == "not checked"]
