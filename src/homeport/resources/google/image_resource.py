"""What an image that is built and one that is mirrored have in common: a name, a repository, and a digest to deploy by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from homeport.google import Google
from homeport.json_types import Json
from homeport.resources.base import FixedResource


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResource(FixedResource):
    """An image under a tag, which is known by its digest once it is there."""

    google: Google
    package: str
    """The word that it is known by, such as `serving`."""
    after: tuple[str, ...] = ()
    """Ids of what else must be there."""

    kind: ClassVar[str] = "image"

    @property
    def id(self) -> str:
        """Return kind and name."""
        return f"image/{self.package}"

    @property
    def reference(self) -> str:
        """Return the image's name without tag or digest."""
        raise NotImplementedError

    def _needs(self, repository: str, *more: str) -> tuple[str, ...]:
        """Return the ids of its repository, '' for one that is not ours, and of what else must be there."""
        ours = (f"repository/{repository}",) if repository else ()
        return tuple(dict.fromkeys((*ours, *self.after, *more)))

    def _live(self, digest: str) -> Json:
        return {"digest": digest, "reference": f"{self.reference}@{digest}"}
