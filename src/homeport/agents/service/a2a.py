"""The agent for other agents: the one method of the protocol that it has (A2A 1.0, JSON-RPC)."""

from __future__ import annotations

from secrets import token_hex
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from homeport.agents.loop import AgentResult
from homeport.agents.service.body import mistakes, parsed
from homeport.agents.service.card import VERSION
from homeport.agents.service.served import AgentQuestion
from homeport.json_types import Json, JsonObject

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, INTERNAL_ERROR = (
    -32700, -32600, -32601, -32602, -32603,
)  # fmt: skip
_NO_TASK, _NO_PUSH, _UNSUPPORTED, _OTHER_CONTENT, _OTHER_VERSION = -32001, -32003, -32004, -32005, -32009
_PUSHES_NOT = "nobody is told later: see the agent's card"
_OF_PUSHES = ("Create{}Config", "Get{}Config", "List{}Configs", "Delete{}Config")
_KNOWN = {
    **dict.fromkeys(("GetTask", "CancelTask"), (_NO_TASK, "there are no tasks: a message is answered at once")),
    **dict.fromkeys(
        ("SendStreamingMessage", "SubscribeToTask", "ListTasks", "GetExtendedAgentCard"),
        (_UNSUPPORTED, "not supported: see the agent's card"),
    ),
    **{name.format("TaskPushNotification"): (_NO_PUSH, _PUSHES_NOT) for name in _OF_PUSHES},
}  # fmt: skip
"""Methods of the protocol that this agent does not have, and the answer to each."""


class RpcError(Exception):
    """Raised for a request that cannot be done, with JSON-RPC's or A2A's code."""

    def __init__(self, code: int, message: str, id: str | int | None = None) -> None:
        super().__init__(message)
        self.code, self.id = code, id

    def body(self) -> JsonObject:
        """Return it as JSON-RPC has it."""
        return {"jsonrpc": "2.0", "id": self.id, "error": {"code": self.code, "message": str(self)}}


_MODES = {"text/plain", "text/*", "*/*", "text"}
"""What a client may accept that takes this agent's answers; the last is how it was written before 1.0."""


class _ProtoJson(BaseModel):
    """A message of protocol buffers as JSON: null is what is not set, and a name may be written in both ways."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        alias_generator=to_camel,
        populate_by_name=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_unset(cls, value: Json) -> Json:
        return (
            {key: one for key, one in value.items() if one is not None} if isinstance(value, dict) else value
        )


def _role(value: Any) -> Any:  # Any: JSON, where an enum's number may stand for its name
    return "ROLE_USER" if type(value) is int and value == 1 else value


class _A2aPart(_ProtoJson):
    text: str | None = None
    raw: Json = None
    """It is not taken, and so are the next two."""
    url: Json = None
    data: Json = None


class _A2aMessage(_ProtoJson):
    message_id: str
    context_id: str = ""
    task_id: str = ""
    role: Annotated[Literal["ROLE_USER"], BeforeValidator(_role)]
    parts: list[_A2aPart] = Field(min_length=1)


class _SendConfiguration(_ProtoJson):
    accepted_output_modes: list[str] = []
    task_push_notification_config: Json = None
    """It is not taken."""
    push_notification_config: Any = None  # Any: the same; its name before 1.0


class _SendParams(_ProtoJson):
    message: _A2aMessage
    configuration: _SendConfiguration = _SendConfiguration()


class SentMessage:
    """A message that was sent to the agent."""

    def __init__(self, id: str | int | None, message: _A2aMessage) -> None:
        self._id, self._context = id, message.context_id or token_hex(16)
        self.question = AgentQuestion(text="\n".join(str(part.text) for part in message.parts))
        """One message is one question: nothing of earlier ones is remembered."""

    def answered(self, result: AgentResult) -> JsonObject:
        """Return the agent's message."""
        message: JsonObject = {
            "messageId": token_hex(16),
            "contextId": self._context,
            "role": "ROLE_AGENT",
            "parts": [{"text": result.answer}],
        }
        if result.cut:
            message["metadata"] = {"finishReason": "length"}
        return {"jsonrpc": "2.0", "id": self._id, "result": {"message": message}}

    def failed(self, message: str, *, of_the_message: bool) -> JsonObject:
        """Return what is said where there is no answer, for a reason of the message itself or not."""
        return RpcError(INVALID_PARAMS if of_the_message else INTERNAL_ERROR, message, self._id).body()


def sent_message(body: bytes, protocol: str | None) -> SentMessage:
    """Return the message in a body; `protocol` is the version that the client speaks. Raises `RpcError`."""
    try:
        request = parsed(body)
    except ValueError as error:
        raise RpcError(PARSE_ERROR, f"the body is not JSON: {error}") from error
    if (
        not isinstance(request, dict)
        or request.get("jsonrpc") != "2.0"
        or not isinstance(request.get("method"), str)
    ):
        raise RpcError(INVALID_REQUEST, "this is no request of JSON-RPC 2.0")
    called = request.get("id")
    if not isinstance(called, str | int) or isinstance(called, bool):
        raise RpcError(
            INVALID_REQUEST, "a request needs an id, a text or a whole number: without one nobody is answered"
        )
    if protocol is not None and protocol.split(".")[:2] != VERSION.split("."):
        raise RpcError(_OTHER_VERSION, f"A2A {VERSION} is spoken here, not {protocol[:20]}", called)
    method = request["method"]
    if method != "SendMessage":
        code, why = _KNOWN.get(
            method, (NO_METHOD, f"there is no method {method[:80]!r} here, but SendMessage")
        )
        raise RpcError(code, why, called)
    if not isinstance(request.get("params"), dict):
        raise RpcError(INVALID_PARAMS, "params has to be an object with a message", called)
    try:
        params = _SendParams.model_validate(request["params"])
    except ValidationError as error:
        raise RpcError(INVALID_PARAMS, mistakes(error), called) from error
    _ensure_answerable(params, called)
    return SentMessage(called, params.message)


def _ensure_answerable(params: _SendParams, called: str | int) -> None:
    """Raise `RpcError` for a message that is well-formed, and that asks for what there is not."""
    message, wanted = params.message, params.configuration
    if message.task_id:
        raise RpcError(_NO_TASK, "there are no tasks: a message is answered at once", called)
    if wanted.task_push_notification_config is not None or wanted.push_notification_config is not None:
        raise RpcError(_NO_PUSH, _PUSHES_NOT, called)
    modes = {mode.partition(";")[0].strip().lower() for mode in wanted.accepted_output_modes}
    if modes and not modes & _MODES:
        raise RpcError(
            _OTHER_CONTENT, "answers are text/plain, and that is not among what is accepted", called
        )
    if any(part.text is None or (part.raw, part.url, part.data) != (None,) * 3 for part in message.parts):
        raise RpcError(_OTHER_CONTENT, "only parts with text are taken", called)
    if not any(str(part.text).strip() for part in message.parts):
        raise RpcError(INVALID_PARAMS, "the message has no text: that is the question", called)
