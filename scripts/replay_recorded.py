"""
Compare the rehearsal with recorded HTTP traffic of Google Cloud: the same requests, and whether they get the same status.

    .venv/bin/python scripts/replay_recorded.py FOLDER [--list] [--like TEXT]

FOLDER holds logs named `_http.log`, such as a checkout of GoogleCloudPlatform/k8s-config-connector has them below
`pkg/test/resourcefixture/testdata`: requests and answers, parted by `---`, with what differs from run to run replaced by
`${projectId}`, `${networkID}` and the like. Nothing of them is kept here.

Each log is replayed on a cloud of its own, whose changes are seen at once and where nobody is refused for a permission. Not
all of a log can be decided: other projects and organisations, APIs that are not rehearsed, one placeholder that stands for
two things, and what was made before the log begins. Logs in which an operation of Compute Engine has no `operationType` are
left out: Google always tells it, and the project's own mock does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcp_rehearsal import discovery
from gcp_rehearsal.call import Request
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.settings import AT_ONCE, OWNER, Project

PROJECT, NUMBER = "replayed-project-1", "481516234200"
FIXED = {
    "projectId": PROJECT, "projectNumber": NUMBER, "uniqueId": "abcdef123", "kccVersion": "1.0",
    "organizationID": "123450001", "folderID": "123450002", "billingAccountID": "123456-777777-000001",
}  # fmt: skip
WHEN = 1_711_900_000.0
"""Before the moment that logs put in the place of every other."""
FORGOTTEN = "1234567890"
"""In the place of an operation that this replay has not begun."""
APIS = frozenset(name.partition(".")[0] for name in discovery.NAMES)
VARIABLE = re.compile(r"\$\{(\w+)\}")
_REQUEST = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (https?://([^/\s]+)(/[^?\s]*)(?:\?(\S*))?)")
_STATUS = re.compile(r"\d{3} [A-Za-z]")
_OPAQUE = frozenset(("etag", "fingerprint", "labelFingerprint", "metadataFingerprint", "settingsVersion"))
_OPERATIONS = frozenset(("operationID", "changeId", "changeID"))
_ACTIONS = re.compile(r"(?:/(?:get|set|testIam)\w+|:[a-zA-Z]+)$")
_ELSEWHERE = re.compile(r"/(?:folders|organizations|billingAccounts)/|/v\d/(?:folders|organizations)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedExchange:
    """One request of a log, and what it was answered."""

    verb: str
    host: str
    path: str
    query: str
    body: str
    status: int
    answer: Any  # Any: JSON


def read(text: str) -> Iterator[RecordedExchange]:
    """Yield what a log holds of HTTP; calls of gRPC are left out."""
    for chunk in text.split("\n---\n"):
        lines = chunk.strip("\n").split("\n")
        asked = _REQUEST.fullmatch(lines[0])
        if asked is None:
            continue
        start = lines.index("") + 1 if "" in lines else len(lines)
        end = next((n for n in range(start, len(lines)) if _STATUS.match(lines[n])), len(lines))
        told = "\n".join(lines[lines.index("", end) + 1 :]) if "" in lines[end:] else ""
        yield RecordedExchange(
            verb=asked[1], host=asked[3], path=asked[4], query=asked[5] or "", body="\n".join(lines[start:end]).strip(),
            status=int(lines[end][:3]) if end < len(lines) else 0, answer=_json(told),
        )  # fmt: skip


def _json(text: str) -> Any:  # Any: JSON
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        return {}


@dataclass(kw_only=True)
class Replay:
    """One log on a cloud of its own."""

    known: dict[str, str] = field(default_factory=lambda: dict(FIXED))
    """What stands for each placeholder."""
    chosen: set[str] = field(default_factory=set)
    """Placeholders that stand for what the client named."""
    doubtful: set[str] = field(default_factory=set)
    """Placeholders that stand for more than one thing."""
    seen: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    live: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    after: bool = False
    """Whether something before was not acted out, so that what follows may not find it."""

    def __post_init__(self) -> None:
        projects = (Project(id=PROJECT, number=NUMBER, default_network=True),)
        self.cloud = Cloud(projects=projects, delays=AT_ONCE, clock=Clock(start=WHEN))
        for api in discovery.described() | APIS:
            self.cloud.enabled[PROJECT, f"{api}.googleapis.com"] = float("-inf")
        access: Any = self.cloud.access  # Any: what nobody is refused is not what is judged here
        access.demand = lambda _: None
        access.held = lambda _, needed, *__: set(needed)

    def prepare(self, log: list[RecordedExchange]) -> bool:
        """Find what placeholders stand for; return False for a log that a mock has made."""
        posted, asked = defaultdict(list), defaultdict(set)
        for one in log:
            place = f"{one.host}{one.path}"
            if _is_operation(one.answer) and one.verb != "GET" and "operationType" not in one.answer:
                return False
            if one.verb == "POST" and one.status == 200 and isinstance(named := _name(_json(one.body)), str):
                posted[place].append(named)
            if one.verb == "GET":
                asked[place.rpartition("/")[0]].add(place.rpartition("/")[2])
        for place, names in posted.items():
            literal = {name for name in names if name not in asked[place]}
            for variable in {name[2:-1] for name in asked[place] if VARIABLE.fullmatch(name)} - set(FIXED):
                if f"${{{variable}}}" in names or not literal:
                    continue
                if len(literal) > 1:
                    self.doubtful.add(variable)
                else:
                    self.known[variable] = self.filled(next(iter(literal)))
                    self.chosen.add(variable)
        return True

    def filled(self, text: str) -> str:
        """Return a text of the log with what stands here for its placeholders."""

        def one(found: re.Match[str]) -> str:
            name = found[1]
            if name in _OPERATIONS:
                return self.known.get(name, FORGOTTEN)
            if name not in self.known:
                self.known[name] = name.lower()[:40]
                self.chosen.add(name)
            return self.known[name]

        return VARIABLE.sub(one, text)

    def learn(self, recorded: Any, ours: Any) -> None:  # Any: JSON
        """Note the names that the rehearsal gave where Google gave another."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            for key in recorded.keys() & ours.keys():
                if key not in {"id", "targetId", "selfLinkWithId", "uid"} or "hange" in str(recorded[key]):
                    self.learn(recorded[key], ours[key])
        elif isinstance(recorded, list) and isinstance(ours, list):
            for theirs, our in zip(recorded, ours, strict=False):
                self.learn(theirs, our)
        elif isinstance(recorded, str) and isinstance(ours, str | int) and "${" in recorded:
            parts = re.split(r"(\$\{\w+\})", VARIABLE.sub(lambda one: FIXED.get(one[1], one[0]), recorded))
            names = [part[2:-1] for part in parts if VARIABLE.fullmatch(part)]
            pattern = "".join("([^/]+)" if VARIABLE.fullmatch(part) else re.escape(part) for part in parts)
            found = re.fullmatch(pattern, str(ours))
            for name, value in zip(names, found.groups() if found else (), strict=False):
                if name not in FIXED and name not in self.chosen:
                    self.known[name] = value

    async def verdict(self, one: RecordedExchange) -> tuple[str, str]:
        """Return what came of a request, and the rehearsal's words where it answered otherwise."""
        if one.verb != "GET":
            self.known.pop("operationID", None)
        if discovery.api_of(one.host) not in APIS or not one.status:
            return "undecidable", ""
        place = f"{one.host}{one.path}"
        if self.doubtful & set(VARIABLE.findall(f"{place}{one.query}{one.body}")):
            self.foreign.add(self.filled(place))
            return "undecidable", ""
        path, query, body = self.filled(one.path), self.filled(one.query), self.filled(one.body)
        project = re.search(r"/(?:projects|namespaces)/([^/:?]+)", path)
        if (project and project[1] not in {PROJECT, NUMBER, "-"}) or _ELSEWHERE.search(path):
            return "undecidable", ""
        place = f"{one.host}{path}"
        fresh = _made_at(one, place, query, _json(body))
        if (one.status == 404 and one.verb == "GET" and place in self.live) or (
            one.status == 200 and fresh in self.live
        ):
            named = one.path.rpartition("/")[2] if one.verb == "GET" else one.body
            self.doubtful |= set(VARIABLE.findall(named)) - set(FIXED)
            self.foreign |= {place, fresh or place}
            return "undecidable", ""
        return await self._compared(one, place, Request(
            verb=one.verb, host=one.host, path=path, query=query, headers=self._headers(),
            body=self._current(body, place).encode(),
        ), fresh)  # fmt: skip

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.cloud.token(OWNER)}", "content-type": "application/json"}

    def _current(self, body: str, place: str) -> str:
        """Return a body with this cloud's own etags and fingerprints."""
        wanted, mine = _json(body), self.seen.get(_key(place))
        if body and mine is not None:
            _freshen(wanted, mine)
            return json.dumps(wanted)
        return body

    async def _compared(
        self, one: RecordedExchange, place: str, request: Request, fresh: str
    ) -> tuple[str, str]:
        reply = await self.cloud.handle(request)
        ours = _json(reply.body.decode() if isinstance(reply.body, bytes) else "")
        self.learn(one.answer, ours)
        if reply.status < 400 and not _is_operation(ours) and "perations/" not in str(_name(ours)):
            self.seen[_key(place)] = ours
        said = str((ours.get("error") or {}).get("message", "")) if isinstance(ours, dict) else ""
        found = self._kind(one, place, reply.status, said)
        if found == "undecidable" and fresh:
            self.foreign.add(fresh)  # It is not here, and so what follows on it is not decided, either.
        if one.status == 200 and fresh:
            self.live.add(fresh)
            self.made.add(fresh)
        if one.status < 300 and one.verb in {"POST", "PUT", "PATCH"}:
            self.made.add(_key(place))
        if one.status < 300 and one.verb == "DELETE":
            self.live.discard(place)
        return found, said

    def _kind(self, one: RecordedExchange, place: str, status: int, said: str) -> str:
        if status == one.status:
            return "same"
        self.after = self.after or (status == 501 and one.verb != "GET")
        if status == 501 or (self.after and one.status < 300 and status in {400, 404}):
            return "not acted out"
        if one.status < 300 and status in {400, 404} and self._is_undecidable(one, place, status, said):
            return "undecidable"
        if one.status < 400 <= status:
            return "refused"
        return "accepted" if status < 400 <= one.status else "other status"

    def _is_undecidable(self, one: RecordedExchange, place: str, status: int, said: str) -> bool:
        """Return True where what was not found, or is in use, need not be the thing that the log means."""
        if FORGOTTEN in place or (self.doubtful and "already being used by" in said):
            return True
        if status == 404 and one.verb == "GET" and place not in self.made and "perations" not in place:
            self.foreign.add(place)
        tails = [
            f"projects/{other.partition('/projects/')[2]}" for other in self.foreign if "/projects/" in other
        ]
        return any(place.startswith(other) for other in self.foreign) or any(tail in said for tail in tails)


