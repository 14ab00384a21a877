"""A rehearsal on a socket of this process, where exports are carried out by the tools that they are for."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from cloud import things
from deployment import NAME, deployment, google_for
from gcloud import Said
from gcp_rehearsal.apis.cloudbuild.steps import Acted
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.runtime.container_runtime import Willing
from gcp_rehearsal.server import App, listen
from homeport.cli.rehearse_environment import variables
from homeport.export import export, gcloud
from homeport.export.graph import Things
from homeport.export.shell import script
from homeport.google import Google
from homeport.progress import Silent
from homeport.reconcile import ActionKind, Plan, Resource, apply, make_plan
from homeport.spec import Spec
from on_cloudrun import deployment as deployed

Wanted = Callable[[Google], list[Resource]]


@dataclass(frozen=True)
class There:
    """The rehearsal, and a folder for what is exported."""

    cloud: Cloud
    url: str
    folder: Path

    def run(self, *command: str, code: int = 0, **env: str) -> Said:
        """What a command says in the folder, as the owner; it must exit with `code`."""
        own = {"CLOUDSDK_CONFIG": str(self.folder / ".gcloud"), "PYTHONPATH": ""}
        ended = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **variables(self.url, "rehearsal", secret=self.cloud.secret, caller=OWNER, folder=self.folder), **own, **env},
            capture_output=True, text=True, timeout=3600, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        said = Said(ended.returncode, ended.stdout, ended.stderr)
        assert said.code == code, f"{' '.join(command)}: exit {said.code}\n{said.out}\n{said.err}"
        return said

    def write(self, files: Mapping[str, str]) -> None:
        """Put files into the folder."""
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text, encoding="utf-8")

    def plan(self, wanted: Wanted = deployment) -> Plan:
        """What `up` would do."""

        async def made() -> Plan:
            async with google_for(self.cloud) as google:
                return await make_plan(NAME, "cloudrun", wanted(google))

        return asyncio.run(made())

    def up(self, wanted: Wanted, but: Callable[[Resource], bool]) -> None:
        """Make all that is wanted, as `up` does, without what `but` picks and what needs it."""

        async def made() -> None:
            async with google_for(self.cloud) as google:
                every = {one.id: one for one in wanted(google)}

                def left(one: Resource) -> bool:
                    return but(one) or any(left(every[need]) for need in one.needs if need in every)

                kept = [one for one in every.values() if not left(one)]
                await apply(await make_plan(NAME, "cloudrun", kept), Silent())

        asyncio.run(made())

    def down(self, wanted: Spec) -> set[str]:
        """Take it down with all that it has; what is left then, but for what Google keeps, by name."""

        async def gone() -> None:
            async with google_for(self.cloud) as google:
                await deployed(google, wanted).down(purge=True)

        asyncio.run(gone())
        mark = re.compile(rf'"homeport": "{NAME}"|homeport={NAME}\b')
        return {one.name for one in things(self.cloud) if mark.search(json.dumps(one.body))}

    def script_of_the_rest(self, wanted: Wanted) -> None:
        """Write, of `deploy.sh`, what makes that which is not there: gcloud takes a second for each of the others."""
        left = {action.resource.id for action in self.plan(wanted).pending}
        all_ = Things.of(wanted(google_for(self.cloud)))
        there = [[one for one in region.own if region.whole[one.id] in left] for region in all_.further]
        lines, files = gcloud.making(all_, [one for one in all_.resources if one.id in left], there)
        self.write(
            {**gcloud.build_files(all_), **files, "deploy.sh": script(all_.project, "", lines, "finish\n")}
        )

    def exported(self, kind: str, wanted: Wanted = deployment, *, live: bool = False) -> dict[str, str]:
        """The files of an export, with what is live if so wished."""
        outputs = self.plan(wanted).known if live else None
        return export(kind, wanted(google_for(self.cloud)), outputs=outputs)


def pending(plan: Plan) -> list[str]:
    """What a plan would do, with each difference."""
    return [
        f"{action.kind} {action.resource.id}: {[change.as_json() for change in action.changes]}"
        for action in plan.actions
        if action.kind is not ActionKind.NONE
    ]


@contextmanager
def there(folder: Path, steps: Acted | None = None) -> Iterator[There]:
    """An empty project, in which waits are short, and the steps of builds are acted out."""
    cloud = Cloud(delays=AT_ONCE, containers=Willing(), clock=Clock(speed=600), steps=steps or Acted())
    with listen(0) as listening:
        config = uvicorn.Config(
            App(cloud), log_config=None, lifespan="off", http="h11", ws="none", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield There(cloud, f"http://127.0.0.1:{listening.getsockname()[1]}", folder)
        finally:
            server.should_exit = True
            thread.join()
