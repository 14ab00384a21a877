"""Deployments that are made and taken down again by their mark, without a file that says where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloud import act
from deployment import google_for
from gcp_rehearsal.cloud import OWNER, Cloud
from homeport.progress import Progress, Silent
from homeport.reconcile import apply, make_plan
from homeport.resources.google.traffic import Body, Receipt
from homeport.targets.cloudrun.teardown import take_down
from ways import NAME, Wanted, Way, wanted


def up(cloud: Cloud, wish: Wanted, *, name: str = NAME) -> int:
    """How many things there were to do."""

    async def prove(service: Body, revision: str, url: str) -> Receipt:
        return Receipt(at=cloud.clock.text(), passed=True, counts={"passed": 20})

    async def work() -> int:
        async with google_for(cloud) as google:
            plan = await make_plan(name, "cloudrun", wish.target(google, prove).resources())
            await apply(plan, Silent())
            return len(plan.pending)

    return act(work())


def down(cloud: Cloud, name: str = NAME, *, purge: bool = True, progress: Progress | None = None, caller: str = OWNER) -> tuple[str, ...]:  # fmt: skip
    """What went; no file says which region it was in, or with which options it was made."""

    async def work() -> tuple[str, ...]:
        async with google_for(cloud, caller=caller) as google:
            return await take_down(google, name, purge=purge, approve=None, progress=progress or Silent())

    return act(work())


def file(
    way: Way, folder: Path, name: str, region: str, **access: Any
) -> Wanted:  # Any: tables of homeport.toml
    """The spec of an endpoint of this name in this region."""
    token = {"hub_token": "env:HF_TOKEN"} if way == "vllm" else {}
    return wanted(
        way, folder, name=name, cloudrun={"region": region, **token}, access={"callers": [], **access}
    )
