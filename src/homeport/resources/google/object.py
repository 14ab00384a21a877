"""A small object in a bucket, such as a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Change, Outputs
from homeport.resources.base import DependentResource


@dataclass(frozen=True, slots=True, kw_only=True)
class Object(DependentResource):
    """An object with a content of ours, written whole or not at all."""

    google: Google
    bucket: str
    name: str
    content: bytes

    kind = "object"

    @property
    def id(self) -> str:
        """Return kind and name."""
        return f"object/{self.bucket}/{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the id of its bucket."""
        return (f"bucket/{self.bucket}",)

    async def read(self) -> Json | None:
        """Return its content and generation; None where it is not there."""
        try:
            meta = await self.google.get("storage", self._path)
            content = await self.google.content("storage", self._path, alt="media")
        except (NotFound, ApiDisabled):
            return None
        return {"generation": meta["generation"], "content": content}

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Tell whether the content is another."""
        if live["content"] == self.content:
            return ()
        return (
            Change(
                path="content", before=f"{len(live['content'])} bytes", after=f"{len(self.content)} bytes"
            ),
        )

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"object {self.name}"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Write it, if there is none."""
        written = await self.google.upload(self.bucket, self.name, self.content, if_generation_match=0)
        return {"generation": written["generation"], "content": self.content}

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Write it over the one that was read."""
        written = await self.google.upload(
            self.bucket, self.name, self.content, if_generation_match=int(live["generation"])
        )
        return {"generation": written["generation"], "content": self.content}

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Remove it."""
        try:
            await self.google.delete("storage", self._path)
        except (NotFound, ApiDisabled):
            return ()
        return (self.summary({}),)

    @property
    def _path(self) -> str:
        return f"storage/v1/b/{self.bucket}/o/{quote(self.name, safe='')}"
