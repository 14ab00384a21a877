"""An agent that is served, and one request to it: a run of its own, with a budget and a transcript of its own."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.agents import mcp_servers
from homeport.agents.budget import Budget
from homeport.agents.equipped import equipped
from homeport.agents.loop import AgentResult, AgentSetup, answer
from homeport.agents.transcript import Event, Transcript, name_of_new
from homeport.errors import AgentStopped, HomeportError
from homeport.secret import Secret

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage


_MOST_AT_ONCE = 16
"""Runs: each begins the MCP servers for itself, and those over stdio are processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedAgent:
    """What is served: an agent, and who may ask it."""

    name: str
    """The model that clients ask for, and the agent's name on its card."""
    setup: AgentSetup
    """Without the tools of MCP servers, which each run opens for itself: one that dies ends one run."""
    mcp: Sequence[str | mcp_servers.McpServer] = ()
    key: Secret | None
    """What clients must show; None where something before it already keeps others out, as Cloud Run does."""
    transcripts: Path | None = None
    """Where transcripts are kept; None where none are."""
    ready: Callable[[], Awaitable[None]] | None = None
    """Waits until the model answers, before a run begins: a start from zero is no part of its budget."""
    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_AT_ONCE))
    """Lets in so many runs at once; the others wait, and no time of theirs passes."""
    tell: Callable[[str], None] = field(default=lambda _: None)
    """Is given a line about each run. None of what was said is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentQuestion:
    """What a request asks."""

    text: str
    history: Sequence[ModelMessage] = ()
    instructions: str = ""
    """Stand behind the agent's own."""
    max_tokens: int | None = None
    """Of one answer of the model, where that is less than the agent's budget."""
    temperature: float | None = None

    def own_settings(self, budget: Budget) -> tuple[str, ...]:
        """Return the names of what the model is told as the client said it: not a bound that `budget` makes smaller."""
        said = {
            "max_tokens": self.max_tokens is not None and self.max_tokens < budget.max_tokens,
            "temperature": self.temperature is not None,
        }
        return tuple(name for name, own in said.items() if own)


async def run(agent: ServedAgent, question: AgentQuestion, listener: Callable[[Event], None]) -> AgentResult:
    """Return what the agent answers; `listener` hears each event. Raises what `homeport.agents.loop.answer` raises."""
    budget = agent.setup.budget
    if question.max_tokens is not None:
        budget = replace(budget, max_tokens=min(budget.max_tokens, question.max_tokens))
    own, temperature = agent.setup, question.temperature
    if agent.ready is not None:
        await agent.ready()
    own = replace(
        own,
        budget=budget,
        instructions="\n\n".join(filter(None, (own.instructions, question.instructions))),
        temperature=own.temperature if temperature is None else temperature,
    )
    async with agent.at_once, _open_transcript(agent, listener) as transcript:
        outcome = "failed: of what nobody foresaw"
        try:
            async with equipped(own, agent.mcp, transcript, question=question.text) as setup:
                result = await answer(question.text, setup, transcript, history=question.history)
            cut = " with an answer that was cut off at its bound" if result.cut else ""
            outcome = f"answered{cut} after {result.spent.in_words()}, {result.spent.tokens} tokens, {result.spent.seconds:.1f} s"
        except HomeportError as error:
            outcome = f"{'stopped' if isinstance(error, AgentStopped) else 'failed'}: {error}"
            raise
        except asyncio.CancelledError:
            outcome = "interrupted: the client left, or the service ends"
            raise
        else:
            return result
        finally:
            where = f"; transcript {transcript.path.name}" if agent.transcripts is not None else ""
            agent.tell(f"{outcome}{where}")


@asynccontextmanager
async def _open_transcript(
    agent: ServedAgent, listener: Callable[[Event], None]
) -> AsyncIterator[Transcript]:
    if agent.transcripts is not None:
        with Transcript(agent.transcripts / name_of_new(), listener) as transcript:
            yield transcript
        return
    with (
        tempfile.TemporaryDirectory(prefix="homeport-agent-") as folder,
        Transcript(Path(folder, name_of_new()), listener) as transcript,
    ):
        yield transcript
