"""Requests to the hub and to Cloud Storage, with the standard library alone: the first half of the carrier's script."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

UNIT = 1 << 18
"""Pieces of an upload are multiples of this, except for the last."""
PIECE = int(os.environ.get("HOMEPORT_PIECE", 128 * UNIT))
BLOCK = 1 << 20
COPY = int(os.environ.get("HOMEPORT_COPY") or 1 << 30)
"""Bytes that one request of a copy may take: a multiple of 1 MiB. So often it is told how far it is."""
TRIES = 8
FIRST_PAUSE_S = float(os.environ.get("HOMEPORT_PAUSE_S", "1"))  # all three for tests
TIMEOUT_S = 120
GRANTED_WITHIN_S = (
    420 * FIRST_PAUSE_S
)  # a grant may take 7 minutes to be seen, and a build begins right after it
DAMAGED, GATED, UNREACHABLE = 12, 13, 19
PASSING = {408, 429, 500, 502, 503, 504}
BROKEN = (OSError, http.client.HTTPException)
METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"

T = TypeVar("T")


class Stop(Exception):
    """Why the work ends, in words for people, and with which exit code."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class Begin(Exception):
    """The upload's session is lost: the file is started over."""


class Redirects(urllib.request.HTTPRedirectHandler):
    """Shows the hub's token to the hub alone, and not to the store that the hub sends on to."""

    def redirect_request(  # Any: urllib's own types are not told
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        """Return the request to the new place."""
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        token = req.unredirected_hdrs.get("Authorization")
        if new is not None and token and urlsplit(newurl)[:2] == urlsplit(req.full_url)[:2]:
            new.add_unredirected_header("Authorization", token)
        return new


OPEN = urllib.request.build_opener(Redirects).open


def ask(
    method: str, url: str, token: str, body: bytes | None = None, headers: Mapping[str, str] = {}
) -> http.client.HTTPResponse:
    """Return the answer to one request, still to be read. Raises what urllib raises."""
    request = urllib.request.Request(url, data=body, method=method, headers=dict(headers))  # noqa: S310 - ours
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    answer: http.client.HTTPResponse = OPEN(request, timeout=TIMEOUT_S)
    return answer


def again(what: str, once: Callable[[], T]) -> T:
    """Return what `once` returns in the end; passing troubles are waited out, longer each time."""
    for number in range(TRIES):
        try:
            return once()
        except urllib.error.HTTPError as error:
            if error.code not in PASSING:
                raise
            trouble = f"HTTP {error.code}"
        except BROKEN as error:
            trouble = str(error) or type(error).__name__
        if number < TRIES - 1:
            time.sleep(min(FIRST_PAUSE_S * 2**number, 60))
    raise Stop(UNREACHABLE, f"{what} could not be reached: {trouble}; run the same command again")


Answered = tuple[int, Mapping[str, str], bytes]
"""Status, headers, body."""


class Storage:
    """Cloud Storage's JSON API, in the name of this machine's account."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.url = env.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
        self._given = env.get("CLOUDSDK_AUTH_ACCESS_TOKEN", "")
        self._metadata = f"http://{env.get('GCE_METADATA_HOST') or 'metadata.google.internal'}{METADATA}"
        self._token, self._until = "", 0.0
        self._granted = time.monotonic() + GRANTED_WITHIN_S
        self._lock = threading.Lock()

    def token(self) -> str:
        """Return an access token that stays good for some minutes."""
        if self._given:
            return self._given
        with self._lock:
            if time.monotonic() > self._until:
                headers = {"Metadata-Flavor": "Google"}
                answer = again(
                    "the metadata server", lambda: ask("GET", self._metadata, "", None, headers).read()
                )
                parsed = json.loads(answer)
                self._token, self._until = (
                    parsed["access_token"],
                    time.monotonic() + parsed["expires_in"] - 300,
                )
            return self._token

    def ask(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """Ask as the function `ask` does, with our token; wait while a 403 may be a new grant that is not seen yet."""
        while True:
            try:
                return ask(method, url, self.token(), body, headers)
            except urllib.error.HTTPError as error:
                if error.code != 403 or time.monotonic() > self._granted:
                    raise
            time.sleep(min(5 * FIRST_PAUSE_S, 5))

    def object(self, bucket: str, name: str) -> str:
        """Return the address of an object."""
        return f"{self.url}/storage/v1/b/{bucket}/o/{quote(name, safe='')}"

    def call(self, method: str, url: str, body: bytes | None = None, **headers: str) -> Answered:
        """Return the answer, also where it says that there is nothing, or that more is to come. Raises `Stop`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}

        def once() -> Answered:
            with self.ask(method, url, body, sent) as answer:
                return answer.status, lowered(answer.headers), answer.read()

        try:
            return again("Cloud Storage", once)
        except urllib.error.HTTPError as error:
            content = error.read()
            if error.code in {308, 404, 410, 412, 499}:
                return error.code, lowered(error.headers), content
            raise Stop(1, f"Cloud Storage refuses (HTTP {error.code}): {message(content)}") from error

    def find(self, bucket: str, name: str) -> dict[str, Any] | None:  # Any: JSON
        """Return what is known of an object; None where there is none."""
        status, _, content = self.call("GET", self.object(bucket, name))
        return json.loads(content) if status == 200 else None

    def look(self, bucket: str, name: str, generation: int | None) -> tuple[int, bytes]:
        """
        Return the status and the answer to a look at somebody's object. A refusal is not waited out: no grant
        of ours is on its way there.
        """
        url = self.object(bucket, name) + (f"?generation={generation}" if generation else "")

        def once() -> tuple[int, bytes]:
            with ask("GET", url, self.token()) as answer:
                return answer.status, answer.read()

        try:
            return again("Cloud Storage", once)
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def copy(
        self, source: tuple[str, str, int | None], goal: tuple[str, str], tell: Callable[[int], None]
    ) -> dict[str, Any]:  # Any: JSON
        """
        Return the object that Cloud Storage has made of another, by itself; between regions it takes several
        requests.
        """
        query: dict[str, Any] = {"maxBytesRewrittenPerCall": COPY}  # Any: texts and numbers
        if source[2]:
            query["sourceGeneration"] = source[2]
        rewrite = f"rewriteTo/b/{goal[0]}/o/{quote(goal[1], safe='')}"
        done = 0
        while True:
            url = f"{self.object(source[0], source[1])}/{rewrite}?{urlencode(query)}"
            status, _, content = self.call("POST", url, b"")
            if status != 200:
                raise Stop(
                    DAMAGED,
                    f"gs://{source[0]}/{source[1]} was not copied (HTTP {status}): {message(content)}",
                )
            answer = json.loads(content)
            tell(int(answer["totalBytesRewritten"]) - done)
            done = int(answer["totalBytesRewritten"])
            if answer["done"]:
                return answer["resource"]  # type: ignore[no-any-return]
            query["rewriteToken"] = answer["rewriteToken"]

    def content(self, bucket: str, name: str) -> bytes:
        """Return what a small object holds; what Google says where there is none."""
        return self.call("GET", f"{self.object(bucket, name)}?alt=media")[2]


