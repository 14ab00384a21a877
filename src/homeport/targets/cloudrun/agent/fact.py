"""What a plan tells of the agent beside the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from homeport.fit.cold_start import ColdStart
from homeport.reconcile.fact import Fact
from homeport.spec import Agent


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFact(Fact):
    """The agent beside the model: its tools, its image, and what its first request waits for."""

    key: ClassVar[str] = "agent"
    label: ClassVar[str] = "agent"
    tools: tuple[str, ...]
    mcp: tuple[str, ...]
    allow: tuple[str, ...]
    """Tools that are run unasked for everyone who may call the agent, although they may change something."""
    max_steps: int
    max_tool_calls: int
    max_total_tokens: int
    max_seconds: int
    """The bounds of one request."""
    image: str
    """The base that homeport's own wheel is installed on."""
    wheel_sha256: str
    model_start_likely_s: float
    """Of the model, from zero; the agent's own start on Cloud Run was not measured."""
    model_start: str
    model_url: str = ""
    """The address of the load balancer at which it asks for its model; '' for the service's own."""
    registry: str = ""
    """The Agent Registry that its card stands in, as Google names the place; '' where it is in none."""

    @classmethod
    def of(
        cls,
        agent: Agent,
        image: str,
        wheel_sha256: str,
        start: ColdStart,
        registry: str,
        *,
        model_url: str = "",
    ) -> AgentFact:
        """Return it, where the model starts from zero as `start` says."""
        return cls(
            tools=agent.tools,
            mcp=agent.mcp,
            allow=agent.allow,
            max_steps=agent.max_steps,
            max_tool_calls=agent.max_tool_calls,
            max_total_tokens=agent.max_total_tokens,
            max_seconds=agent.max_seconds,
            model_url=model_url,
            registry=registry,
            image=image,
            wheel_sha256=wheel_sha256,
            model_start_likely_s=round(start.likely, 1),
            model_start=f"{start.text}, {start.source}",
        )

    @property
    def text(self) -> str:
        pinned = "" if "@" in self.image else " (by its tag: its digest is not known)"
        return (
            f"tools {', '.join((*self.tools, *self.mcp)) or 'none'}{self._unasked}; a request at most {self.max_steps} answers of the "
            f"model, {self.max_tool_calls} calls of tools, {self.max_total_tokens:,} tokens, {self.max_seconds} s; on {self.image}{pinned}, with homeport's wheel "
            f"{self.wheel_sha256[:12]}; from zero the first request waits for two starts: its own (not measured on "
            f"Cloud Run), then the model's, {self.model_start}{self._asks}{self._found}"
        )

    @property
    def _unasked(self) -> str:
        return (
            f", of which whoever may call it has run unasked: {', '.join(self.allow)}" if self.allow else ""
        )

    @property
    def _asks(self) -> str:
        return (
            f"; it asks for the model at {self.model_url}, through the load balancer"
            if self.model_url
            else ""
        )

    @property
    def _found(self) -> str:
        if not self.registry:
            return ""
        return (
            f"; its card (name, model, its own tools, address) stands in the Agent Registry of {self.registry}, for whoever "
            "may search that (roles/agentregistry.viewer) to find: they may call it no more than before"
        )