def _name(body: Any) -> Any:  # Any: JSON
    return body.get("name") if isinstance(body, dict) else None


def _is_operation(body: Any) -> bool:  # Any: JSON
    return isinstance(body, dict) and body.get("kind") == "compute#operation"


def _key(place: str) -> str:
    """Return what a request is about, whatever it does with it; policies are things of their own."""
    return _ACTIONS.sub("", place) + ("#policy" if "IamPolicy" in place else "")


def _made_at(one: RecordedExchange, place: str, query: str, body: Any) -> str:  # Any: JSON
    """Return the place of what a POST to a collection makes; '' for any other request."""
    last = place.rpartition("/")[2]
    if (
        one.verb != "POST"
        or ":" in last
        or re.match(r"(?:set|get|test|add|remove|patch|validate|list|resize)[A-Z]?", last)
    ):
        return ""
    given = re.search(r"(?:^|&)(?!projectId|requestId)\w+Id=([^&]+)", query)
    account = body.get("accountId") if isinstance(body, dict) else None
    email = f"{account}@{PROJECT}.iam.gserviceaccount.com" if account else None
    name = given[1] if given else _name(body) or email
    return f"{place}/{str(name).rpartition('/')[2]}" if name else ""


def _freshen(wanted: Any, mine: Any) -> None:  # Any: JSON
    if isinstance(wanted, dict) and isinstance(mine, dict):
        for key, value in wanted.items():
            if key in _OPAQUE and isinstance(value, str) and key in mine:
                wanted[key] = mine[key]
            else:
                _freshen(value, mine[key] if key in mine and key != "policy" else mine)
    elif isinstance(wanted, list) and isinstance(mine, list):
        for one, other in zip(wanted, mine, strict=False):
            _freshen(one, other)