def lowered(headers: Message) -> dict[str, str]:
    """Return the headers by names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def message(content: bytes) -> str:
    """Return what an answer of Google's says for people."""
    try:
        return str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode(errors="replace")


class Upload:
    """One object that is coming to be, in pieces. The last piece is held back until the whole is known to be right."""

    def __init__(self, storage: Storage, bucket: str, name: str, sha256: str | None) -> None:
        self._storage, self._at, self._held = storage, 0, bytearray()
        about = {"metadata": {"sha256": sha256}} if sha256 else {}
        query = urlencode({"uploadType": "resumable", "name": name})
        status, headers, content = storage.call(
            "POST", f"{storage.url}/upload/storage/v1/b/{bucket}/o?{query}", json.dumps(about).encode(),
            Content_Type="application/json", X_Upload_Content_Type="application/octet-stream",
        )  # fmt: skip
        if status != 200:
            raise Stop(1, f"gs://{bucket} cannot be written to (HTTP {status}): {message(content)}")
        self._url = headers["location"]

    def write(self, block: bytes) -> None:
        """Append."""
        self._held += block
        while len(self._held) > PIECE:
            self._send(bytes(self._held[:PIECE]), "*")
            del self._held[:PIECE]

    def finish(self) -> dict[str, Any]:  # Any: JSON
        """Return the object, which has its name from now on."""
        return self._send(bytes(self._held), self._at + len(self._held))

    def abandon(self) -> None:
        """Delete the upload on the server: nothing is stored."""
        self._storage.call("DELETE", self._url)

    def _send(self, piece: bytes, total: int | str) -> dict[str, Any]:  # Any: JSON
        start = self._at
        for _ in range(TRIES):
            remaining = piece[self._at - start :]
            span = f"{self._at}-{self._at + len(remaining) - 1}" if remaining else "*"
            header = f"bytes {span}/{total}"
            status, headers, content = self._storage.call("PUT", self._url, remaining, Content_Range=header)
            if status in {200, 201}:
                return json.loads(content)  # type: ignore[no-any-return]
            # Cloud Storage may take less than it was sent, and says up to where it has.
            reached = headers.get("range", "").rpartition("-")[2]
            self._at = int(reached) + 1 if reached else 0
            if status != 308 or self._at < start:
                break
            if total == "*" and self._at == start + len(piece):
                return {}
        raise Begin
