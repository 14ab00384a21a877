"""
A small hub on loopback that speaks the part of the Hugging Face Hub's API that `huggingface_hub` uses.

Like the real one it sends files in LFS on to another origin (a CDN that refuses to be shown the hub's token),
tells sizes and checksums in `X-Linked-*` headers, knows gates, tokens, commits and ranges. Unlike the real
one it can be told to break: to cut a connection, to stall, to answer 503, to flip a byte, to ignore ranges.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

BLOCK = 16_384


@dataclass
class Faults:
    """What goes wrong with one file; each count says how often still."""

    cuts: list[int] = field(default_factory=list)
    """After so many bytes of an answer the connection is cut; one entry an answer."""
    stall_after: int | None = None
    """After so many bytes an answer waits until `Server.release` is set."""
    statuses: list[int] = field(default_factory=list)
    """Answers given instead of the file, one each."""
    damaged: int = 0
    """So many answers have a flipped byte in the middle."""


class Server:
    """Serves files over HTTP with ranges, breaks as told, and counts the bytes that went out."""

    def __init__(self) -> None:
        self.served: Counter[str] = Counter()
        """Bytes of content sent, by file name."""
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Method, path and headers (in lower case) of every request."""
        self.ranges = True
        self.stalled = threading.Event()
        self.release = threading.Event()
        self.gave_up = False
        """Whether a client held out longer than a stalled answer, which goes on after ten minutes."""
        self._faults: dict[str, Faults] = {}
        self._lock = threading.Lock()
        self._http: list[ThreadingHTTPServer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release.set()
        for server in self._http:
            server.shutdown()
            server.server_close()

    def faults(self, name: str) -> Faults:
        """The faults of the file `name`, to be set."""
        return self._faults.setdefault(name, Faults())

    def total(self) -> int:
        """Bytes of content sent so far."""
        return sum(self.served.values())

    def asked(self, method: str, pattern: str) -> list[dict[str, str]]:
        """The headers of the requests whose path matches `pattern`."""
        return [
            headers for verb, path, headers in self.requests if verb == method and re.search(pattern, path)
        ]

    def listen(self, answer: Callable[[Answer], None]) -> str:
        """Open one more origin, whose requests `answer` answers; gives its address."""
        owner = self

        class Handler(Answer):
            server_of = owner
            answers = staticmethod(answer)

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        self._http.append(http)
        return f"http://127.0.0.1:{http.server_port}"

    def send_file(self, answer: Answer, name: str, data: bytes, headers: Mapping[str, str]) -> None:
        """Answer with a file or the range asked for, with the faults of `name`."""
        with self._lock:
            faults = self.faults(name)
            status = faults.statuses.pop(0) if faults.statuses else 0
            damaged, cut = faults.damaged > 0, None
            if not status and answer.command == "GET":
                faults.damaged -= damaged
                cut = faults.cuts.pop(0) if faults.cuts else None
        if status:
            answer.reply(status, b"broken")
            return
        if damaged:
            data = data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
        ranged = self.ranges and "Range" in answer.headers
        start, end = self._range(answer.headers.get("Range", ""), len(data)) if ranged else (0, len(data))
        if start >= len(data) > 0:
            answer.reply(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        extra = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"} if ranged else {}
        answer.begin(206 if ranged else 200, end - start, {"Accept-Ranges": "bytes", **headers, **extra})
        if answer.command == "GET":
            self._send(answer, name, data[start:end], cut)

    def _range(self, wanted: str, size: int) -> tuple[int, int]:
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
        assert match is not None, wanted
        if not match[1]:
            return max(0, size - int(match[2])), size
        return int(match[1]), min(size, int(match[2]) + 1) if match[2] else size

    def stall(self) -> None:
        """Wait until released."""
        self.stalled.set()
        if not self.release.wait(600):
            self.gave_up = True

    def _send(self, answer: Answer, name: str, body: bytes, cut: int | None) -> None:
        sent = 0
        faults = self.faults(name)
        while sent < len(body):
            if cut is not None and sent >= cut:
                answer.connection.shutdown(socket.SHUT_RDWR)
                answer.close_connection = True
                return
            if faults.stall_after is not None and sent >= faults.stall_after:
                faults.stall_after = None
                self.stall()
            stops = [stop for stop in (cut, faults.stall_after) if stop is not None and stop > sent]
            block = body[sent : min([sent + BLOCK, *stops])]
            with self._lock:  # Before the client can have it, so that a later count includes it.
                self.served[name] += len(block)
            answer.wfile.write(block)
            sent += len(block)


class Answer(BaseHTTPRequestHandler):
    """One request and its answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_of: Server
    answers: Callable[[Answer], None]

    def do_GET(self) -> None:
        self.server_of.requests.append(
            (self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        )
        try:
            type(self).answers(self)
        except (BrokenPipeError, ConnectionResetError):  # the client was killed
            self.close_connection = True

    do_HEAD = do_GET  # noqa: N815 - the standard library's name

    def begin(self, status: int, size: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(size))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.begin(status, len(body), headers or {})
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, value: Any) -> None:
        self.reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def error(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.reply(status, json.dumps({"error": message}).encode(), headers)

    def log_message(self, format: str, *args: object) -> None: ...


@dataclass
class Repo:
    """One repository with all its commits."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    gated: str | bool = False
    private: bool = False


class Hub(Server):
    """The hub. `address` belongs in HF_ENDPOINT."""

    def __init__(self) -> None:
        super().__init__()
        self.repos: dict[str, Repo] = {}
        self.tokens: dict[str, set[str]] = {}
        """By token the gated and private repositories that it may read."""
        self.limited = False
        """Whether callers without a token have had too many requests."""
        self._lfs: dict[str, tuple[str, bytes]] = {}
        self.cdn = self.listen(self._cdn)
        self.address = self.listen(self._hub)

    def push(
        self, name: str, files: Mapping[str, bytes], *, gated: str | bool = False, private: bool = False
    ) -> str:
        """A new commit on main; gives its id."""
        repo = self.repos.setdefault(name, Repo())
        repo.gated, repo.private = gated, private
        commit = hashlib.sha1(f"{name} {len(repo.commits)} {sorted(files)}".encode()).hexdigest()  # noqa: S324 - as git
        repo.commits[commit] = dict(files)
        repo.refs["main"] = commit
        for path, data in files.items():
            if _in_lfs(path):
                self._lfs[hashlib.sha256(data).hexdigest()] = (path, data)
        return commit

    def _hub(self, answer: Answer) -> None:
        path = unquote(urlsplit(answer.path).path)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/auth-check)?(?:/(revision|tree)/(.+))?", path):
            self._api(
                answer, match[1], auth_check=bool(match[2]), what=match[3] or "", revision=match[4] or "main"
            )
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(answer, match[1], match[2], match[3])
        elif match := re.fullmatch(r"/api/resolve-cache/models/([^/]+/[^/]+)/([^/]+)/(.+)", path):
            if self._may(answer, match[1], files=True):
                data = self.repos[match[1]].commits[match[2]][match[3]]
                self.send_file(answer, match[3], data, {"ETag": f'"{_git(data)}"', "X-Repo-Commit": match[2]})
        else:
            answer.error(404, "", "Sorry, we can't find the page you are looking for.")

    def _api(self, answer: Answer, name: str, *, auth_check: bool, what: str, revision: str) -> None:
        if not self._may(answer, name, files=auth_check):
            return
        repo = self.repos[name]
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            answer.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        files = repo.commits[commit]
        if auth_check:
            answer.json({})
        elif what == "tree":
            answer.json(
                [
                    {"type": "file", "path": path, "size": len(data), "oid": _git(data)}
                    for path, data in files.items()
                ]
            )
        else:
            blobs = "blobs=" in answer.path
            siblings = [
                {"rfilename": path} | (_blob(path, data) if blobs else {}) for path, data in files.items()
            ]
            answer.json(
                {
                    "_id": "0",
                    "id": name,
                    "modelId": name,
                    "sha": commit,
                    "private": repo.private,
                    "gated": repo.gated,
                }
                | {"tags": [], "downloads": 0, "likes": 0, "siblings": siblings}
            )

    def _resolve(self, answer: Answer, name: str, revision: str, path: str) -> None:
        if not self._may(answer, name, files=True):
            return
        repo = self.repos[name]
        commit = repo.refs.get(revision, revision)
        data = repo.commits.get(commit, {}).get(path)
        if commit not in repo.commits:
            answer.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif data is None:
            answer.error(404, "EntryNotFound", "Entry not found")
        elif _in_lfs(path):
            sha256 = hashlib.sha256(data).hexdigest()
            linked = {
                "X-Linked-Size": str(len(data)),
                "X-Linked-ETag": f'"{sha256}"',
                "X-Repo-Commit": commit,
            }
            answer.reply(302, b"", {"Location": f"{self.cdn}/{sha256}?Signature=s3cret", **linked})
        else:
            answer.reply(
                307,
                b"",
                {
                    "Location": f"/api/resolve-cache/models/{name}/{commit}/{quote(path)}",
                    "X-Repo-Commit": commit,
                },
            )

    def _cdn(self, answer: Answer) -> None:
        if "Authorization" in answer.headers:
            answer.error(400, "", "Only one auth mechanism allowed")
            return
        name, data = self._lfs[urlsplit(answer.path).path[1:]]
        self.send_file(answer, name, data, {"ETag": f'"{hashlib.md5(data).hexdigest()}"'})  # noqa: S324 - as the CDN

    def _may(self, answer: Answer, name: str, *, files: bool) -> bool:
        """Whether the request may see the repository, or its `files`; if not it is answered as the hub does."""
        token = answer.headers.get("Authorization", "").removeprefix("Bearer ")
        repo = self.repos.get(name)
        if self.limited and not token:
            answer.error(429, "", "We had to rate limit your IP. To continue, sign in.")
            return False
        if token and token not in self.tokens:
            answer.error(401, "", "Invalid credentials in Authorization header")
        elif repo is None or (repo.private and name not in self.tokens.get(token, ())):
            if token:
                answer.error(404, "RepoNotFound", "Repository not found")
            else:
                answer.error(401, "", "Invalid username or password.")
        elif files and repo.gated and name not in self.tokens.get(token, ()):
            message = f"Access to model {name} is restricted."
            answer.error(403 if token else 401, "GatedRepo", message)
        else:
            return True
        return False


def _in_lfs(path: str) -> bool:
    return path.endswith((".safetensors", ".gguf", ".bin"))


def _git(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 - as git


def _blob(path: str, data: bytes) -> dict[str, Any]:
    blob: dict[str, Any] = {"size": len(data), "blobId": _git(data)}
    if _in_lfs(path):
        blob["lfs"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 134}
    return blob
