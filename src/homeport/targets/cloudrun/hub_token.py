"""The hub's token: whether one is needed, and where it comes from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace

from homeport.errors import PermissionDenied
from homeport.google import Google
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.secret import SecretVersion
from homeport.secret import Secret, judged
from homeport.targets.cloudrun.preflight import GatedFile
from homeport.targets.cloudrun.preflight.finding import PreflightVerdict
from homeport.targets.cloudrun.preflight.hub_access import TOO_MANY, opened

VARIABLE = "HF_TOKEN"
EXAMPLE = "hf_…  # a token that may read the model, of https://huggingface.co/settings/tokens"
"""What stands for a token in a hint."""
Ask = Callable[[str], "Secret | None"]
"""Asks a person for the token of a page, without showing it; None where nobody answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubToken:
    """A token, and where it was found."""

    value: Secret
    source: str
    """In words, for a plan."""


async def gates(weights: Iterable[StoredWeights], *, stored_too: bool = False) -> tuple[GatedFile, ...]:
    """
    Return one file of each of the hub's weights that are not in the bucket yet, of all of them with `stored_too`.

    These are the files of which the hub must be asked whether they may be fetched.
    """
    hub = [stored for stored in weights if stored.pin.source.startswith("hf:")]
    states = [None for _ in hub] if stored_too else await asyncio.gather(*(stored.read() for stored in hub))
    return tuple(_gate(stored) for stored, live in zip(hub, states, strict=True) if live is None)


async def find(
    google: Google, secret_id: str, closed: tuple[GatedFile, ...], *, env: str = "", ask: Ask | None = None
) -> HubToken | None:
    """
    Return the first token with which the hub gives what it does not give to everybody: the one that is kept
    already, that of the environment, one that a person types. None where none is needed, or there is none.

    One that the hub does not take is returned all the same where no other is: preflight says what is wrong with it.
    """
    if await _open(closed, None):
        return None
    last = None
    async for last in offered(google, secret_id, closed[0].page, env=env, ask=ask):
        if await _open(closed, last.value):
            return last
    return last


async def offered(
    google: Google, secret_id: str, page: str, *, env: str = "", ask: Ask | None = None
) -> AsyncIterator[HubToken]:
    """Return the tokens that there are, one after the other; a person is asked for the one of `page` at the end."""
    try:
        stored = await SecretVersion(google=google, secret_id=secret_id, value=Secret("")).read()
    except PermissionDenied:
        stored = None  # A user who may only add versions is not kept from it.
    if stored is not None:
        version = stored["name"].rpartition("/")[2]
        value = judged(
            stored["value"].compared(),
            called=f"version {version} of the secret {secret_id}",
            hint="give another one: --hub-token-stdin",
        )
        yield HubToken(value=value, source=f"version {version} that is kept")
    if env.strip():
        value = judged(env, called=f"the variable {VARIABLE}", hint=f"export {VARIABLE}=… again, on one line")
        yield HubToken(value=value, source=f"the environment ({VARIABLE})")
    typed = ask(page) if ask is not None else None
    if typed is not None:
        yield HubToken(value=typed, source="typed")


async def _open(closed: tuple[GatedFile, ...], token: Secret | None) -> bool:
    """
    Return True if the hub refuses none of them; one that does not answer refuses nothing.

    That it has had too many requests tells nothing of a gate: a token has a limit of its own, and is tried.
    """
    findings = await asyncio.gather(*(opened(replace(gate, token=token)) for gate in closed))
    return all(
        finding.verdict is not PreflightVerdict.PROBLEM
        and (token is not None or finding.data.get("status") != TOO_MANY)
        for finding in findings
    )


def _gate(stored: StoredWeights) -> GatedFile:
    from huggingface_hub import constants

    pin = stored.pin
    # The hub shows small files of some gated repositories to everybody; those in LFS are the weights.
    file = next((file for file in pin.files if file.sha256), pin.files[0])
    repo = pin.source.removeprefix("hf:").partition("@")[0].partition(":")[0]
    return GatedFile(
        endpoint=constants.ENDPOINT.rstrip("/"), repo=repo, revision=pin.revision, file=file.path
    )
