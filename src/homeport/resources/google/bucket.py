"""A bucket: private, in one region, its access told by grants alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from homeport.errors import NotFound
from homeport.google import Google
from homeport.progress import Progress
from homeport.reconcile.diff import Rules
from homeport.resources.google.rest import LABEL, Address, RestResource


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket(RestResource):
    """A bucket. Deleting it deletes the objects in it."""

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it with all that lies in it, earlier generations included: somebody may have switched versioning on."""
        path = f"{self.address.path}/o"
        try:
            objects = [
                (str(stored["name"]), str(stored["generation"]))
                async for stored in self.google.pages("storage", path, "items", versions=True)
            ]
        except NotFound:
            return ()
        await asyncio.gather(*(self._remove(name, generation) for name, generation in objects))
        gone = await RestResource.delete(self, progress)
        names = {name for name, _ in objects}
        return tuple(f"{thing} with {len(names)} objects" if names else thing for thing in gone)

    async def _remove(self, name: str, generation: str) -> None:
        from urllib.parse import quote

        path = f"{self.address.path}/o/{quote(name, safe='')}"
        try:
            await self.google.delete("storage", path, generation=generation)
        except NotFound:
            return


def bucket(
    google: Google, name: str, bucket_name: str, region: str, *, labels: Mapping[str, str] | None = None
) -> Bucket:
    """Return the bucket `bucket_name` of the endpoint `name`, in `region`."""
    return Bucket(
        google=google,
        name=name,
        id=f"bucket/{bucket_name}",
        kind="bucket",
        address=Address(
            api="storage",
            path=f"storage/v1/b/{bucket_name}",
            made_at="storage/v1/b",
            query={"project": google.project},
        ),
        wanted={
            "name": bucket_name,
            "location": region.upper(),
            "labels": {LABEL: name, **(labels or {})},
            "iamConfiguration": {
                "uniformBucketLevelAccess": {"enabled": True},
                "publicAccessPrevention": "enforced",
            },
            "softDeletePolicy": {"retentionDurationSeconds": "0"},
        },
        rules=Rules(immutable=frozenset(("name", "location"))),
        change="merge",
    )
