"""An image of somebody else's, by its digest: nothing is built, and what is not in the project yet is fetched by Google."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.google.registry import platform_digest
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs
from homeport.resources.google.image_resource import ImageResource
from homeport.resources.google.propagation import patient, while_it_spreads


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredImage(ImageResource):
    """
    The image that `path` has at `host` under a tag or a digest: through a remote repository of ours, or of Google's own.

    It is there as soon as its registry tells its digest. A tag that is moved upstream is another digest, and so a change
    of the service that a plan shows.
    """

    google: Google
    source: str
    """Its reference as its makers have it."""
    host: str
    """Of the registry, such as `europe-west4-docker.pkg.dev`."""
    path: str
    """`PROJECT/REPOSITORY/NAME`."""
    tag: str
    """The tag, or the digest, that is asked for."""
    through: str = ""
    """The id of our repository that fetches it; '' for one that Google has."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of its repository, where that is ours, and of what else must be there."""
        return self._needs(self.through)

    @property
    def reference(self) -> str:
        """Return the image's name without tag or digest."""
        return f"{self.host}/{self.path}"

    @property
    def tagged(self) -> str:
        """Return the reference that it is asked for by."""
        return f"{self.reference}{'@' if ':' in self.tag else ':'}{self.tag}"

    @property
    def manifest_path(self) -> str:
        """Return where its registry tells what it is."""
        return f"/v2/{self.path}/manifests/{self.tag}"

    async def read(self) -> Json | None:
        """Return its digest and the reference to deploy it by; None where its repository is not there yet."""
        return await self._read(self.google)

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"image {self.source}{f', through {self.through}' if self.through else ''}: no build"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Ask for it, which is when its repository fetches it. Raises `NotFound` where its makers have no such image."""
        google = patient(self.google, outputs, self.needs)

        async def described() -> Json:
            return self._live(await platform_digest(google, self.host, self.path, self.tag))

        try:
            return await while_it_spreads(described, outputs, self.needs)
        except NotFound as error:
            error.hint = f"is there an image {self.source}? cloudrun.image in homeport.toml names another one"
            raise

    async def _read(self, google: Google) -> Json | None:
        try:
            return self._live(await platform_digest(google, self.host, self.path, self.tag))
        except (NotFound, ApiDisabled):
            return None
