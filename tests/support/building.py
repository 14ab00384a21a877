"""A rehearsal on a socket in the test's own process, whose builds really run, and the loopback hub beside it."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from cloud import enable
from gcp_rehearsal import server
from gcp_rehearsal.apis.storage.objects import content_of, find
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.runtime.build.steps import Worked
from gcp_rehearsal.runtime.launch_adaptation import HOST
from homeport.cli.rehearse_programs import programs
from homeport.google import Google
from homeport.google.client import Settings
from homeport.google.credentials import from_access_token
from homeport.google.retry import Pace
from homeport.google.validation import by_documents
from hub import Hub

_T = TypeVar("_T")
BUCKET, REGION = "rehearsal-home-weights", "us-central1"
ACCOUNT = "home-build@rehearsal.iam.gserviceaccount.com"
TOKEN = "hf_only_for_those_who_may"
VERSION = "projects/rehearsal/secrets/home-token/versions/1"
PIECE = 1 << 18


@dataclass
class Place:
    """The cloud, the hub, and their user."""

    cloud: Cloud
    hub: Hub
    url: str

    def act(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of `work`, in real time: real processes are waited for."""
        return asyncio.run(work)

    def google(self) -> Google:
        """The owner's door."""
        return Google(
            from_access_token(self.cloud.token(OWNER), OWNER),
            project="rehearsal",
            base_url=self.url,
            settings=Settings(pace=Pace(first_wait=0.01, longest_wait=0.05)),
            validator=by_documents(),
        )

    def object(self, name: str) -> bytes | None:
        """What an object holds."""
        kept = find(self.cloud, BUCKET, name)
        return None if kept is None else content_of(kept).read()

    def objects(self) -> list[str]:
        """The names of all objects."""
        return sorted(kept.body["name"] for kept in self.cloud.store.of("storage", "storage.objects"))

    def lines(self) -> list[str]:
        """Every line of every log."""
        logs = [kept.hidden["entries"].values() for kept in self.cloud.store.of("logging")]
        return [entry.get("textPayload", "") for entries in logs for entry in entries]

    def told(self) -> str:
        """Every log, every build and every object's metadata: all that somebody may read who has no secret."""
        kept = [kept.body for api in ("cloudbuild", "storage") for kept in self.cloud.store.of(api)]
        return json.dumps([self.lines(), kept])

    def builds(self) -> list[Any]:
        """All builds that were begun."""
        return [kept.body for kept in self.cloud.store.of("cloudbuild") if kept.collection.endswith("builds")]


@contextmanager
def place(folder: Path, *, bare: bool = False, speed: float = 1.0, **env: str) -> Iterator[Place]:
    """
    All of it, and unless it is `bare` a bucket, a repository, a secret, and an account that may write to them.

    `speed` is the pace of the cloud's clock.
    """
    listening = server.listen(0)
    url = f"http://{HOST}:{listening.getsockname()[1]}"
    with Hub() as hub:
        told = {
            "HF_ENDPOINT": hub.address,
            "HOMEPORT_PIECE": str(PIECE),
            "HOMEPORT_PAUSE_S": "0.01",
            "HOMEPORT_TELL_EVERY_S": "0",
        }
        told |= {"HOMEPORT_GOOGLE_URL": url, **env}
        steps = Worked(url=url, env=told, folder=folder / "builds", programs=programs())
        cloud = Cloud(delays=AT_ONCE, folder=folder / "cloud", steps=steps, clock=Clock(speed=speed))
        config = uvicorn.Config(
            server.App(cloud), log_config=None, log_level="critical", lifespan="off", http="h11", ws="none"
        )
        serving = uvicorn.Server(config)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]})
        thread.start()
        here = Place(cloud, hub, url)
        try:
            if not bare:
                here.act(_furnished(here))
            yield here
        finally:
            serving.should_exit = True
            thread.join()
            steps.close()
            listening.close()


async def _furnished(here: Place) -> None:
    enable(here.cloud, "cloudbuild", "artifactregistry", "iam", "secretmanager", "logging")
    google = here.google()
    async with google:
        bucket = {
            "name": BUCKET,
            "location": REGION,
            "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}},
        }
        await google.post("storage", "storage/v1/b", bucket, project="rehearsal")
        await google.post(
            "iam", "v1/projects/rehearsal/serviceAccounts", {"accountId": "home-build", "serviceAccount": {}}
        )
        await google.post(
            "artifactregistry",
            f"v1/projects/rehearsal/locations/{REGION}/repositories",
            {"format": "DOCKER"},
            repositoryId="home",
        )
        await google.post(
            "secretmanager",
            "v1/projects/rehearsal/secrets",
            {"replication": {"automatic": {}}},
            secretId="home-token",
        )
        await google.post(
            "secretmanager",
            "v1/projects/rehearsal/secrets/home-token:addVersion",
            {"payload": {"data": base64.b64encode(TOKEN.encode()).decode()}},
        )
    for api, name, role in (
        ("storage", f"b/{BUCKET}", "roles/storage.objectUser"),
        (
            "artifactregistry",
            f"projects/rehearsal/locations/{REGION}/repositories/home",
            "roles/artifactregistry.writer",
        ),
        ("secretmanager", "projects/rehearsal/secrets/home-token", "roles/secretmanager.secretAccessor"),
    ):
        _grant(here.cloud, api, name, role)
    owner = {"role": "roles/owner", "members": [f"user:{OWNER}"]}
    writer = {"role": "roles/logging.logWriter", "members": [f"serviceAccount:{ACCOUNT}"]}
    here.cloud.access.set_policy(
        "cloudresourcemanager", "projects/rehearsal", {"bindings": [owner, writer]}, at_once=True
    )


def _grant(cloud: Cloud, api: str, name: str, role: str) -> None:
    policy: Mapping[str, Any] = {"bindings": [{"role": role, "members": [f"serviceAccount:{ACCOUNT}"]}]}
    cloud.access.set_policy(api, name, policy, at_once=True)
