"""What a hub refuses, in homeport's errors and with the hub's own sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from homeport.errors import GatedModel, HomeportError, NetworkError, StateError, UnknownModel, WeightsError
from homeport.weights.download import Unexpected

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_LONGEST = 400
"""Characters of a sentence of the hub's; more is a page."""


@contextlib.contextmanager
def explained(repo: str, source: str, revision: str | None) -> Iterator[None]:
    """Turn what the hub's library and its servers say of `repo` into homeport's errors."""
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{repo}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise _with(_gated(repo, page), message_of(error)) from error
    except errors.RepositoryNotFoundError as error:
        raise _with(_unknown(repo, page), message_of(error)) from error
    except errors.HFValidationError as error:
        raise _unknown(repo, page) from error
    except errors.RevisionNotFoundError as error:
        missing = WeightsError(
            f"{repo} has no revision {revision or 'main'}",
            hint="name a branch, a tag or a commit that its page lists, or leave it out for the newest",
            url=page,
        )
        raise _with(missing, message_of(error)) from error
    except errors.OfflineModeIsEnabled as error:
        raise offline(source) from error
    except errors.HfHubHTTPError as error:
        raise _refused(repo, source, error.response.status_code, message_of(error)) from error
    except Unexpected as error:
        raise _refused(repo, source, error.status, _sentence(error.said)) from error
    except OSError as error:
        raise StateError(f"the hub's token or cache cannot be read: {error}", hint="check HF_HOME") from error
    except (ValueError, KeyError, TypeError) as error:
        raise NetworkError(
            f"{constants.ENDPOINT} answers, but not as a hub does: {error!r}",
            hint="check HF_ENDPOINT and HTTPS_PROXY",
        ) from error


def message_of(error: HfHubHTTPError) -> str:
    """Return the hub's own sentence, as one line; '' where it gave none."""
    return _sentence(error.server_message or "")


def offline(source: str) -> NetworkError:
    """Return the error of a source that is not in the cache while nobody may be asked."""
    return NetworkError(
        f"{source} is not whole in the hub's cache, and HF_HUB_OFFLINE is set", hint="unset HF_HUB_OFFLINE"
    )


def _sentence(text: str) -> str:
    line = " ".join(text.split())[:_LONGEST]
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _with(error: HomeportError, sentence: str) -> HomeportError:
    if sentence:
        error.args = (f"{error}; the hub says: {sentence}",)
    return error


def _gated(repo: str, page: str) -> GatedModel:
    return GatedModel(
        f"the hub gives {repo} only to those who have accepted its licence",
        hint=f"accept it on {page}, then run `hf auth login` or set HF_TOKEN to a token that may read it",
        url=page,
    )


def _unknown(repo: str, page: str) -> UnknownModel:
    from huggingface_hub import constants

    return UnknownModel(
        f"the hub {constants.ENDPOINT} shows no model {repo}",
        hint="check the name; for a private one set HF_TOKEN or run `hf auth login`",
        url=page,
    )


def _refused(repo: str, source: str, status: int, sentence: str) -> HomeportError:
    from huggingface_hub import constants

    page = f"{constants.ENDPOINT}/{repo}"
    if status in {401, 403} and "token" in sentence.lower():
        return GatedModel(
            f"the hub refuses {repo} to this token (HTTP {status}); the hub says: {sentence}",
            hint=f"change what the token may do on {constants.ENDPOINT}/settings/tokens, or set HF_TOKEN to another",
            url=page,
        )
    if status == 401 and "credentials" in sentence.lower():
        return GatedModel(
            f"the hub does not know this token (HTTP 401), so it refuses {repo}; the hub says: {sentence}",
            hint="set HF_TOKEN to one that it gave, or run `hf auth login`; an open model needs none: unset HF_TOKEN, or run `hf auth logout`",
            url=page,
        )
    if status in {401, 403}:
        refused = GatedModel(
            f"the hub refuses {repo} (HTTP {status}): it is gated or private, the token is not good, or it is not there",
            hint=f"see {page} and accept its licence there; then run `hf auth login` or set HF_TOKEN to a token that may read it",
            url=page,
        )
        return _with(refused, sentence)
    if status == 429 or status >= 500:
        busy = NetworkError(f"the hub is busy or broken (HTTP {status})", hint="try again in a few minutes")
        return _with(busy, sentence)
    return _with(WeightsError(f"the hub refuses {source} (HTTP {status})", url=page), sentence)
