"""Does the agent beside the model answer a question that it needs a tool for?"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from homeport.endpoint import Endpoint
from homeport.errors import HomeportError, NotFound
from homeport.json_types import Json
from homeport.resources.google.service import ServiceRole
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.verification.checks import AGENT
from homeport.targets.cloudrun.verification.revision import Verifier, endpoint_of
from homeport.verify import Finding, Report
from homeport.verify.check import Check
from homeport.verify.report import failed, passed, skipped

_TOOL = "calculate"
_LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachedAgent:
    """The agent as it is asked: where it is, or why it is not."""

    endpoint: Endpoint | None
    why_none: str = ""
    calculates: bool = True
    """Whether the file gives it the calculator."""


async def and_agent(report: Report, verifier: Verifier, target: CloudRunTarget) -> Report:
    """Return the report with the agent's answer as its last result, where the file has an agent, in the first region, and it was asked for."""
    if target.spec.agent is None or target.names.further or (verifier.only and AGENT not in verifier.only):
        return report
    check = Check(AGENT, "the agent answers with a tool", answers, _LONGEST_S)
    result = await check.looked(await _find_agent(verifier, target))
    if verifier.on_result is not None:
        verifier.on_result(result)
    return replace(report, results=(*report.results, result), seconds=report.seconds + result.seconds)


async def answers(agent: ReachedAgent) -> Finding:
    """Check that it calls the calculator with numbers drawn at random, and says what comes out."""
    if agent.endpoint is None:
        return failed(agent.why_none)
    if not agent.calculates:
        return skipped("not checked: `tools` of [agent] has no calculator")
    left, right = (10_000 + secrets.randbelow(90_000) for _ in range(2))
    question = f"What is {left} * {right}? Use the calculator, and answer with the number."
    try:
        text, called = await _ask(agent.endpoint, question)
    except HomeportError as error:
        return failed(f"asked {question!r}: {error}", question=question)
    evidence: Mapping[str, Json] = {"question": question, "answer": text[:200], "called": called}
    if not called:
        return failed(f"it answered {text[:80]!r}, and called no {_TOOL}", **evidence)
    if str(left * right) not in re.sub(r"[\s,._']", "", text):
        return failed(f"it called {_TOOL}, and answered {text[:80]!r}, without {left * right}", **evidence)
    return passed(f"{left} * {right} = {left * right}, by {_TOOL}", **evidence)


async def _ask(endpoint: Endpoint, question: str) -> tuple[str, bool]:
    """Return the answer, and whether the calculator was called for it."""
    text, thought = "", ""
    async with (
        endpoint.client(timeout_s=_LONGEST_S) as client,
        client.stream(
            "POST",
            "/v1/chat/completions",
            json={
                "model": endpoint.model,
                "messages": [{"role": "user", "content": question}],
                "stream": True,
            },
        ) as response,
    ):
        if response.status_code != 200:
            body = (await response.aread()).decode(errors="replace")
            raise HomeportError(f"it answers {response.status_code}: {body[:200]}")
        async for line in response.aiter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            event = json.loads(line.removeprefix("data: "))
            if "error" in event:
                raise HomeportError(str(event["error"]["message"]))
            for choice in event["choices"]:
                text += choice["delta"].get("content") or ""
                thought += choice["delta"].get("reasoning_content") or ""
    return text, f"{_TOOL}(" in thought


async def _find_agent(verifier: Verifier, target: CloudRunTarget) -> ReachedAgent:
    names, agent = target.names, target.spec.agent
    assert agent is not None
    own = names.companion(ServiceRole.AGENT)
    try:
        service = await verifier.google.get("run", f"v2/{names.full(own)}")
    except NotFound:
        return ReachedAgent(
            endpoint=None, why_none=f"{own} is not deployed; `homeport up --on cloudrun` deploys it"
        )
    endpoint = endpoint_of(verifier.google, service, own, via=verifier.via)
    return ReachedAgent(endpoint=endpoint, calculates="calculator" in agent.tools)
