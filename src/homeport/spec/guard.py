"""The screen of the file: who judges, what is looked for, and where it stands."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from homeport import patterns
from homeport.spec.table import SpecTable

Unscreened = Literal["streams", "apis", "choices", "texts", "media", "long", "names"]
UNSCREENED: dict[Unscreened, str] = {
    "streams": "streamed answers",
    "apis": "every API but /v1/chat/completions and /v1/completions: /v1/responses, /v1/messages and Ollama's own /api among them",
    "choices": "all choices of an answer but the first",
    "texts": (
        "system texts, history, reasoning, documents, response formats, and definitions, arguments and results of tools, of which no page of "
        "Google's says anything"
    ),
    "media": (
        "pictures and sound, and perhaps the text beside them, of which its pages on extensions say nothing: Model Armor itself reads pictures in us and eu alone, "
        "in Preview, and templates of a region are not there"
    ),
    "long": "texts above a filter's limit, which it skips (attacks and harm: 65,536 tokens, secrets: 130,000, addresses: the first 256)",
    "names": "requests that ask for the model by a name that the extension was not told, or by none",
}
"""What passes Google's own roads unscreened, or may: by its guide to extensions (2026-10-07), and where that is silent."""
_OF_THE_GATEWAY = ("prompts", "answers", "tool_results", "window_s", "metrics_port")
"""Keys that mean nothing to Google's roads."""
_OF_TRAFFIC_EXTENSIONS: frozenset[Unscreened] = frozenset({"names"})
"""Of an authorization extension all names are the same: it is told none."""
MOST_S = 10.0
"""Seconds that Google lets one message of an extension take."""


class Guard(SpecTable):
    """A screen before the engine: it sees every prompt and every answer, and what it could not screen is refused. Google's own roads do less: see `where`."""

    where: Literal["gateway", "authz-extension", "traffic-extension"] = "gateway"
    """Where it stands: homeport's gateway before the engine, or on Cloud Run one of Google's own two roads at the load balancer of a regional or internal [edge], which screen less."""
    unscreened: tuple[Unscreened, ...] = Field(
        default=(), examples=[["streams", "apis", "choices", "texts", "media", "long", "names"]]
    )
    """What you know to pass unscreened by Google's roads: each must be named. streams: streamed answers; apis: all but chat and plain completions; choices: all but the first; texts: system texts, history, documents, response formats, tools and their results; media: pictures and sound; long: texts above a filter's limit; names: other names of the model, which an authz-extension screens."""
    screen: Literal["auto", "model-armor", "local"] = "auto"
    """Who judges: local, a few patterns for development, which auto means on this machine, or Google's model-armor, which it means on Cloud Run."""
    prompts: bool = True
    """Whether what a request says is screened: system text, history and earlier answers included."""
    answers: bool = True
    """Whether answers are screened: text, reasoning and arguments of tool calls. Streams are held back by a window."""
    tool_results: bool = True
    """Whether what a request says that a tool gave is screened."""
    filters: tuple[Literal["injection", "harm", "secrets", "urls"], ...] = (
        "injection",
        "harm",
        "secrets",
        "urls",
    )
    """What is looked for: attacks on the model, harmful content, keys and card numbers, addresses of malware. Model Armor's filter for abuse of children is always on."""
    template: str | None = Field(
        default=None,
        pattern=patterns.TEMPLATE,
        examples=["projects/my-project/locations/europe-west4/templates/my-template"],
    )
    """A template of Model Armor that is there: its levels are its own. This machine screens by no other; on Cloud Run one is made where none is named."""
    window_s: float = Field(default=1.0, ge=0.2, le=30)
    """Seconds that streamed text waits for more before it is screened: less is livelier, and costs more calls."""
    deadline_s: float = Field(default=8.0, ge=0.5, le=60)
    """Seconds that one screening may take, waiting for room in a quota included."""
    metrics_port: int | None = Field(default=None, ge=1024, le=65535, examples=[9464])
    """A port of loopback where the gateway on this machine tells what it counted, at /metrics, for Prometheus."""

    @field_validator("filters", "unscreened", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _screens_something(self) -> Guard:
        if not self.filters:
            raise ValueError(
                "filters is empty, so that nothing would be looked for; leave [guard] out instead"
            )
        if not (self.prompts or self.answers or self.tool_results):
            raise ValueError(
                "prompts, answers and tool_results are all false, so that nothing would be screened; leave [guard] out instead"
            )
        return self

    @model_validator(mode="after")
    def _is_one_road(self) -> Guard:
        if self.where == "gateway":
            if self.unscreened:
                raise ValueError(
                    'unscreened is about Google\'s roads, and where is "gateway", by which nothing passes unscreened; remove unscreened'
                )
            return self
        if self.screen == "local":
            raise ValueError(
                f'where = "{self.where}" asks Model Armor, and screen = "local" does not; remove one of the two'
            )
        for key in _OF_THE_GATEWAY:
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(
                    f'{key} is about homeport\'s gateway, and where = "{self.where}" has none of its own; remove one of the two'
                )
        if self.deadline_s > MOST_S:
            raise ValueError(
                f"Google lets an extension take {MOST_S:g} s at most, and deadline_s is {self.deadline_s:g}; take {MOST_S:g} or less"
            )
        return self._knows_what_passes()

    def _knows_what_passes(self) -> Guard:
        """Return it. Raises `ValueError` unless it names all that passes."""
        lacking = [name for name in self.passing if name not in self.unscreened]
        if lacking:
            whole = ", ".join(f'"{name}"' for name in self.passing)
            texts = "; ".join(f"{name}: {UNSCREENED[name]}" for name in lacking)
            raise ValueError(
                f'where = "{self.where}" lets pass unscreened, or may, what unscreened does not name ({texts}). Set where = "gateway", which '
                f"screens them all, or say that you know it: unscreened = [{whole}]"
            )
        return self

    @property
    def passing(self) -> tuple[Unscreened, ...]:
        """Return what passes unscreened, or may, where it stands; nothing before the engine."""
        if self.where == "gateway":
            return ()
        told_names = self.where == "traffic-extension"
        return tuple(name for name in UNSCREENED if told_names or name not in _OF_TRAFFIC_EXTENSIONS)

    @property
    def in_gateway(self) -> bool:
        """Tell whether homeport's own gateway screens, before the engine."""
        return self.where == "gateway"


__all__ = ["MOST_S", "UNSCREENED", "Guard", "Unscreened"]
