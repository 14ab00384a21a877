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
"""What a name looks like that an engine gives, or that of a model. A value of one of `_NAMES` that does not is screened as text."""
_KEY = re.compile(r"(?=.{1,40}$)[a-z_]+(?:[A-Z][a-z_]+)*")
"""What the key of a table looks like that is no text itself."""
_WORDS = frozenset(
    ["user", "assistant", "system", "developer", "tool", "function", "message", "object", "string", "number",
     "integer", "boolean", "array", "null", "text", "input_text", "output_text", "refusal", "thinking",
     "reasoning", "reasoning_text", "summary_text", "tool_use", "tool_result", "tool_call", "function_call",
     "function_call_output", "custom", "custom_tool_call", "custom_tool_call_output", "auto", "none", "any",
     "required", "json", "json_object", "json_schema", "minimal", "low", "medium", "high", "default", "flex",
     "priority", "completed", "in_progress", "incomplete", "disabled", "enabled", "float", "base64", "ephemeral",
     "regex", "grammar", "list", "chat.completion", "chat.completion.chunk", "text_completion", "response"]
)  # fmt: skip
"""What callers say where an API wants one of some words. Anything else in its place is screened as text."""
_ASKED_NAMES = frozenset(
    {"role", "type", "object", "tool_choice", "reasoning_effort", "effort", "service_tier", "status", "format",
     "truncation", "encoding_format", "detail"}
)  # fmt: skip
"""Keys of requests whose values are such words. Ids are not among them: some templates show them to the model."""
_NAMES = _ASKED_NAMES | frozenset(
    {"model", "id", "tool_call_id", "call_id", "item_id", "response_id", "tool_use_id", "finish_reason", "stop_reason",
     "done_reason", "system_fingerprint", "created_at", "event_id", "msg_id", "obfuscation"}
)  # fmt: skip
"""Keys of answers whose values the engine makes."""
_FREE = frozenset(
    {"arguments", "input", "parameters", "input_schema", "schema", "json_schema", "properties", "content", "output"}
)  # fmt: skip
"""Keys of tables that are not the API's: below them every key, every name and every number may be a text of somebody's."""
_VECTORS = re.compile(r"embeddings?")
"""Keys of an answer that have numbers instead of text, at its top or in one of its `data`."""
_PROBABILITIES = frozenset(
    {"logprobs", "top_logprobs", "prompt_logprobs", "logprob_token_ids", "n_probs", "return_tokens_as_token_ids", "return_token_ids"}
)  # fmt: skip
"""Keys of requests that ask for the tokens of the answer once more, with others that could have come: a text beside the text."""
_NONE_AT_ZERO = frozenset({"top_logprobs", "n_probs"})
"""Those of which 0 is none; `logprobs` of 0 are those of the tokens that came."""
_BESIDE = frozenset(
    {"logprobs", "prompt_logprobs", "completion_probabilities", "token_ids", "audio", "image", "images", "b64_json"}
)  # fmt: skip
"""Keys of answers whose values say something beside the text, in a way that nothing here reads."""
_MEASURES = re.compile(r"created(_at)?|completed_at|.*_(duration|tokens|count|ms|time)|seed")
_DIGITS = 12
"""A whole number with so many digits could be one of a card."""
_TEXT_PARTS = frozenset(
    {"text", "input_text", "output_text", "refusal", "thinking", "reasoning", "reasoning_text", "summary_text",
     "tool_use", "tool_result", "tool_call", "function", "function_call", "function_call_output", "message",
     "custom_tool_call", "custom_tool_call_output"}
)  # fmt: skip
"""Types of the parts of a message that are text through and through."""
_UNTYPED = frozenset({"text", "refusal", "type", "cache_control"})
"""Keys of a part that does not say its type."""
_PARTS = frozenset({"content", "input", "output", "summary"})
"""Keys of lists of parts."""
_UNREADABLE = frozenset(
    {"images", "image", "image_url", "input_audio", "audio", "audio_url", "video", "video_url", "file", "file_id",
     "file_data", "file_url", "prompt_embeds", "prompt_token_ids", "context", "multi_modal_data", "encrypted_content",
     "previous_response_id", "conversation", "mm_data", "multimodal_data", "redacted_thinking", "image_embeds", "audio_embeds",
     "image_pil", "chat_template", "template"}
)  # fmt: skip
"""
Keys of requests whose values reach a model and are no text that is here: pictures, token ids, what a server has kept, and
templates, which make a text of other texts that nobody has seen.
"""
_NUMBERS_TAKEN = frozenset(
    {"messages", "tools", "functions", "response_format", "text", "format", "stop_token_ids", "allowed_token_ids",
     "guided_json", "structured_outputs", "options", "output_config"}
)  # fmt: skip
"""Top-level keys below which a list of numbers is no list of token ids."""
ASKS_FOR_MORE = _UNREADABLE | _PROBABILITIES
"""Fields of a request, in small letters, that are refused wherever they say something."""
_PLACES = ("type", "output_index", "content_index", "summary_index", "index")
"""Keys of an event that tell of which text it brings a piece."""
_TYPED = ("response.", "content_block_", "message_")
"""Types of events begin so in the APIs that have them: what ends in `delta` brings a piece, all else what is whole."""
_CONVERSATION = frozenset({"messages", "prompt", "input"})
_SPELT = _UNREADABLE | _PROBABILITIES | _PARTS | _ASKED_NAMES | {"messages", "prompt"}
"""Keys that must be written as here: some engines take `Images` for `images`, with a long s as well."""
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
    try:
        return list(_walk_request(body))
    except RecursionError:
        raise Refused(Reason.UNREADABLE, "the request is nested too deep") from None


