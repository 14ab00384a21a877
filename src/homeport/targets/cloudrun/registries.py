"""Names of images, and what they are called where Artifact Registry fetches them once and keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.resources.google.repository import DOCKER_HUB
from homeport.targets.cloudrun.names import Names

_GOOGLES = (".pkg.dev", "gcr.io")
_ALSO_DOCKER_HUB = frozenset({"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """The name of an image in its parts."""

    host: str
    """Of its registry; Docker Hub's where it names none."""
    path: str
    """With the `library/` that Docker leaves out."""
    tag: str
    """`latest` where it has neither tag nor digest."""
    digest: str

    @property
    def is_googles(self) -> bool:
        """Tell whether Google has it, so that nothing need be fetched from elsewhere."""
        return self.host.endswith(_GOOGLES)

    @property
    def pinned(self) -> str:
        """Return its digest, or its tag where it names none."""
        return self.digest or self.tag

    @property
    def suffix(self) -> str:
        """Return tag and digest, as they stand behind a name."""
        return f"{f':{self.tag}' if self.tag else ''}{f'@{self.digest}' if self.digest else ''}"


def parse(reference: str) -> ImageReference:
    """Return the parts of a reference, by Docker's rules."""
    name, _, digest = reference.partition("@")
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    first, _, rest = f"{head}{slash}{last}".partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        host, path = first, rest
    else:
        host, path = DOCKER_HUB, f"{head}{slash}{last}"
    if host in _ALSO_DOCKER_HUB:
        host = DOCKER_HUB
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return ImageReference(host=host, path=path, tag=tag or ("" if digest else "latest"), digest=digest)


def cached(names: Names, reference: str) -> str:
    """Return the reference by which the endpoint's own repository fetches and keeps an image; Google's stay as they are."""
    image = parse(reference)
    if image.is_googles:
        return reference
    place = f"{names.region}-docker.pkg.dev/{names.project}/{names.registry(image.host)}"
    return f"{place}/{image.path}{image.suffix}"
