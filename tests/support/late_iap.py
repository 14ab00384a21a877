"""A service of a rehearsed cloud whose front end learns late that Identity-Aware Proxy stands before it, asked without a process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from cloud import Raw, act, enable
from gcp_rehearsal.cloud import Cloud, Delays, Project
from gcp_rehearsal.runtime.front_end import Front
from homeport.targets.cloudrun.verification.revision import Outside

PLACE = "run.googleapis.com/v2/projects/rehearsal/locations/europe-west4/services"
HOST = "home-481516234200.europe-west4.run.app"
HELLO = {"template": {"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}]}}


def cloud_of(late: float, *, enabled: bool) -> Cloud:
    """A cloud with a service whose front end learns of the proxy so late; the first state has long been learnt."""
    delays = Delays(grants=0, accounts=0, apis=0, operations=0, iap=late)
    cloud = Cloud(delays=delays, projects=(Project(organization="123"),))
    enable(cloud, "run", "iap")
    made = act(Raw(cloud).send("POST", f"{PLACE}?serviceId=home", {**HELLO, "iapEnabled": enabled}))
    assert made.status == 200, made.body
    cloud.clock.jump(late + 1)
    return cloud


def turned(cloud: Cloud, enabled: bool) -> None:
    path = f"{PLACE}/home?updateMask=iapEnabled"
    assert act(Raw(cloud).send("PATCH", path, {"iapEnabled": enabled})).status == 200


@asynccontextmanager
async def asking(cloud: Cloud) -> AsyncIterator[Outside]:
    front = Front(cloud)

    async def app(scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI
        await front(scope, receive, send, HOST)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as client:
        yield Outside(client)
