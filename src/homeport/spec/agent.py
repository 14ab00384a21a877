"""`[agent]`: an agent beside the model on Cloud Run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from homeport import patterns
from homeport.addresses import shown
from homeport.spec.table import SpecTable


class Agent(SpecTable):
    """An agent beside the model on Cloud Run, a service of its own: the model chooses tools, and it answers over HTTP."""

    instructions: str | None = Field(default=None, min_length=1, examples=["Answer briefly."])
    """What it is told before each question, instead of homeport's own words."""
    tools: tuple[Literal["time", "calculator"], ...] = ("time", "calculator")
    """Which of homeport's own tools it has."""
    mcp: tuple[Annotated[str, Field(pattern=patterns.HTTPS_URL)], ...] = Field(
        default=(), examples=[["https://tools.example.com/mcp"]]
    )
    """Addresses of MCP servers. Each of their tools is refused unless `allow` names it."""
    mcp_secrets: dict[str, Annotated[str, Field(pattern=patterns.SECRET_ID)]] = Field(
        default={}, examples=[{"https://tools.example.com/mcp": "tools-token"}]
    )
    """By the addresses of those that want a token: secrets of Secret Manager, in the same project, whose newest version holds it."""
    allow: tuple[Annotated[str, Field(pattern=patterns.TOOL)], ...] = Field(default=(), examples=[["search"]])
    """Tools that may change something and are run all the same, for everyone who may call the agent."""
    max_steps: int = Field(default=12, ge=1, le=1000)
    """Answers of the model, for one request."""
    max_tool_calls: int = Field(default=24, ge=0, le=1000)
    """Calls of tools, for one request."""
    max_total_tokens: int = Field(default=60_000, ge=1)
    """Of all answers to one request, prompts included."""
    max_seconds: int = Field(default=300, ge=1, le=3000)
    """From question to answer, without the time that the model takes to start."""
    max_tokens: int = Field(default=2048, ge=1)
    """Of one answer of the model."""
    max_instances: int = Field(default=1, ge=1, le=100)
    """The most instances at once. Without requests there is none."""
    registry: bool = False
    """Whether its card stands in the project's Agent Registry, for whoever may search that to find. It lets nobody call it."""

    @field_validator("tools", "mcp", "allow", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _secrets_of_servers(self) -> Agent:
        for url in self.mcp_secrets:
            if url not in self.mcp:
                raise ValueError(
                    f"mcp_secrets has a token for {shown(url)}, which mcp does not name; write it there as well, letter by letter"
                )
        return self
