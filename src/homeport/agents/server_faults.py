"""What went wrong with an MCP server, in words: its SDK's sentences stand for nothing that the server has said."""

from __future__ import annotations

import re

from homeport.addresses import shown
from homeport.errors import HomeportError

_OF_NO_MESSAGE = ("Failed to parse JSON response: ", "Failed to parse SSE message: ")
_OF_THE_END = ("Connection closed", "SSE stream ended without a response")
_OF_A_STATUS = ("Server returned an error response", "Session terminated", "Not Found")
_TIMED_OUT = re.compile(r"Request '([^']*)' timed out")


def fault_of(error: BaseException, status: int | None = None) -> str:
    """Return what an error says, in words of ours where it is the SDK's; `status` is the last that refused a message over HTTP."""
    unsaid = "it does not answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    return _of_sdk(error, status) or str(error) or unsaid


def is_end(error: BaseException) -> bool:
    """Return whether it says that the connection is over, in the SDK's words: servers use the SDK's number for what they like."""
    return str(error) in _OF_THE_END or str(error).startswith("SSE stream failed: ")


def is_own(error: BaseException) -> bool:
    """Return whether the words are the server's, as far as anybody can tell."""
    return not _of_sdk(error, 0)


def _of_sdk(error: BaseException, status: int | None) -> str:
    """Return what one of the SDK's or the system's says, in words of ours; '' for any other."""
    from pydantic import ValidationError

    text = str(error)
    if text.startswith(_OF_NO_MESSAGE):  # It quotes the answer.
        return "the answer is no message of JSON-RPC"
    if status is not None and text in _OF_A_STATUS:
        return f"it answers with HTTP status {status}"
    if matched := _TIMED_OUT.fullmatch(text):
        return f"it does not answer {matched[1]} in time"
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"the answer is none of MCP's: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, FileNotFoundError) and error.filename:
        program = str(error.filename)
        return f"there is no program {shown(program) if '@' in program else program}"
    return ""


def find_cause(error: BaseException) -> BaseException:
    """Return the one that says what happened: an error of homeport's, if there is one among them."""
    leaves: list[BaseException] = []
    groups = [error]
    while groups:
        member = groups.pop(0)
        if isinstance(member, BaseExceptionGroup):
            groups += member.exceptions
        else:
            leaves.append(member)
    return next((leaf for leaf in leaves if isinstance(leaf, HomeportError)), leaves[0])
