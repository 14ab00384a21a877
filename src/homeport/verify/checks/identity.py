"""Is the served model the pinned one?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from homeport.endpoint.refusals import refusal
from homeport.engines.registry import module
from homeport.json_types import Json
from homeport.verify.report import Finding, VerificationSubject, failed, passed

if TYPE_CHECKING:
    import httpx2

_MODELS = "/v1/models"


async def served_model(subject: VerificationSubject) -> Finding:
    """Check that the names are listed, the engine loaded what it was told to, and those files have not changed since."""
    async with subject.endpoint.client(timeout_s=30) as client:
        listed = await _fetch(client, _MODELS)
        loaded = await _loaded(subject, client, listed)
    names = [model["id"] for model in listed["data"]]
    evidence = {"models": names, "loaded": loaded, "weights_digest": subject.weights_digest}
    if subject.endpoint.model not in names:
        return failed(
            f"{subject.endpoint.model} is not among the models it lists: {', '.join(names)}", **evidence
        )
    if loaded is not None and loaded != subject.weights_path:
        return failed(f"the engine has loaded {loaded}, not {subject.weights_path}", **evidence)
    if subject.weights_unlike:
        return failed(subject.weights_unlike, **evidence)
    if not subject.weights_intact:
        return failed(
            "the weights have changed since they were checked: `homeport up` mends them", **evidence
        )
    trouble = await _ill_served(subject, names)
    if trouble:
        return failed(trouble, **evidence)
    digest = f", sha256 {subject.weights_digest[:12]}…" if subject.weights_digest else ""
    beside = f", with the adapters {', '.join(subject.adapters)}" if subject.adapters else ""
    return passed(f"{subject.endpoint.model}{digest}{beside}", **evidence)


async def _ill_served(subject: VerificationSubject, names: list[str]) -> str:
    """Return what is wrong with the adapters, each of which is listed and generates under its own name; '' for nothing."""
    missing = [name for name in subject.adapters if name not in names]
    if missing:
        return f"the adapters {', '.join(missing)} are not among the models it lists: {', '.join(names)}"
    for name in subject.adapters:
        completion = await replace(subject.endpoint, model=name).complete(
            "One, two,", max_tokens=1, temperature=0
        )
        if completion["usage"]["completion_tokens"] < 1:
            return f"the adapter {name} is listed, and generates nothing"
        if completion["model"] != name:
            return f"the adapter {name} was asked, and {completion['model']} answered"
    return ""


async def _loaded(
    subject: VerificationSubject, client: httpx2.AsyncClient, listed: Any
) -> str | None:  # Any: JSON
    """Return what the engine says that it has loaded; None where it does not tell."""
    identity = module(subject.engine).IDENTITY
    if identity is None:
        return None
    body = listed if identity.path == _MODELS else await _fetch(client, identity.path)
    return identity.loaded(body, subject.endpoint.model)


async def _fetch(client: httpx2.AsyncClient, path: str) -> Json:
    response = await client.get(path)
    if response.is_error:
        raise refusal(response.status_code, response.text)
    return response.json()
