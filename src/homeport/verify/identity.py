"""Is the served model the pinned one?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from homeport.endpoint import refusal
from homeport.verify.report import Finding, Subject, failed, passed, skipped

if TYPE_CHECKING:
    import httpx2


async def served_model(subject: Subject) -> Finding:
    """The name is listed, the engine loaded what it was told to, and those files have not changed since."""
    async with subject.endpoint.client(timeout_s=30) as client:
        listed = await _shown(client, "/v1/models")
        loaded = await _loaded(subject, client, listed)
    names = [model["id"] for model in listed["data"]]
    evidence = {"models": names, "loaded": loaded, "weights_digest": subject.weights_digest}
    if subject.endpoint.model not in names:
        return failed(
            f"{subject.endpoint.model} is not among the models it lists: {', '.join(names)}", **evidence
        )
    if loaded is not None and loaded != subject.weights_path:
        return failed(f"the engine has loaded {loaded}, not {subject.weights_path}", **evidence)
    if not subject.weights_intact:
        return failed(
            "the weights on disk have changed since they were checked: `homeport up` mends them", **evidence
        )
    digest = f", sha256 {subject.weights_digest[:12]}…" if subject.weights_digest else ""
    return passed(f"{subject.endpoint.model}{digest}", **evidence)


async def adapters(subject: Subject) -> Finding:
    """Each adapter's name is listed, and a request for it gets an answer from it."""
    if not subject.adapters:
        return skipped("there are no adapters")
    async with subject.endpoint.client(timeout_s=30) as client:
        names = [model["id"] for model in (await _shown(client, "/v1/models"))["data"]]
    missing = [name for name in subject.adapters if name not in names]
    if missing:
        return failed(f"not among the models that it lists: {', '.join(missing)}", models=names)
    answers = {}
    for name in subject.adapters:
        came = await replace(subject.endpoint, model=name).complete("One, two,", max_tokens=1, temperature=0)
        answers[name] = came["choices"][0]["text"]
        if came["usage"]["completion_tokens"] < 1:
            return failed(f"{name} is listed, and generates nothing", models=names, answers=answers)
        if came["model"] != name:
            return failed(f"{name} was asked, and {came['model']} answered", models=names, answers=answers)
    return passed(", ".join(subject.adapters), models=names, answers=answers)


async def _loaded(subject: Subject, client: httpx2.AsyncClient, listed: Any) -> str | None:  # Any: JSON
    """What the engine says that it has loaded; None where it does not tell."""
    if subject.engine == "llamacpp":
        return str((await _shown(client, "/props"))["model_path"])
    if subject.engine == "vllm":
        roots = [model.get("root") for model in listed["data"] if model["id"] == subject.endpoint.model]
        return str(roots[0]) if roots else None
    return None


async def _shown(client: httpx2.AsyncClient, path: str) -> Any:  # Any: JSON
    response = await client.get(path)
    if response.is_error:
        raise refusal(response.status_code, response.text)
    return response.json()