def of_answer(body: Mapping[str, Json]) -> list[TextPiece]:
    """
    Return all texts of an answer, or of one event of it: pieces of one text have one path in all events.

    Raises `Refused` for one that is nested too deep to be read.
    """
    where = _where(body)
    try:
        return [
            TextPiece((*where, *piece.path), piece.text, piece.kind)
            for key, value in body.items()
            if not _VECTORS.fullmatch(key)
            for piece in _walk(value, (key,), TextKind.ASSISTANT, asked=False)
        ]
    except RecursionError:
        raise Refused(Reason.UNREADABLE, "the answer is nested too deep") from None


def over_with(body: Mapping[str, Json]) -> list[Path]:
    """
    Return the beginnings of the paths of those texts of an answer of which no more is to come after this event of it.

    Where it is not known what an event is, none of them is over.
    """
    choices = body.get("choices")
    if isinstance(choices, list):
        return [
            ("choices", _index(choice, position))
            for position, choice in enumerate(choices)
            if isinstance(choice, dict) and choice.get("finish_reason")
        ]
    kind, (first, *places) = body.get("type"), _where(body) or ("",)
    if not isinstance(kind, str) or not kind.startswith(_TYPED) or kind.endswith("delta"):
        return []
    over: list[Path] = [(first, *places)]
    if kind == "content_block_stop":
        over.append(("content_block_delta", *places))
    elif kind.endswith(".done"):
        over.append((f"{kind.removesuffix('.done')}.delta", *places))
    return over


def _where(body: Mapping[str, Json]) -> Path:
    return tuple(str(body[key]) for key in _PLACES if key in body)


def _index(part: Mapping[str, Json], position: int) -> int:
    index = part.get("index", position)
    return index if isinstance(index, int) else position


def _walk_request(body: Mapping[str, Json]) -> Iterator[TextPiece]:
    # What the answer follows comes last, wherever it stands.
    for key, value in sorted(body.items(), key=lambda pair: pair[0] in _CONVERSATION):
        if _wants_probabilities(key, value) or (key == "include" and "logprobs" in str(value)):
            raise _unreadable((key,))
        _ensure_spelt((key,))
        if key == "model" and isinstance(value, str) and _NAME.fullmatch(value):
            continue
        yield from _walk(value, (key,), TextKind.PROMPT, asked=True)
        if not _KEY.fullmatch(key):
            yield TextPiece((key,), key)


def _walk(value: Json, path: Path, kind: TextKind, *, asked: bool, free: bool = False) -> Iterator[TextPiece]:
    key = str(path[-1] if isinstance(path[-1], str) else path[-2] if len(path) > 1 else "")
    if value is None or isinstance(value, bool):
        return
    if asked and not free and key in _UNREADABLE and value not in ("", [], {}):
        raise _unreadable(path)
    if not asked and not free and key in _BESIDE and not _is_empty(value):
        raise Refused(
            Reason.UNREADABLE, f"the answer has {_spelt(path)}, which is no text that can be screened"
        )
    if isinstance(value, str):
        if value and (free or not _is_name(key, value, asked=asked)):
            yield TextPiece(path, value, kind)
    elif isinstance(value, int | float):
        spelt = _spelt_out(value)
        if len(spelt) >= _DIGITS and (free or not _MEASURES.fullmatch(key)):
            yield TextPiece(path, spelt, kind)
    elif isinstance(value, list):
        yield from _of_list(value, path, kind, asked=asked, free=free)
    elif isinstance(value, dict):
        yield from _of_table(value, path, kind, asked=asked, free=free or key in _FREE)


