"""
All texts of a request or an answer, whatever API it is of: every string, except for names that are no prose.

What is left out is listed, not what is looked at: a field that nobody here knows is screened like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from homeport.gateway.verdict import Reason, Refused
from homeport.json_types import Json

Path = tuple[str | int, ...]

_NAME = re.compile(r"[A-Za-z0-9_.:/@+-]{1,160}")
"""What a name looks like that an engine gives. A value of one of `_NAMES` that does not is screened as text."""
_ASKED_NAME = re.compile(r"(?!.*\d{6})[A-Za-z0-9_.:/@+-]{1,80}")
"""What a name looks like that a caller gives: there is no room in it for a number of a card."""
_ASKED_NAMES = frozenset(
    {"model", "role", "type", "object", "tool_choice", "reasoning_effort", "effort", "service_tier", "status", "format",
     "keep_alive", "truncation", "encoding_format", "detail", "include"}
)  # fmt: skip
"""Keys of requests whose values are names by the API. Ids are not among them: some templates show them to the model."""
_NAMES = _ASKED_NAMES | frozenset(
    {"id", "tool_call_id", "call_id", "item_id", "response_id", "tool_use_id", "finish_reason", "stop_reason",
     "done_reason", "system_fingerprint", "created_at", "event_id", "msg_id", "obfuscation"}
)  # fmt: skip
"""The same of answers, whose ids the engine makes."""
_REPEATS = frozenset({"logprobs", "top_logprobs", "embedding", "embeddings"})
"""Keys below which an answer repeats its text by tokens, or has numbers instead of text."""
_MEASURES = re.compile(r"created(_at)?|completed_at|.*_(duration|tokens|count|ms|time)|seed")
_DIGITS = 12
"""A whole number with so many digits could be one of a card."""
_TEXT_PARTS = frozenset(
    {"text", "input_text", "output_text", "refusal", "thinking", "reasoning", "reasoning_text", "summary_text",
     "tool_use", "tool_result", "tool_call", "function", "function_call", "function_call_output", "message",
     "custom_tool_call", "custom_tool_call_output"}
)  # fmt: skip
"""Types of the parts of a message that are text through and through."""
_PARTS = frozenset({"content", "input", "output", "summary"})
"""Keys of lists of parts."""
_UNREADABLE = frozenset(
    {"images", "image", "image_url", "input_audio", "audio", "audio_url", "video", "video_url", "file", "file_id",
     "file_data", "file_url", "prompt_embeds", "prompt_token_ids", "context", "multi_modal_data", "encrypted_content",
     "previous_response_id", "conversation", "mm_data", "multimodal_data", "redacted_thinking"}
)  # fmt: skip
"""Keys of requests whose values reach a model and are no text that is here: pictures, token ids, what a server has kept."""
_NUMBERS_TAKEN = frozenset(
    {"messages", "tools", "functions", "response_format", "text", "format", "stop_token_ids", "allowed_token_ids",
     "guided_json", "structured_outputs", "options", "output_config"}
)  # fmt: skip
"""Top-level keys below which a list of numbers is no list of token ids."""
_RESULT_ROLES = frozenset({"tool", "function"})
_RESULT_TYPES = frozenset({"function_call_output", "tool_result", "custom_tool_call_output"})


class TextKind(StrEnum):
    """What a text of a request says it is. The caller may say anything."""

    PROMPT = "prompt"
    TOOL_RESULT = "tool_result"
    ASSISTANT = "assistant"
    """An earlier answer, or what claims to be one."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """One text, and where it stands."""

    path: Path
    text: str
    kind: TextKind = TextKind.PROMPT


def of_request(body: Mapping[str, Json]) -> list[TextPiece]:
    """Return all texts of a request. Raises `Refused` for one that holds what cannot be read as text."""
    found: list[TextPiece] = []
    for key, value in body.items():
        found += _walk(value, (key,), TextKind.PROMPT, asked=True)
        if not _ASKED_NAME.fullmatch(key):
            found.append(TextPiece((key,), key))
    return found


def of_answer(body: Mapping[str, Json]) -> list[TextPiece]:
    """Return all texts of an answer, or of one event of it: pieces of one text have one path in all events."""
    where = tuple(
        str(body[key])
        for key in ("type", "output_index", "content_index", "summary_index", "index")
        if key in body
    )
    return [
        TextPiece((*where, *piece.path), piece.text, piece.kind)
        for key, value in body.items()
        for piece in _walk(value, (key,), TextKind.ASSISTANT, asked=False)
    ]


def _walk(value: Json, path: Path, kind: TextKind, *, asked: bool) -> Iterator[TextPiece]:
    key = path[-1] if isinstance(path[-1], str) else path[-2] if len(path) > 1 else ""
    if value is None or isinstance(value, bool):
        return
    if asked and key in _UNREADABLE and value not in ("", [], {}):
        raise _unreadable(path)
    if isinstance(value, str):
        if value and not _is_name(str(key), value, asked=asked):
            yield TextPiece(path, value, kind)
    elif isinstance(value, int | float):
        if float(value).is_integer() and len(f"{value:.0f}") >= _DIGITS and not _MEASURES.fullmatch(str(key)):
            yield TextPiece(path, f"{value:.0f}", kind)
    elif isinstance(value, list):
        yield from _of_list(value, path, kind, asked=asked)
    elif isinstance(value, dict):
        yield from _of_table(value, path, kind, asked=asked)


def _is_name(key: str, value: str, *, asked: bool) -> bool:
    if asked:
        return key in _ASKED_NAMES and _ASKED_NAME.fullmatch(value) is not None
    return key in _NAMES and _NAME.fullmatch(value) is not None


def _of_list(value: list[Json], path: Path, kind: TextKind, *, asked: bool) -> Iterator[TextPiece]:
    could_be_tokens = asked and len(path) <= 2 and path[0] not in _NUMBERS_TAKEN
    if could_be_tokens and any(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
        raise _unreadable(path)
    for position, one in enumerate(value):
        if isinstance(one, dict):
            if asked and path[-1] in _PARTS and str(one.get("type") or "text") not in _TEXT_PARTS:
                raise Refused(
                    Reason.UNREADABLE,
                    f"{_spelt(path)} has a part of the type {one.get('type')!r}, which is no text",
                )
            index = one.get("index", position)
            yield from _walk(one, (*path, index if isinstance(index, int) else position), kind, asked=asked)
        else:
            yield from _walk(one, (*path, position), kind, asked=asked)


def _of_table(value: dict[str, Json], path: Path, kind: TextKind, *, asked: bool) -> Iterator[TextPiece]:
    if asked:
        kind = _kind(value, kind)
    for key, one in value.items():
        if not asked and key in _REPEATS:
            continue
        if not (_ASKED_NAME if asked else _NAME).fullmatch(key):
            yield TextPiece((*path, key), key, kind)
        yield from _walk(one, (*path, key), kind, asked=asked)


def _kind(value: Mapping[str, Json], kind: TextKind) -> TextKind:
    role, type_ = value.get("role"), value.get("type")
    if (isinstance(role, str) and role in _RESULT_ROLES) or (
        isinstance(type_, str) and type_ in _RESULT_TYPES
    ):
        return TextKind.TOOL_RESULT
    if role == "assistant":
        return TextKind.ASSISTANT
    return TextKind.PROMPT if isinstance(role, str) else kind


def _unreadable(path: Path) -> Refused:
    return Refused(Reason.UNREADABLE, f"{_spelt(path)} is no text that can be screened")


def _spelt(path: Path) -> str:
    return ".".join(str(one)[:40] for one in path)
