"""The contract of contract.py, kept by the rehearsal: in this process on a clock that jumps, and on a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from cloud import act, enable
from contract import APIS, CLAUSES, Clause, Place
from deployment import google_for
from gcloud import Served, served
from gcp_rehearsal.cloud import Cloud
from homeport import google


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("contract")) as found:
        asyncio.run(_enable(found))
        yield found


async def _enable(found: Served) -> None:
    async with await google.from_env(found.environment) as door:
        body = {"serviceIds": [f"{api}.googleapis.com" for api in APIS]}
        begun = await door.post("serviceusage", f"v1/projects/{door.project}/services:batchEnable", body)
        await door.finish("serviceusage", begun, key="apis")


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_in_process(clause: Clause) -> None:
    cloud = Cloud()
    enable(cloud, *APIS)

    async def keep() -> None:
        async with google_for(cloud) as door:
            await clause(Place(door, "contract-one"))

    act(keep())


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_on_a_socket(clause: Clause, rehearsal: Served) -> None:
    async def keep() -> None:
        async with await google.from_env({**rehearsal.environment, "HOMEPORT_VALIDATE": "1"}) as door:
            await clause(
                Place(door.patient(apis=60), f"contract-{clause.__name__[:12].strip('_').replace('_', '-')}")
            )

    asyncio.run(keep())
