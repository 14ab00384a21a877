"""Bytes over HTTP that survive a cut: ranged, resumed, retried."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from homeport.certificates import certificates
from homeport.errors import NetworkError, WeightsError
from homeport.home import writing
from homeport.progress import Progress
from homeport.proxy_variables import by_environment
from homeport.redaction import redacted

if TYPE_CHECKING:
    from httpx2 import Client, Response

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries. Bytes that arrive start the count again. Tests set them to nothing."""
_HINT = "check the network and HTTPS_PROXY; what has arrived is kept, and the next run goes on from there"
PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that may be another one in a moment."""
_T = TypeVar("_T")


class Unexpected(NetworkError):
    """A server answered with an HTTP status that is no good."""

    def __init__(self, message: str, *, status: int, hint: str = _HINT, said: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.said = redacted(said)
        """The server's own sentence, where it gave one."""


class Bar:
    """Counts bytes of several files towards one total, and tells a `Progress`."""

    def __init__(self, progress: Progress, key: str, *, total: int, done: int = 0) -> None:
        self._progress = progress
        self._key = key
        self._total = total
        self._done = done

    def add(self, count: int) -> None:
        """Add `count` bytes to those that have come; a negative count takes back bytes that turned out useless."""
        self._done += count
        self._progress.advanced(self._key, self._done, max(self._total, self._done))


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One file to bring."""

    what: str
    """What errors call it. The address itself is never shown: it may hold a signature."""
    url: str = field(repr=False)
    part: Path
    """Where the bytes gather; what is there already is continued."""
    size: int = 0
    """Bytes, where known."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def client(*, silence_s: float = 30) -> Client:
    """Return an HTTP client with the system's proxies and certificates, that waits so long for a silent server."""
    import httpx2

    return httpx2.Client(
        timeout=httpx2.Timeout(silence_s, connect=10),
        follow_redirects=True,
        verify=certificates(),
        trust_env=by_environment(),
    )


def download(http: Client, wanted: Download, bar: Bar) -> None:
    """
    Bring `wanted.part` to its full length. A cut connection is resumed where it broke, now and in later runs.

    Raises `NetworkError` once retrying has not helped, `Unexpected` for an answer that will not change,
    `DiskFull` and `StateError`. The bytes are not checked here.
    """
    retry(lambda: _attempt(http, wanted, bar), what=wanted.what, had=lambda: _length(wanted.part))


def retry(attempt: Callable[[], _T], *, what: str, had: Callable[[], int] = lambda: 0) -> _T:
    """
    Return the result of `attempt`, tried again after a network error; `had` tells how many bytes are there.

    Raises the last `NetworkError`.
    """
    import httpx2

    failures, before = 0, had()
    while True:
        try:
            return attempt()
        except (httpx2.RequestError, Unexpected) as error:
            if isinstance(error, Unexpected) and error.status not in PASSING:
                raise
            failures = failures + 1 if had() <= before else 1
            before = had()
            if failures > len(PAUSES):
                if isinstance(error, Unexpected):
                    raise
                reason = str(error) or type(error).__name__
                raise NetworkError(f"{what} cannot be fetched: {reason}", hint=_HINT) from error
            time.sleep(PAUSES[failures - 1])


def _attempt(http: Client, wanted: Download, bar: Bar) -> None:
    received = _length(wanted.part)
    if wanted.size and received == wanted.size:
        return
    if received and not _validator(wanted.part):
        received = _restart(wanted.part, received, bar)
    headers = {**wanted.headers, "Accept-Encoding": "identity"}
    if received:
        headers["Range"] = f"bytes={received}-"
    with http.stream("GET", wanted.url, headers=headers) as response:
        if response.status_code == 416:
            _restart(wanted.part, received, bar)
            raise Unexpected(f"{wanted.what} changed while it was fetched", status=503)
        if response.status_code not in {200, 206}:
            raise Unexpected(
                f"{wanted.what}: the server answered {response.status_code}",
                status=response.status_code,
                said=response.headers.get("X-Error-Message", ""),
            )
        if received and not _continues(response, wanted, received):
            received = _restart(wanted.part, received, bar)
            if response.status_code == 206:
                raise Unexpected(f"{wanted.what} changed while it was fetched", status=503)
        total = _total(response)
        if wanted.size and total and total != wanted.size:
            raise WeightsError(
                f"{wanted.what} has {total:,} bytes, {wanted.size:,} were announced",
                hint="try again: it may just have been replaced; else see whether a proxy answers in the server's place",
            )
        _write(response, wanted, bar, fresh=not received)
    if _length(wanted.part) < (wanted.size or total):
        raise Unexpected(f"{wanted.what} broke off", status=503)


