"""
What lets starts on Cloud Run use what an earlier one compiled: a bucket, the account that alone may write to it, the job
that runs once as that account, and the words before the engine's command that restore what it left.

Why a bucket of its own, and a job: docs/decisions/0026 and 0027.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from homeport.catalog import cloudrun as limits_of
from homeport.catalog.cloudrun import Shape
from homeport.engines.base import CacheableStart, Launch
from homeport.fit.cold_start import ColdStart
from homeport.google import Google, IamResource
from homeport.reconcile import Ref, Resource, joined
from homeport.resources.google.bucket import Bucket, bucket
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.rest import LABEL, RestResource
from homeport.resources.google.service import ROLE
from homeport.resources.google.service_account import account
from homeport.resources.google.startup_cache import FINGERPRINT, StartupCache
from homeport.startup_cache import making, script
from homeport.startup_cache.fingerprint import CacheOrigin
from homeport.targets.cloudrun.containers import CONTAINER, ServiceContainer, Volume, volumes_of
from homeport.targets.cloudrun.foundations import Foundations
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_labels import CACHE_LABEL
from homeport.targets.cloudrun.service_spec import (
    CacheUse,
    Mount,
    mounted,
    network_interface,
    probe_seconds,
)

CACHE_ROLE = "startup-cache"
"""By which the bucket of caches is told from that of weights: it holds nothing that could not be made again."""
FILES = Path("/homeport")
"""Where our few files lie in a container."""
_RESTORE, _MAKE = str(FILES / "startup_cache.py"), str(FILES / "make_startup_cache.py")
_CACHES, _LOCAL = "/homeport-caches", "/homeport-kept"
_FOLDER = f"{_LOCAL}/startup"
"""Where the engine keeps what it compiles: the same path for the job and for every start, and in memory."""
_BEYOND_S = 600
"""What the job may take beside the start: an answer, the engine's end, the copy to the bucket."""
_LONGEST_S = 3600
"""Of a task with a GPU that is no preview, by what Google documented in 2026-11."""


