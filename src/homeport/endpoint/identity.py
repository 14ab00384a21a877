"""Who calls a private endpoint, and what it says to those that it does not let in."""

from __future__ import annotations

from typing import Protocol

from homeport.secret import Secret

INVOKER = "roles/run.invoker"


class Identity(Protocol):
    """Makes ID tokens for one endpoint. Each method raises `NoCredentials` where no token can be made."""

    async def token(self) -> Secret:
        """Return a token that is good for some minutes at least, renewed by its maker."""

    async def renewed(self, stale: Secret) -> Secret:
        """Return another token than `stale`, which was not taken."""

    async def who(self) -> str:
        """Return the e-mail that the tokens are for; '' where it cannot be found out."""


def refused_as(status: int, who: str, *, through_iap: bool = False) -> str:
    """
    Return what to do about the refusal of `who`, whose token came with the request; '' for no refusal of
    that kind. With `through_iap` it was shown to Identity-Aware Proxy.
    """
    if through_iap and status == 401:
        return (
            f"Identity-Aware Proxy did not take what {who or 'the service account'} signed, nor a new one: is it for this address, and is "
            "this machine's clock right?"
        )
    if through_iap and status == 403:
        return (
            f"you are {who or 'a service account'}, whom Identity-Aware Proxy does not let in: [access] iap in homeport.toml names who may "
            f'come in, as in iap = ["serviceAccount:{who or "NAME@PROJECT.iam.gserviceaccount.com"}"], and `homeport up --on cloudrun` grants it'
        )
    you = who or "the logged-in user"
    member = (
        f"{'serviceAccount' if who.endswith('.gserviceaccount.com') else 'user'}:{who or 'YOU@EXAMPLE.COM'}"
    )
    if status == 401:
        return (
            f"the ID token of {you} was not taken, nor was a new one: is it for this service (its audience), "
            "and is this machine's clock right?"
        )
    if status == 403:
        return (
            f"you are {you}, who lacks {INVOKER} on the service: [access] callers in homeport.toml names who may "
            f'call it, as in callers = ["{member}"], and `homeport up --on cloudrun` grants it'
        )
    if status == 404:
        return (
            "so Cloud Run answers everyone outside an isolated service's network ([access] isolated in "
            "homeport.toml): ask from a machine within it; or there is no such service any more: see "
            "`homeport status --on cloudrun`"
        )
    return ""


def too_large() -> str:
    """Return what to do about a request that is larger than Cloud Run takes over HTTP/1."""
    from homeport.catalog.cloudrun import limits  # Late: endpoints on this machine have no such limits.

    most = limits().request_bytes
    return (
        f"Cloud Run takes at most {most // 2**20} MiB in one request: send smaller images, or fewer at once"
    )
