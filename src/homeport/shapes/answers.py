"""The shapes of what a model or an agent answered."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from homeport.shapes.base import JsonShape


class EnginesShape(JsonShape):
    """An object of an engine's, which has keys of its own besides."""

    model_config = ConfigDict(extra="allow")


class MessageShape(EnginesShape):
    """What the model said, as OpenAI's API has it."""

    role: str
    content: str | None = None


class ChoiceShape(EnginesShape):
    """One answer."""

    message: MessageShape
    finish_reason: str | None = None


class CompletionShape(EnginesShape):
    """A chat completion, as the engine answered it; in a conversation there is one document an answer."""

    model: str
    choices: list[ChoiceShape] = Field(min_length=1)


class EventShape(EnginesShape):
    """One line of a transcript: `event` is `run`, `step`, `result` or `end`."""

    event: str


class AgentRunShape(JsonShape):
    """The result of a run of an agent."""

    answer: str
    transcript: str
    """The file that the run is kept in."""
    events: list[EventShape]
    """What the transcript holds of it."""
