"""A container image that Cloud Build builds: what it leaves behind is a digest under a tag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homeport.errors import ApiDisabled, HomeportError, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs, needs_of
from homeport.resources.google.build import Build
from homeport.resources.google.build_place import ANYWHERE, BuildPlace
from homeport.resources.google.image_resource import ImageResource
from homeport.resources.google.propagation import while_it_spreads


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerImage(ImageResource):
    """
    The image `package:tag` in a repository. The tag is made of the hash of all that goes into the build, so an
    image that is there need not be built again, and one whose inputs change is another image.
    """

    google: Google
    repository: str
    """Its id."""
    region: str
    tag: str
    build: Mapping[str, Any]  # Any: JSON, and Refs
    """The build, as Cloud Build takes it, without `images` and `tags`."""
    built_in: str = ""
    """The region of the build; '' for that of the repository."""
    place: BuildPlace = ANYWHERE

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of the repository, and of whatever the build refers to."""
        return self._needs(self.repository, *needs_of(self.build))

    @property
    def reference(self) -> str:
        """Return the image's name without tag or digest: `REGION-docker.pkg.dev/PROJECT/REPOSITORY/PACKAGE`."""
        return f"{self.region}-docker.pkg.dev/{self.google.project}/{self.repository}/{self.package}"

    @property
    def mark(self) -> str:
        """Return the tag of its build, by which one that is under way is found."""
        return f"homeport-{self.package}-{self.tag}"

    @property
    def build_region(self) -> str:
        """Return where it is built."""
        return self.built_in or self.region

    async def read(self) -> Json | None:
        """Return its digest and the reference to deploy it by; None where the tag is not there."""
        path = (
            f"v1/projects/{self.google.project}/locations/{self.region}/repositories/{self.repository}"
            f"/packages/{self.package}/tags/{self.tag}"
        )
        try:
            tag = await self.google.get("artifactregistry", path)
        except (NotFound, ApiDisabled):
            return None
        return self._live(str(tag["version"]).rpartition("/")[2])

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"image {self.package}:{self.tag}"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Build it, or wait for the build of it that is under way."""
        return await while_it_spreads(lambda: self._built(outputs, progress), outputs, self.needs)

    async def _built(self, outputs: Outputs, progress: Progress) -> Json:
        build = Build(
            google=self.google,
            region=self.build_region,
            place=self.place,
            note=progress.note,
            mark=self.mark,
            what=f"the build of {self.package}",
            body={**self.build, "images": [f"{self.reference}:{self.tag}"]},
            needs=self.needs,
        )
        await build.run(outputs)
        live = await self.read()
        if live is None:
            raise HomeportError(f"{self.summary({})} was built, and is not in its repository")
        return live