def scripts() -> dict[str, str]:
    """Return the two scripts that run in the engine's container, by path."""
    sources = {_RESTORE: script.__file__, _MAKE: making.__file__}
    return {path: Path(file).read_text(encoding="utf-8") for path, file in sources.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudStartupCache:
    """The startup cache of one endpoint, and all that it needs."""

    foundations: Foundations
    launch: Launch
    kept: CacheableStart
    """What the engine can keep."""
    shape: Shape
    image: ContainerImage | MirroredImage
    weights: StoredWeights
    mounts: tuple[Mount, ...]
    """What the engine sees of the bucket of weights."""
    cold_start: ColdStart
    """Without a cache, as the job starts."""
    files: tuple[str, ...]
    """Ids of the files of ours that lie in the bucket."""

    @property
    def google(self) -> Google:
        """Return the door to Google."""
        return self.foundations.google

    @property
    def names(self) -> Names:
        """Return the names of the endpoint's things."""
        return self.foundations.names

    @property
    def use(self) -> CacheUse:
        """Return how the service's engine is started with it."""
        id_ = self.resource.id
        return CacheUse(
            before=(
                *("python3", _RESTORE, "restore", "--from", joined(f"{_CACHES}/caches/", Ref(id_, "fingerprint"))),
                *("--to", _FOLDER, "--fingerprint", Ref(id_, "fingerprint"), "--manifest", Ref(id_, "manifest")),
                "--",
            ),
            environment=self.kept.environment(_FOLDER),
            volumes=self._volumes(read_only=True),
        )  # fmt: skip

    def resources(self) -> list[Resource]:
        """Return everything that is wanted beside what the service is made of."""
        return [self._account, self.bucket, *self.grants(), self.resource]

    @property
    def before(self) -> tuple[str, ...]:
        """Return the ids of what must be there before an instance starts."""
        return (self.resource.id, *(grant.id for grant in self.grants()))

    @property
    def bucket(self) -> Bucket:
        """Return the bucket of caches."""
        names = self.names
        storage = cache_bucket(self.google, names.name, names.caches, names.region)
        chosen = self.foundations.key
        key = {"encryption": {"defaultKmsKeyName": chosen}} if chosen else {}
        return replace(storage, wanted={**storage.wanted, **key}, after=("apis",))

    @property
    def resource(self) -> StartupCache:
        """Return the cache itself."""
        names = self.names
        return StartupCache(
            google=self.google,
            name=names.name,
            bucket=names.caches,
            region=names.region,
            job=names.cache_job,
            image=self.image,
            weights=self.weights,
            origin=CacheOrigin(image="", weights="", gpu=self.shape.gpu, launch=self.launch, kept=self.kept),
            body=self.job,
            timeout_s=self.timeout_s,
            after=("apis", *self.foundations.guards, *self.files, *(grant.id for grant in self.grants())),
        )

    @property
    def timeout_s(self) -> int:
        """Return how long the job may take."""
        return min(_LONGEST_S, probe_seconds(self.cold_start) + _BEYOND_S)

    def job(self, fingerprint: str) -> dict[str, Any]:  # Any: JSON, and Refs
        """Return the job that makes it, as Cloud Run takes it: image, GPU, weights and command are the service's."""
        container = ServiceContainer(
            name=CONTAINER,
            image=Ref(self.image.id, "reference"),
            command=("python3",),
            args=tuple(self._making(fingerprint)),
            environment={**self.launch.environment, **self.kept.environment(_FOLDER)},
            limits={
                "cpu": f"{self.shape.cpu:g}",
                "memory": f"{self.shape.memory_gib:g}Gi",
                "nvidia.com/gpu": "1",
            },
            mounts={mount.name: mount.path for mount in self.mounts},
            volumes=self._volumes(read_only=False),
        )
        body, network = container.body(), self.foundations.network
        body["resources"] = {"limits": dict(container.limits)}
        task: dict[str, Any] = {  # Any: JSON, and Refs
            "serviceAccount": Ref(self._account.id, "email"),
            "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
            "timeout": f"{self.timeout_s}s",
            "maxRetries": 0,
            "nodeSelector": {"accelerator": self.shape.gpu},
            # A second zone is of no use to what runs once.
            "gpuZonalRedundancyDisabled": True,
            "vpcAccess": {
                "egress": "ALL_TRAFFIC",
                "networkInterfaces": [
                    network_interface(network, own=self.foundations.cloudrun.network is None)
                ],
            },
            "containers": [body],
            "volumes": volumes_of((container,), mounted(self.mounts)),
        }
        if self.foundations.key:
            task["encryptionKey"] = self.foundations.key
        gpu = limits_of.gpu(self.shape.gpu)
        return {
            **({"launchStage": "BETA"} if gpu is not None and gpu.status != "ga" else {}),
            "labels": {LABEL: self.names.name, ROLE: CACHE_ROLE},
            "annotations": {FINGERPRINT: fingerprint},
            "template": {"taskCount": 1, "template": task},
        }

    def grants(self) -> tuple[Grant, ...]:
        """Return what the job's account may, and what the service's may: to read, and nothing else."""
        return cache_grants(self.google, self.names, streamed=self.foundations.streamed)

    @property
    def _account(self) -> RestResource:
        names = self.names
        maker = account(
            self.google, names.name, names.cacher, f"homeport {names.name}: makes the startup cache"
        )
        return replace(maker, after=("apis",))

    def _making(self, fingerprint: str) -> Iterator[str]:
        launch = self.launch
        path, body = _question(launch)
        yield from (_MAKE, "--url", launch.url, "--health", launch.health_path, "--ask", path)
        yield from (
            "--body",
            json.dumps(body),
            "--within",
            f"{probe_seconds(self.cold_start)}",
            "--keep",
            _RESTORE,
        )
        keeping = [
            "keep",
            "--from",
            _FOLDER,
            "--to",
            f"{_CACHES}/caches/{fingerprint}",
            "--fingerprint",
            fingerprint,
        ]
        for pattern in self.kept.keys:
            keeping += ["--key", pattern]
        for argument in keeping:
            yield f"--kept-by={argument}"
        yield from ("--", *launch.command)

    def _volumes(self, *, read_only: bool) -> tuple[Volume, ...]:
        options = ["implicit-dirs=true", *(["enable-buffered-read=true"] if read_only else [])]
        source = {"bucket": self.names.caches, "readOnly": read_only, "mountOptions": options}
        memory = {"medium": "MEMORY", "sizeLimit": f"{script.MOST_BYTES >> 20}Mi"}
        return (
            Volume(name="startup-caches", path=_CACHES, source={"gcs": source}),
            Volume(name="startup-kept", path=_LOCAL, source={"emptyDir": memory}),
        )


def cache_grants(google: Google, names: Names, *, streamed: bool = True) -> tuple[Grant, ...]:
    """Return the grants on both buckets; `streamed` for weights that a streamer reads."""

    def grant(account_id: str, role: str, bucket_name: str) -> Grant:
        known_as = f"bucket/{bucket_name}"
        return Grant(
            google=google,
            role=role,
            member=f"serviceAccount:{names.email(account_id)}",
            on=IamResource(api="storage", path=f"storage/v1/b/{bucket_name}"),
            known_as=known_as,
            needs=(known_as, f"service-account/{account_id}"),
        )

    # As for the service: the streamer asks for the bucket itself first.
    more = (grant(names.cacher, "roles/storage.legacyBucketReader", names.bucket),) if streamed else ()
    return (
        grant(names.cacher, "roles/storage.objectUser", names.caches),
        grant(names.cacher, "roles/storage.objectViewer", names.bucket),
        *more,
        grant(names.runner, "roles/storage.objectViewer", names.caches),
    )


def cache_bucket(google: Google, name: str, bucket_name: str, region: str) -> Bucket:
    """Return the bucket of the startup caches of the endpoint `name`."""
    return bucket(google, name, bucket_name, region, labels={ROLE: CACHE_ROLE, CACHE_LABEL: "auto"})


def _question(launch: Launch) -> tuple[str, Mapping[str, Any]]:  # Any: JSON
    """Return the path and the body of the one question that a start is proven by."""
    if launch.task == "embed":
        return "/v1/embeddings", {"model": launch.model, "input": "Hello"}
    return "/v1/completions", {"model": launch.model, "prompt": "Hello", "max_tokens": 1}
