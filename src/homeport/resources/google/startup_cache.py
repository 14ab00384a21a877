"""An engine's startup cache in a bucket: made by a Cloud Run job of its own, which is gone once it has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from homeport.errors import (
    ApiDisabled,
    GoogleError,
    HomeportError,
    NotFound,
    NotManaged,
    OperationFailed,
    OutOfCapacity,
    PermissionDenied,
    QuotaExceeded,
)
from homeport.google import ANSWER_LOST, Google
from homeport.google.retry import looks
from homeport.json_types import Json, JsonObject
from homeport.progress import Progress
from homeport.reconcile import Change, Outputs, needs_of, resolve
from homeport.resources.base import FixedResource
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.log_lines import last_lines, last_words
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.propagation import patient, while_it_spreads
from homeport.resources.google.rest import LABEL
from homeport.startup_cache.fingerprint import CacheOrigin, fingerprint
from homeport.startup_cache.making import SAYS
from homeport.startup_cache.script import MANIFEST, PACK, digest

KIND = "startup cache"
NONE = "none"
"""Stands for the manifest of a cache that could not be made: a start that is told it finds none, and goes on."""
FINGERPRINT = "homeport/fingerprint"
"""The annotation of a job that holds what it makes a cache for."""
_BEYOND_S = 900.0
"""For the job to be begun, and for Google to notice that it is over its time."""
_FIRST_LOOK_S = 2.0
_SUCCEEDED = "EXECUTION_SUCCEEDED"
_LEFT = "job_left"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupCache(FixedResource):
    """
    What the first start of an engine compiled, in `gs://BUCKET/caches/FINGERPRINT/`: a pack, and the manifest, written last.

    It is made before the service that starts with it. A job that fails leaves none: that is told, and the rest goes on,
    since a cache is no reason for a service that is not deployed. The next `up` tries again.
    """

    google: Google
    name: str
    """Of the endpoint."""
    bucket: str
    region: str
    job: str
    """What the job is called."""
    image: ContainerImage | MirroredImage
    weights: StoredWeights
    origin: CacheOrigin
    """What it is made with, except for the digests of image and weights, which are known once these are there."""
    body: Callable[[str], Mapping[str, Json]]
    """By the fingerprint: the job as Cloud Run takes it, with `Ref`s."""
    timeout_s: int
    """Seconds that the job may take."""
    after: tuple[str, ...] = ()

    kind = KIND

    @property
    def id(self) -> str:
        """Return kind and name."""
        return f"startup-cache/{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of the image, the weights, the bucket, and what the job needs."""
        own = (self.image.id, self.weights.id, f"bucket/{self.bucket}")
        return tuple(dict.fromkeys((*own, *self.after, *needs_of(self.body("")))))

    async def read(self) -> Json | None:
        """Return what lies there for this very start: its fingerprint, its manifest's digest, its size; None without one."""
        image, weights = await self.image.read(), await self.weights.read()
        if image is None or weights is None:
            return None  # Then its fingerprint is not known yet, and nothing was made for it.
        fingerprint = self._fingerprint(image, weights)
        live = await self._found(fingerprint)
        return live | {_LEFT: True} if live is not None and await self._is_left(fingerprint) else live

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Return the job that made it, where an `up` was ended before it took that away; else nothing."""
        removal = Change(path="job", before=f"{self.job}, which has ended", after="taken away")
        return (removal,) if live.get(_LEFT) else ()

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Take the job away that is left, and return the cache as it is."""
        await self._clear()
        return {key: value for key, value in live.items() if key != _LEFT}

    def unchanged_after_update(self, live: Json) -> Json:
        """Return the cache: what reads it does not wait for its job to go."""
        return live

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"startup cache in gs://{self.bucket}/caches, made by one run of the job {self.job}"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Run the job, and return what it left; where it left nothing, that starts go on without it."""
        fingerprint = self._fingerprint(outputs[self.image.id], outputs[self.weights.id])
        try:
            await while_it_spreads(lambda: self._run(fingerprint, outputs), outputs, self.needs)
            why = "the job ended well, and what it left is not whole"
        except (OperationFailed, QuotaExceeded, OutOfCapacity) as error:
            why = f"{error}{f'; {error.hint}' if error.hint else ''}"
        cache = await self._found(fingerprint)
        if cache is None:
            progress.note(f"no startup cache was made, and starts go on without one: {why}")
            return self._live(fingerprint, NONE, 0, 0)
        return cache

    async def _run(self, fingerprint: str, outputs: Outputs) -> None:
        """Run the job to its end and take it away; one that a run before this has begun for the same is waited for."""
        google = patient(self.google, outputs, self.needs)
        live = await self._job_for(fingerprint, google, outputs)
        newest = live.get("latestCreatedExecution") or {}
        if newest.get("completionTime") and newest.get("completionStatus") == _SUCCEEDED:
            await self._clear()
            return
        if not newest or newest.get("completionTime"):
            await self._begin(google, str(newest.get("name", "")))
        ended = await self._ended(str(newest.get("name", "")) if newest.get("completionTime") else "")
        why = await self._why(ended)
        await self._clear()
        if why is not None:
            raise why

    async def _job_for(self, fingerprint: str, google: Google, outputs: Outputs) -> Json:
        """Return the job of this fingerprint; that of another is ended and made again."""
        live = await self._job()
        if live is not None and live.get("labels", {}).get(LABEL) != self.name:
            raise NotManaged(
                f"a job called {self.job} is there, and homeport did not make it for {self.name}",
                hint="rename it, or set cloudrun.startup_cache to off",
            )
        if live is not None and live.get("annotations", {}).get(FINGERPRINT) != fingerprint:
            await self._clear()
            live = None
        if live is None:
            body: JsonObject = resolve(self.body(fingerprint), outputs, final=True)
            operation = await google.post("run", self._jobs, body, repeatable=True, jobId=self.job)
            await google.finish("run", operation, key=self.id)
            live = await self.google.get("run", self._path)
        return live

    async def _begin(self, google: Google, before: str) -> None:
        """Begin an execution; where the answer was lost the job tells whether there is one."""
        try:
            await google.post("run", f"{self._path}:run", {})
        except GoogleError as error:
            live = await self._job() if error.reason == ANSWER_LOST else None
            if live is None or (live.get("latestCreatedExecution") or {}).get("name", "") == before:
                raise

    async def _ended(self, before: str) -> Json:
        """Return the newest execution, other than `before`, once it has ended."""
        patience = self.timeout_s + _BEYOND_S
        wait = looks(f"the job {self.job}", patience, first=_FIRST_LOOK_S)
        while True:
            newest = (await self.google.get("run", self._path)).get("latestCreatedExecution") or {}
            if newest.get("completionTime") and newest.get("name") != before:
                return newest
            if not await wait.pause():
                raise OperationFailed(
                    f"the job {self.job} takes longer than {patience / 60:.0f} minutes",
                    hint="run the same command again to wait on",
                )

    async def _why(self, execution: Json) -> OperationFailed | None:
        """Return why an execution that has ended did not end well, in the script's words or Google's; None where it did."""
        if execution.get("completionStatus") == _SUCCEEDED:
            return None
        try:
            body = await self.google.get("run", f"{self._path}/executions/{execution['name']}")
        except HomeportError:
            body = {}
        google = [
            str(condition.get("message", ""))
            for condition in body.get("conditions", ())
            if condition.get("message")
        ]
        reason = await self._reason(execution) or next(iter(google), "")
        log = str(body.get("logUri", ""))
        return OperationFailed(
            f"the job {self.job} failed: {reason or execution.get('completionStatus', '')}",
            hint=f"its log: {log}" if log else "",
        )

    async def _reason(self, execution: Json) -> str:
        """Return why the script in the job gave up, in its own words; '' where it does not tell, or cannot be read."""
        query = f'resource.type="cloud_run_job" AND labels."run.googleapis.com/execution_name"="{execution.get("name", "")}"'
        return last_words(
            await last_lines(self.google, query, since=str(execution.get("createTime", ""))), SAYS
        )

    async def _clear(self) -> None:
        """Take the job away, with what may run of it."""
        try:
            operation = await self.google.delete("run", self._path)
        except (NotFound, ApiDisabled):
            return
        await self.google.finish("run", operation, key=self.id)

    async def _is_left(self, fingerprint: str) -> bool:
        """Tell whether the job that made the cache is still there; False also for those who may plan and read no jobs."""
        try:
            job = await self._job()
        except PermissionDenied:
            return False
        if job is None or job.get("labels", {}).get(LABEL) != self.name:
            return False
        newest = job.get("latestCreatedExecution") or {}
        return job.get("annotations", {}).get(FINGERPRINT) == fingerprint and "completionTime" in newest

    async def _job(self) -> Json | None:
        try:
            return await self.google.get("run", self._path)
        except NotFound:
            return None

    async def _found(self, fingerprint: str) -> Json | None:
        """Return what lies in the bucket for a fingerprint, where its manifest is one and its pack has the size that it says."""
        try:
            # In this order: an object's bytes that are not there are refused in words that nobody can tell apart.
            pack = await self.google.get("storage", self._object(fingerprint, PACK))
            await self.google.get("storage", self._object(fingerprint, MANIFEST))
            text = await self.google.content("storage", self._object(fingerprint, MANIFEST), alt="media")
        except (NotFound, ApiDisabled):
            return None
        try:
            manifest = json.loads(text)
            sizes = [int(file["size"]) for file in manifest["files"]]
            complete = manifest["fingerprint"] == fingerprint and sum(sizes) == int(pack["size"])
        except (ValueError, KeyError, TypeError):
            return None
        return self._live(fingerprint, digest(text), sum(sizes), len(sizes)) if complete else None

    def _live(self, fingerprint: str, manifest: str, size: int, files: int) -> JsonObject:
        return {"fingerprint": fingerprint, "manifest": manifest, "size": size, "files": files}

    def _fingerprint(self, image: Json, weights: Json) -> str:
        origin = replace(self.origin, image=str(image["digest"]), weights=str(weights["digest"]))
        return fingerprint(origin)

    @property
    def _jobs(self) -> str:
        return f"v2/projects/{self.google.project}/locations/{self.region}/jobs"

    @property
    def _path(self) -> str:
        return f"{self._jobs}/{self.job}"

    def _object(self, fingerprint: str, file: str) -> str:
        return f"storage/v1/b/{self.bucket}/o/{quote(f'caches/{fingerprint}/{file}', safe='')}"


__all__ = ["FINGERPRINT", "KIND", "NONE", "StartupCache"]
