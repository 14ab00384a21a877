"""Is the image there that is taken as others have it? Of one that a repository of ours fetches first, only that one can tell."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.errors import HomeportError, NotFound, PermissionDenied
from homeport.google import Google
from homeport.google.registry import platform_digest
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, ok, problem
from homeport.targets.cloudrun.preflight.request import PreflightInput

_HINT = "cloudrun.image in homeport.toml names another one"


async def image(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether Google's registry has the image for Cloud Run's platform, and gives it to who deploys."""
    wanted = asked.image
    if wanted is None:
        return []
    subject = f"image/{wanted.path.rpartition('/')[2]}"
    try:
        digest = await platform_digest(google, wanted.host, wanted.path, wanted.tag)
    except NotFound as error:
        return [problem(subject, f"{wanted.host} has no {wanted.path} at {wanted.tag}: {error}", _HINT)]
    except PermissionDenied as error:
        text = f"{wanted.host} does not give you {wanted.path} at {wanted.tag}, or has none: {error}"
        return [problem(subject, text, f"gcloud auth login, or {_HINT}")]
    except HomeportError as error:
        if type(error) is not HomeportError:
            raise  # That it could not be read says nothing of the image.
        return [problem(subject, str(error), error.hint)]
    return [ok(subject, f"{wanted.host} has it at {wanted.tag}, for linux/amd64", digest=digest)]
