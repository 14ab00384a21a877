"""Is the image there that is taken as others have it? Of one that a repository of ours fetches first, only that one can tell."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.errors import HomeportError, NotFound, PermissionDenied
from homeport.google import Google
from homeport.google.errors import LOGIN
from homeport.google.grants import role_for
from homeport.google.registry import pinned_image
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, ok, problem, warning
from homeport.targets.cloudrun.preflight.request import PreflightInput

_HINT = "cloudrun.image in homeport.toml names another one"
_READER = f"ask for {role_for('artifactregistry.repositories.downloadArtifacts')} on its repository"
_PLATFORM = "an image built on a machine with ARM wants `docker buildx build --platform linux/amd64`"


async def image(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether Google's registry has the image for Cloud Run's platform, and gives it to who deploys."""
    wanted = asked.image
    if wanted is None:
        return []
    subject = f"image/{wanted.path.rpartition('/')[2]}"
    try:
        found = await pinned_image(google, wanted.host, wanted.path, wanted.tag)
    except NotFound as error:
        return [problem(subject, f"{wanted.host} has no {wanted.path} at {wanted.tag}: {error}", _HINT)]
    except PermissionDenied as error:
        text = f"{wanted.host} does not give you {wanted.path} at {wanted.tag}, or has none: {error}"
        return [problem(subject, text, f"{_READER}; where nobody is logged in, {LOGIN}; or {_HINT}")]
    except HomeportError as error:
        if type(error) is not HomeportError:
            raise  # That it could not be read says nothing of the image.
        return [problem(subject, str(error), error.hint)]
    if not found.tells_platform:
        text = f"{wanted.host} has it at {wanted.tag}, and its manifest does not say for which platform: Cloud Run runs linux/amd64"
        return [warning(subject, text, _PLATFORM, digest=found.digest)]
    return [ok(subject, f"{wanted.host} has it at {wanted.tag}, for linux/amd64", digest=found.digest)]
