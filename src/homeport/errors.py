"""
Everything that homeport raises on purpose.

    HomeportError                1   something is wrong; the message says what, the hint what to do
    ├── SpecError               10   homeport.toml is wrong
    ├── UnknownModel            11   neither the catalog nor a source knows this model
    ├── WeightsError            12   weights are missing, damaged or not what they should be
    │   └── GatedModel          13   the hub wants a licence accepted or a token
    ├── EngineMissing           14   the engine is not installed here, or cannot serve this model
    ├── EngineFailed            15   the engine started and failed
    ├── PortTaken               16   another process has the port
    ├── DiskFull                17   not enough free disk
    ├── MemoryTooSmall          18   the model does not fit this machine's memory
    ├── SizeUnknown             42   how much memory the model takes is not known, so nobody can say where it fits
    ├── NetworkError            19   a server could not be reached or broke off
    ├── NotRunning              20   there is no such endpoint, or it does not answer
    ├── StateError              21   homeport's own folder cannot be read or written
    ├── EndpointError           22   the endpoint answered with an error
    │   └── WrongKey            22   what is here is not the key that the engine was started with
    ├── ApprovalDeclined        23   the plan was shown, and nobody said yes
    ├── PlanStale               24   what is live is no longer what the plan was made for
    ├── NotManaged              25   something of that name exists, and it is another's
    ├── Interrupted             26   stopped as asked, between two steps
    ├── Incomplete              27   not all that should be read could be read: the answer may lack something
    ├── AgentStopped            28   an agent ended without an answer: a budget is spent, or it went round in circles
    ├── ExtraMissing            29   a part of homeport that this needs is not installed here
    ├── NoCredentials           30   Google does not know who is asking
    ├── RemoteError             31   a remote API refused a request
    │   ├── NotFound            32   there is no such thing
    │   ├── AlreadyExists       33   there is one already
    │   ├── Conflict            34   another change came first
    │   ├── PermissionDenied    35   the caller may not do this
    │   ├── QuotaExceeded       37   more than the project may have
    │   ├── OutOfCapacity       38   the provider has none left there at the moment
    │   ├── PolicyViolated      39   the organisation forbids it
    │   ├── InvalidArgument     40   the API does not take the request as it is
    │   ├── OperationFailed     41   the provider began the work, and it failed
    │   └── GoogleError         31   Google refused it, for a reason not listed here
    │       └── ApiDisabled     36   the API is not enabled in the project
    ├── Unsupported             64   this target has no such thing
    └── VerificationFailed       3   the endpoint runs, and a check failed

A caller who wants one `except` takes `HomeportError`; code that shows it prints `str(error)` and `error.hint`.
`RemoteError` and what is below it belong to no provider. What Google refused is one of them *and* a `GoogleError`,
which adds Google's own words: `google/error_kinds.py` pairs the two.
The number is the exit code of the command line. 2 is `plan --detailed-exitcode` with changes pending,
64 wrong usage, 130 an interrupt.
"""

from __future__ import annotations

from typing import ClassVar

from homeport.redaction import redacted


class HomeportError(Exception):
    """
    What happened, with what to do about it in `hint` and, where there is one, a page in `url`.

    Secrets that were revealed are no part of it, whatever it is told.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", url: str = "") -> None:
        super().__init__(redacted(message))
        self.hint = redacted(hint)
        """What the reader can do, with the exact command where there is one."""
        self.url = redacted(url)
        """A page that says more, or ''."""

    @classmethod
    def listed(cls) -> type[HomeportError]:
        """Return the class of the tree above that this error is: a provider's own class is named by its neutral one."""
        return next(kind for kind in cls.__mro__ if kind.__module__ == __name__)

    def as_json(self) -> dict[str, object]:
        """Return the error as `--json` prints it."""
        return {
            "error": self.listed().__name__,
            "message": str(self),
            "hint": self.hint,
            "url": self.url,
            "exit_code": self.exit_code,
        }


class SpecError(HomeportError):
    exit_code = 10


class UnknownModel(HomeportError):
    exit_code = 11


class WeightsError(HomeportError):
    exit_code = 12


class GatedModel(WeightsError):
    exit_code = 13


class EngineMissing(HomeportError):
    exit_code = 14


class ExtraMissing(HomeportError):
    exit_code = 29


class EngineFailed(HomeportError):
    exit_code = 15


class PortTaken(HomeportError):
    """The error, with a free `port` to take instead (0 where none was looked for)."""

    exit_code = 16

    def __init__(self, message: str, *, hint: str = "", port: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.port = port


class DiskFull(HomeportError):
    exit_code = 17


class MemoryTooSmall(HomeportError):
    exit_code = 18


class SizeUnknown(HomeportError):
    exit_code = 42


class NetworkError(HomeportError):
    exit_code = 19


class NotRunning(HomeportError):
    exit_code = 20


class StateError(HomeportError):
    exit_code = 21


class EndpointError(HomeportError):
    """
    The endpoint answered a request with an error.

    `status` is its HTTP status, `body` the first kilobyte of its answer. `reason` is OpenAI's code for why, where the answer
    tells it in one engine's words or another's, and `retry_after` when it may be asked again, as it said; '' where it did not.
    """

    exit_code = 22

    def __init__(
        self, message: str, *, status: int, body: str, hint: str = "", reason: str = "", retry_after: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.body = redacted(body)
        self.reason = redacted(reason)
        self.retry_after = redacted(retry_after)


class WrongKey(EndpointError):
    """What is here is not the key that the engine was started with: it would refuse it, and is not asked."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, status=401, body="", hint=hint)


class ApprovalDeclined(HomeportError):
    exit_code = 23


class PlanStale(HomeportError):
    exit_code = 24


class NotManaged(HomeportError):
    exit_code = 25


class Interrupted(HomeportError):
    exit_code = 26


class Incomplete(HomeportError):
    exit_code = 27


class AgentStopped(HomeportError):
    exit_code = 28


class NoCredentials(HomeportError):
    exit_code = 30


class RemoteError(HomeportError):
    """
    A remote API refused a request.

    `status` is the HTTP status (0 where the refusal came by an operation) and `request` what was asked, such as
    `POST run.googleapis.com/v2/…`.
    """

    exit_code = 31

    def __init__(
        self, message: str, *, status: int = 0, request: str = "", hint: str = "", url: str = ""
    ) -> None:
        super().__init__(message, hint=hint, url=url)
        self.status = status
        self.request = redacted(request)


class NotFound(RemoteError):
    exit_code = 32


class AlreadyExists(RemoteError):
    exit_code = 33


class Conflict(RemoteError):
    exit_code = 34


class PermissionDenied(RemoteError):
    exit_code = 35


class QuotaExceeded(RemoteError):
    exit_code = 37


class OutOfCapacity(RemoteError):
    exit_code = 38


class PolicyViolated(RemoteError):
    exit_code = 39


class InvalidArgument(RemoteError):
    exit_code = 40


class OperationFailed(RemoteError):
    exit_code = 41


class GoogleError(RemoteError):
    """
    Google refused a request.

    `reason` is Google's own word for it, such as `SERVICE_DISABLED`.
    """

    exit_code = 31

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        request: str = "",
        hint: str = "",
        url: str = "",
    ) -> None:
        super().__init__(message, status=status, request=request, hint=hint, url=url)
        self.reason = redacted(reason)


class ApiDisabled(GoogleError):
    exit_code = 36


class VerificationFailed(HomeportError):
    exit_code = 3


class Unsupported(HomeportError):
    exit_code = 64
