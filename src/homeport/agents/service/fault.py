"""A run that came to no answer, as a client of the service is told of it: whether it is the question's, the model's or the agent's."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from starlette.responses import JSONResponse

from homeport.errors import AgentStopped, EndpointError, HomeportError
from homeport.json_types import JsonObject

_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    422: "agent_stopped",
    429: "rate_limit_error",
}
_A_WHILE = frozenset({429, 503})
"""What the model says where a while mends it."""
_OF_THE_REQUEST = frozenset({400, 422})
_WHEN = re.compile(r"[ -~]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFault:
    """What is said instead of an answer."""

    status: int
    message: str
    reason: str = ""
    """OpenAI's code, where there is one."""
    retry_after: str = ""

    @property
    def of_what_was_said(self) -> bool:
        """Return whether other words, or fewer, may be answered."""
        return self.status in {400, 413}

    def body(self) -> JsonObject:
        """Return it as OpenAI's API has errors."""
        default = "invalid_request_error" if self.status < 500 else "api_error"
        return {
            "error": {
                "message": self.message,
                "type": _KINDS.get(self.status, default),
                "param": None,
                "code": self.reason or self.status,
            }
        }

    def response(self) -> JSONResponse:
        """Return the answer that says it, to be given once."""
        # A run that failed has spent its budget: OpenAI's clients would begin it again, twice.
        headers = {"x-should-retry": "false"}
        if self.retry_after:
            headers["retry-after"] = self.retry_after
        return JSONResponse(self.body(), status_code=self.status, headers=headers)


def fault_of_run(error: HomeportError, own: Collection[str] = ()) -> RunFault:
    """
    Return what a client is told where a run ended with `error`.

    400 where what was said is too long or filtered, or where the model refuses by its name a setting that is the client's `own`,
    413 where it is too large, 422 for a budget that is spent, and 429 or 503 with the model's Retry-After where a while mends it. The rest is 502: the key that the model refuses is the agent's, not the
    client's, and so is how the model was asked.
    """
    message = f"{error}{f' ({error.hint})' if error.hint else ''}"
    if isinstance(error, AgentStopped):
        return RunFault(status=422, message=message)
    if not isinstance(error, EndpointError):
        return RunFault(status=502, message=message)
    if error.reason or (error.status in _OF_THE_REQUEST and any(name in str(error) for name in own)):
        return RunFault(status=400, message=message, reason=error.reason)
    if error.status == 413:
        return RunFault(status=413, message=message)
    if error.status in _A_WHILE:
        again = error.retry_after if _WHEN.fullmatch(error.retry_after) else ""
        return RunFault(status=error.status, message=message, retry_after=again)
    return RunFault(status=502, message=message)