async def replay(text: str) -> list[tuple[str, RecordedExchange, str]]:
    """Return what came of each request of a log."""
    log, run = list(read(text)), Replay()
    if not run.prepare(log):
        return [("undecidable", one, "") for one in log]
    told = []
    for one in log:
        kind, said = await run.verdict(one)
        told.append((kind, one, said))
    return told


def shares(found: Mapping[str, int]) -> str:
    """Return the share of equal statuses among those that can be decided."""
    decided = sum(found[kind] for kind in ("same", "refused", "accepted", "other status"))
    return f"{found['same']} of {decided} ({100 * found['same'] / max(decided, 1):.1f} %)"


def main() -> None:
    """Print what came of all logs below a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--like", default="", help="only logs with this in their path")
    parser.add_argument("--list", action="store_true", help="tell each request that was answered otherwise")
    asked = parser.parse_args()
    every: Counter[str] = Counter()
    changing: Counter[str] = Counter()
    for path in sorted(one for one in asked.folder.rglob("_http.log") if asked.like in str(one)):
        for kind, one, said in asyncio.run(replay(path.read_text())):
            every[kind] += 1
            changing[kind] += one.verb != "GET"
            if asked.list and kind in {"refused", "accepted", "other status"}:
                print(f"{kind}: {one.verb} {one.host}{one.path}: {one.status} recorded. {said}\n  {path}")
    print(
        json.dumps(
            {"requests": dict(every), "same": shares(every), "same of those that change": shares(changing)}
        )
    )
    sys.exit(0 if every else 2)


if __name__ == "__main__":
    main()
