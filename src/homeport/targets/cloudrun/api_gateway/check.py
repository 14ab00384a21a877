"""Does the gateway answer to each client's key, and to nothing else?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from secrets import token_hex

from homeport.endpoint import Endpoint
from homeport.errors import HomeportError, NetworkError
from homeport.targets.cloudrun.agent.check import and_agent
from homeport.targets.cloudrun.api_gateway.proof import REFUSED, client_endpoint, status_with
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.verification.checks import CLIENTS
from homeport.targets.cloudrun.verification.revision import Verifier
from homeport.verify import Finding, Report
from homeport.verify.check import Check
from homeport.verify.report import failed, passed

_LONGEST_S = 900.0
_LIMITED = 429
_FEWEST = 2
"""A streamed answer has a piece with its text and one with why it ended."""
_MADE_UP = "AIzaSy"
"""How Google's keys begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachedGateway:
    """The gateway as its clients have it, or why it is not there."""

    endpoints: dict[str, Endpoint]
    """By client."""
    via: str = ""
    why_none: str = ""


async def and_more(report: Report, verifier: Verifier, endpoint: Endpoint, target: CloudRunTarget) -> Report:
    """Return the report with the results of what is beside the model's service: an agent, and a gateway before it."""
    report = await and_agent(report, verifier, target)
    if target.api_gateway is None or (verifier.only and CLIENTS not in verifier.only):
        return report
    check = Check(CLIENTS, "the gateway answers to clients' keys alone", answers_to_keys, _LONGEST_S)
    result = await check.looked(await _find(verifier, endpoint, target))
    if verifier.on_result is not None:
        verifier.on_result(result)
    return replace(report, results=(*report.results, result), seconds=report.seconds + result.seconds)


async def answers_to_keys(gateway: ReachedGateway) -> Finding:
    """Check that no key and a made-up one are refused, that each client's key is taken, and that an answer comes in pieces."""
    if gateway.why_none:
        return failed(gateway.why_none)
    first, *others = gateway.endpoints.items()
    address = first[1].root_url
    for called, key in (("no key", ""), ("a made-up key", f"{_MADE_UP}{token_hex(16)}x")):
        status = await status_with(address, "/v1/models", key, via=gateway.via)
        if status not in REFUSED:
            return failed(f"it says {status} to {called}, and should refuse it", status=status)
    try:
        pieces = await _pieces(first[1])
    except HomeportError as error:
        return failed(f"the key of {first[0]} gets no answer: {error}")
    for client, endpoint in others:
        status = await status_with(
            address, "/v1/models", next(iter(endpoint.headers.values())), via=gateway.via
        )
        if status == _LIMITED:
            return failed(
                f"it says 429 to the key of {client}: requests_per_minute is used up; verify again in a minute"
            )
        if status != 200:
            return failed(f"it says {status} to the key of {client}", status=status)
    taken = ", ".join(gateway.endpoints)
    return passed(
        f"{address} answers to the keys of {taken}, in {_counted(pieces)}, and refuses no key and a made-up one",
        pieces=pieces,
    )


async def _pieces(endpoint: Endpoint) -> int:
    """
    Return in how many pieces a streamed answer came; 1 for vectors.

    Whether they came one after another is not looked at: a few tokens of a fast engine come at once, too, and so do those that a screen has held back. Raises what the endpoint raises, and `NetworkError` for too few.
    """
    if endpoint.task == "embed":
        await endpoint.embed(["hello"])
        return 1
    question = [{"role": "user", "content": "Count from one to five."}]
    # What tells of usage alone is no piece of an answer.
    pieces = len([one async for one in endpoint.stream(question, max_tokens=16) if one.get("choices")])
    if pieces < _FEWEST:
        raise NetworkError(
            f"its stream holds {_counted(pieces)} of one, and at least {_FEWEST} were expected"
        )
    return pieces


def _counted(pieces: int) -> str:
    return "1 piece" if pieces == 1 else f"{pieces} pieces"


async def _find(verifier: Verifier, endpoint: Endpoint, target: CloudRunTarget) -> ReachedGateway:
    gateway = target.api_gateway
    assert gateway is not None
    try:
        endpoints = {
            client: await client_endpoint(endpoint, gateway, client) for client in gateway.edge.clients
        }
    except HomeportError as error:
        return ReachedGateway(endpoints={}, why_none=str(error))
    return ReachedGateway(endpoints=endpoints, via=verifier.via)


__all__ = ["and_more", "answers_to_keys"]