BEGIN_WITHIN_S = 60.0
"""Seconds in which the beginning of a file must have come, however slowly its bytes trickle."""


def begin_of(http: Client, wanted: Download, length: int) -> bytes:
    """
    Return the first `length` bytes, or all where there are fewer; the rest is never read.

    Raises `Unexpected`, and `NetworkError` where they take too long.
    """
    until = time.monotonic() + BEGIN_WITHIN_S
    length = min(length, wanted.size) if wanted.size else length
    headers = {**wanted.headers, "Accept-Encoding": "identity", "Range": f"bytes=0-{length - 1}"}
    content = bytearray()
    with http.stream("GET", wanted.url, headers=headers) as response:
        if response.status_code not in {200, 206}:
            raise Unexpected(
                f"{wanted.what}: the server answered {response.status_code}",
                status=response.status_code,
                said=response.headers.get("X-Error-Message", ""),
            )
        part = response.headers.get("Content-Range", "")
        if response.status_code == 206 and not part.startswith("bytes 0-"):
            raise Unexpected(f"{wanted.what}: the server sent another part than the first", status=503)
        for block in response.iter_bytes():
            content += block
            if len(content) >= length:
                break
            if time.monotonic() > until:
                raise NetworkError(
                    f"{wanted.what} is too slow: {len(content):,} of {length:,} bytes came in {BEGIN_WITHIN_S:g} s",
                    hint="try again, or from another network",
                )
    if len(content) < length:
        raise Unexpected(f"{wanted.what} broke off", status=503)
    return bytes(content[:length])


def _write(response: Response, wanted: Download, bar: Bar, *, fresh: bool) -> None:
    part = wanted.part
    with writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        if fresh:
            # Before the first byte: bytes without their validator could not be continued.
            _validator_path(part).write_text(_identity(response))
        # Unbuffered: what a kill finds on disk is what the bar showed, and closing cannot fail on a full disk.
        file = part.open("wb" if fresh else "ab", buffering=0)
    with file:
        for block in response.iter_bytes():
            _ensure_announced(wanted, file.tell() + len(block))
            with writing(part):
                write_all(file, block)
            bar.add(len(block))
        with writing(part):
            os.fsync(file.fileno())


def _ensure_announced(wanted: Download, length: int) -> None:
    """Raise `WeightsError` for more bytes than were announced, which may go on until the disk is full; drop what came."""
    if wanted.size and length > wanted.size:
        drop(wanted.part)
        raise WeightsError(
            f"{wanted.what} goes on after the {wanted.size:,} bytes that were announced",
            hint="what came was dropped; see whether a proxy answers in the place of the server that has them",
        )


def write_all(file: FileIO, block: bytes) -> None:
    """Write all of `block`; an unbuffered file may take less at once."""
    remaining = memoryview(block)
    while remaining:
        remaining = remaining[file.write(remaining) :]


def _continues(response: Response, wanted: Download, received: int) -> bool:
    starts = response.headers.get("Content-Range", "").startswith(f"bytes {received}-")
    return response.status_code == 206 and starts and _identity(response) == _validator(wanted.part)


def _identity(response: Response) -> str:
    tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or "-"
    return f"{tag}\n{_total(response)}"


def _total(response: Response) -> int:
    text = response.headers.get("Content-Range", "").rpartition("/")[2] or response.headers.get(
        "Content-Length", ""
    )
    return int(text) if text.isdecimal() else 0


def _restart(part: Path, received: int, bar: Bar) -> int:
    bar.add(-received)
    drop(part)
    return 0


def drop(part: Path) -> None:
    """Forget a partial download."""
    with writing(part):
        part.unlink(missing_ok=True)
        _validator_path(part).unlink(missing_ok=True)


def keep(part: Path, final: Path) -> None:
    """Give a finished and checked download its final name, in one step."""
    with writing(final):
        part.replace(final)
        _validator_path(part).unlink(missing_ok=True)


def _length(part: Path) -> int:
    try:
        return part.stat().st_size
    except OSError:
        return 0


def _validator_path(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _validator(part: Path) -> str:
    with contextlib.suppress(OSError):
        return _validator_path(part).read_text()
    return ""