def _wants_probabilities(key: str, value: Json) -> bool:
    if key not in _PROBABILITIES or value is None or value is False:
        return False
    return not (key in _NONE_AT_ZERO and value == 0)


def _ensure_spelt(path: Path) -> None:
    key = str(path[-1])
    if path[0] != "metadata" and key not in _SPELT and key.casefold() in _SPELT:
        raise Refused(Reason.UNREADABLE, f"{_spelt(path)} is spelt {key.casefold()} here")


def _is_empty(value: Json) -> bool:
    """Return whether nothing is said at all."""
    if isinstance(value, dict):
        return all(map(_is_empty, value.values()))
    return value in (None, False, "", [])


def _is_name(key: str, value: str, *, asked: bool) -> bool:
    if asked:
        return key in _ASKED_NAMES and value in _WORDS
    return key in _NAMES and _NAME.fullmatch(value) is not None


def _spelt_out(value: float) -> str:
    """Return the digits of a whole number; '' for one with a fraction."""
    if isinstance(value, int):
        return str(abs(value))
    return f"{abs(value):.0f}" if value.is_integer() else ""


def _of_list(
    value: list[Json], path: Path, kind: TextKind, *, asked: bool, free: bool
) -> Iterator[TextPiece]:
    numbers = [part for part in value if isinstance(part, int | float) and not isinstance(part, bool)]
    flat = len(path) <= 2 or all(isinstance(step, int) for step in path[1:])
    if numbers and asked and not free and flat and path[0] not in _NUMBERS_TAKEN:
        raise _unreadable(path)
    if len(numbers) > 1 and not (not asked and _VECTORS.fullmatch(str(path[-1]))):
        # A card may be given in four numbers.
        yield TextPiece((*path, "numbers"), " ".join(filter(None, map(_spelt_out, numbers))), kind)
    if path[-1] in _PARTS:
        parts = [
            part["text"] for part in value if isinstance(part, dict) and isinstance(part.get("text"), str)
        ]
        if len(parts) > 1:  # An engine reads them as one.
            yield TextPiece((*path, "parts"), "".join(parts), kind)
    for position, part in enumerate(value):
        if isinstance(part, dict):
            if asked and not free and path[-1] in _PARTS and not _is_text_part(part):
                raise Refused(
                    Reason.UNREADABLE,
                    f"{_spelt(path)} has a part of the type {part.get('type')!r}, which is no text",
                )
            yield from _of_table(part, (*path, _index(part, position)), kind, asked=asked, free=free)
        else:
            yield from _walk(part, (*path, position), kind, asked=asked, free=free)


def _is_text_part(part: Mapping[str, Json]) -> bool:
    """Return whether a part of a message says that it is text, or says nothing and has nothing but that."""
    kind = part.get("type")
    return str(kind) in _TEXT_PARTS if kind else "role" in part or part.keys() <= _UNTYPED


def _of_table(
    value: dict[str, Json], path: Path, kind: TextKind, *, asked: bool, free: bool
) -> Iterator[TextPiece]:
    if asked:
        kind = _kind(value, kind)
    for key, nested in value.items():
        if asked and not free:
            _ensure_spelt((*path, key))
        if not asked and not free and _VECTORS.fullmatch(key) and path[0] == "data":
            continue
        if free or not _KEY.fullmatch(key):
            yield TextPiece((*path, key), key, kind)
        yield from _walk(nested, (*path, key), kind, asked=asked, free=free)


def _kind(value: Mapping[str, Json], kind: TextKind) -> TextKind:
    """Return what a table says that its texts are; its role decides, where it has one."""
    role, type_ = value.get("role"), value.get("type")
    if isinstance(role, str):
        if role in _RESULT_ROLES:
            return TextKind.TOOL_RESULT
        return TextKind.ASSISTANT if role == "assistant" else TextKind.PROMPT
    return TextKind.TOOL_RESULT if isinstance(type_, str) and type_ in _RESULT_TYPES else kind


def _unreadable(path: Path) -> Refused:
    return Refused(Reason.UNREADABLE, f"{_spelt(path)} is no text that can be screened")


def _spelt(path: Path) -> str:
    return ".".join(str(step)[:40] for step in path)
