"""A cloud in which the job that makes a startup cache leaves one: what a real one does, with another's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deployers import Deployer
from gcp_rehearsal import context
from gcp_rehearsal.apis.storage.objects import put_object
from gcp_rehearsal.cloud import AT_ONCE, Cloud, Delays
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.runtime.container_runtime import Willing
from gcp_rehearsal.runtime.container_state import ContainerState
from homeport import spec
from homeport.startup_cache import script


class Keeping(Willing):
    """Containers that are pretended; a task that keeps a startup cache has written one when it ends well."""

    def begin(self, cloud: context.Cloud) -> None:
        """Remember where it is written to."""
        self.cloud = cloud

    def task(self, task: Mapping[str, Json], waited: float) -> ContainerState:
        """End a task well after some seconds, or let it fail."""
        state = super().task(task, waited)
        if state.ready:
            self._keep(task)
        return state

    def _keep(self, task: Mapping[str, Any]) -> None:  # Any: JSON
        given = task["containers"][0].get("args", ())
        args = [one.partition("=")[2] for one in given if one.startswith("--kept-by=")]
        if not args:
            return  # Another's job.
        said = dict(zip(args[1::2], args[2::2], strict=False))
        volumes = {one["name"]: one for one in task["volumes"]}
        (bucket,) = (
            one["gcs"]["bucket"]
            for one in volumes.values()
            if "gcs" in one and not one["gcs"].get("readOnly")
        )
        with TemporaryDirectory() as scratch:
            made, pack = Path(scratch, "made"), Path(scratch, "pack")
            (made / "vllm").mkdir(parents=True)
            (made / "vllm" / "graph.py").write_text("compiled")
            script.keep(made, pack, said["--fingerprint"])
            folder = said["--to"].partition("/caches/")[2]
            for name in (script.PACK, script.MANIFEST):
                put_object(
                    self.cloud,
                    bucket,
                    f"caches/{folder.removeprefix('caches/')}/{name}",
                    (pack / name).read_bytes(),
                )


class CachingDeployer(Deployer):
    """Deploys a model whose starts use what an earlier one compiled."""

    def __init__(self, engine: str = "vllm", delays: Delays = AT_ONCE) -> None:
        super().__init__(engine)
        self.containers = Keeping()
        self.cloud = Cloud(delays=delays, containers=self.containers)

    def cached(self, *, how: str = "auto", **engine: Any) -> spec.Spec:  # Any: values of homeport.toml
        """The file with a startup cache."""
        made = self.wanted(**engine)
        assert made.cloudrun is not None
        return made.model_copy(update={"cloudrun": made.cloudrun.model_copy(update={"startup_cache": how})})

    def runs(self) -> int:
        """How often a job was begun."""
        return sum(one.method == "run.projects.locations.jobs.run" for one in self.cloud.log)
