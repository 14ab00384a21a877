"""
Requests of those who do not hold the key, at every server that homeport opens.

The law: nobody without the key reads a word of the model's, causes a token, a build or a call, or learns more than
that a server lives; a foreign page does not even with the key, where a server of homeport's own looks at it; the
server answers or hangs up, and afterwards serves its owner.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

import httpx2

from attack import raw_requests as raw
from attack.law import Attack, Watch, shown
from attack.raw_requests import Raw, Target
from attack.stage import MODEL, WORDS, Server, Stage, asked, completes
from attack.wire import Answer, exchange

_REFUSED = frozenset({400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 417, 421, 422, 426, 431, 501, 505})
_LIVES = re.compile(r'^\s*(?:|\{"status": ?"ok"[^}]*\}|ok)\s*$')
"""All that an open path may say."""
_COMPLETION = b'{"prompt": "hi", "messages": [{"role": "user", "content": "hi"}], "input": "hi", "content": "hi", "max_tokens": 1}'
_ENGINE_PATHS = (
    "GET /v1/models", "POST /v1/completions", "POST /v1/chat/completions", "POST /completion", "GET /props", "POST /props",
    "GET /slots", "POST /slots/0?action=save", "POST /slots/0?action=restore", "POST /slots/0?action=erase", "GET /metrics",
    "GET /lora-adapters", "POST /lora-adapters", "POST /v1/embeddings", "POST /tokenize", "POST /detokenize",
    "POST /apply-template", "POST /infill", "POST /v1/responses", "POST /v1/messages", "POST /v1/rerank", "POST /api/chat",
    "GET /api/tags", "GET /models", "POST /models/load", "POST /models/unload", "GET /", "GET /index.html", "POST /tools",
    "POST /cors-proxy", "GET /cors-proxy?url=http://127.0.0.1/", "POST /mcp", "POST /v1/audio/transcriptions",
)  # fmt: skip
_VLLM_PATHS = (
    "GET /v1/models", "POST /v1/completions", "POST /invocations", "GET /metrics", "GET /docs", "GET /openapi.json", "POST /tokenize",
    "POST /v1/load_lora_adapter", "POST /collective_rpc", "POST /sleep", "POST /pause", "GET /server_info", "GET /ping", "GET /version",
)  # fmt: skip
_PROXY_PATHS = (
    "GET /v1/models", "POST /v1/completions", "POST /v1/chat/completions", "GET /metrics", "GET /props", "POST /lora-adapters",
    "GET /", "POST /invocations", "DELETE /v1/models/x",
)  # fmt: skip
_MCP_CALL = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "down", "arguments": {"name": "attacked"}}}'
_MCP_PATHS = (
    "POST /mcp", "GET /mcp", "DELETE /mcp", "POST /mcp/", "POST /messages", "GET /sse", "GET /", "POST /",
    "GET /.well-known/oauth-protected-resource", "GET /.well-known/oauth-authorization-server", "POST /register", "POST /token",
)  # fmt: skip
_BUILD = (
    b'{"steps": [{"name": "python:3.12-slim", "script": "#!/usr/bin/env python\\nopen(\'@CANARY@\', \'w\')"}],'
    b' "options": {"logging": "CLOUD_LOGGING_ONLY"}}'
)
_REHEARSAL_PATHS = (
    "POST /v1/projects/rehearsal/locations/us-central1/builds", "POST /v1/projects/rehearsal/builds",
    "GET /v2/projects/rehearsal/locations/us-central1/services", "GET /storage/v1/b?project=rehearsal",
    "POST /storage/v1/b?project=rehearsal", "GET /v1/projects/rehearsal/serviceAccounts", "POST /v1/projects/rehearsal:setIamPolicy",
    "POST /v1/projects/rehearsal/secrets?secretId=x", "GET /v1/projects/rehearsal/secrets", "GET /homeport/v1/instances",
    "DELETE /v2/projects/rehearsal/locations/us-central1/services/home", "POST /v2/entries:list", "GET /apis/serving.knative.dev/v1/namespaces/rehearsal/services",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A server and what is tried on it."""

    name: str
    server: Callable[[Stage], Server]
    target: Target
    looks_at_pages: bool
    """Whether what a browser says of a foreign page is refused even with the key."""
    looks_at_hosts: bool
    """Whether a foreign host is refused even with the key."""
    hosts: tuple[bytes, ...] = (raw.HOST,)
    """Names that it answers to, besides its address."""


def target(paths: Sequence[str], harmless: bytes, body: bytes = _COMPLETION) -> Target:
    """What is asked for at a door, from words such as "GET /v1/models"."""
    pairs = tuple((one.encode().split(b" ")[0], one.encode().split(b" ")[1]) for one in paths)
    return Target(paths=pairs, body=body, harmless=harmless)


DOORS = (
    Door(name="llama.cpp", server=lambda stage: stage.engine, target=target(_ENGINE_PATHS, b"/health"), looks_at_pages=False, looks_at_hosts=False),
    Door(name="vLLM's wrapper", server=lambda stage: stage.vllm, target=target(_VLLM_PATHS, b"/health"), looks_at_pages=False, looks_at_hosts=True),
    Door(name="proxy", server=lambda stage: stage.proxy, target=target(_PROXY_PATHS, b"/health"), looks_at_pages=True, looks_at_hosts=True),
    Door(
        name="rehearsal", server=lambda stage: stage.rehearsal, target=target(_REHEARSAL_PATHS, b"/nothing", _BUILD), looks_at_pages=True, looks_at_hosts=True,
        hosts=(raw.HOST, b"cloudbuild.googleapis.com", b"run.googleapis.com", b"storage.googleapis.com", b"secretmanager.googleapis.com"),
    ),
    Door(
        name="rehearsal --inside", server=lambda stage: stage.inside, target=target(_REHEARSAL_PATHS[:6], b"/nothing", _BUILD),
        looks_at_pages=True, looks_at_hosts=True, hosts=(raw.HOST, b"cloudbuild.googleapis.com"),
    ),
    Door(name="mcp", server=lambda stage: stage.mcp, target=target(_MCP_PATHS, b"/health", _MCP_CALL), looks_at_pages=True, looks_at_hosts=True),
    Door(name="gateway", server=lambda stage: stage.guarded, target=target(_ENGINE_PATHS, b"/health"), looks_at_pages=True, looks_at_hosts=True),
)  # fmt: skip


def attacks(random: Random) -> list[Attack]:
    """All requests of strangers and of pages, door by door."""
    return [attack for door in DOORS for attack in at(door, random)]


def at(door: Door, random: Random) -> list[Attack]:
    """All requests that are tried on one door."""
    target = door.target
    kinds: list[tuple[str, list[Raw]]] = [
        ("wrong keys", raw.with_wrong_keys(target, random)),
        ("odd paths", raw.with_odd_paths(target, random, 93)),
        ("two ends", raw.with_two_ends(target, random, 110)),
        ("odd heads", raw.with_odd_heads(target, random, 72)),
        ("in rows", raw.in_rows(target, random, 30)),
        ("halves", raw.halves(target, random, 24)),
        ("pages without the key", raw.from_pages(target, random)),
    ]
    if door.looks_at_hosts:
        pages = raw.FOREIGN_PAGES if door.looks_at_pages else ()
        key = ((b"Authorization", b"Bearer " + raw.KEY),)
        kinds.append(("pages with the key", raw.from_pages(target, random, pages=pages, key=key)))
    return [
        Attack(
            door=door.name,
            kind=kind,
            name=one.name,
            carry_out=partial(sent, door, one, random.choice(door.hosts)),
            alone=False,
        )
        for kind, made in kinds
        for one in made
    ]


def sent(door: Door, one: Raw, host: bytes, stage: Stage) -> str:
    """Send a hostile request, and judge what comes back."""
    server = door.server(stage)
    address = f"127.0.0.1:{server.port}".encode()
    data = one.data.replace(b"@CANARY@", str(stage.root / "built-by-a-stranger").encode())
    if host == b"@SERVICE@":
        host = str(server.told["service"]).removeprefix("https://").encode()
    data = data.replace(raw.HOST, address if host == raw.HOST else host)
    data = data.replace(raw.KEY, (server.key or "no-key-there").encode())
    answer = exchange(server.port, data, patience_s=60.0 if one.whole else 0.4, slow=one.slow)
    return judged(answer, whole=one.whole, key="" if server.key.encode() in data else server.key)


def judged(answer: Answer, *, whole: bool, key: str) -> str:
    """Why this answer to somebody who may not have one is one too many; '' where it is none."""
    text = answer.text
    for word in (WORDS, MODEL, *((key,) if key else ())):
        if word in text:
            return shown(f"it tells {'its key' if word == key else word}: {text}")
    if (
        "access-control-allow-origin: http" in text.lower()
        or "access-control-allow-origin: *" in text.lower()
    ):
        return shown(f"it lets pages read: {text}")
    statuses = answer.statuses
    if whole and not statuses and not answer.closed:
        return "it neither answers nor hangs up"
    bad = [status for status in statuses if status not in _REFUSED]
    if not bad or (set(bad) <= {100} and set(statuses) <= _REFUSED | {100}):
        return ""
    if set(bad) <= {200, 204} and all(_only_lives(part) for part in text.split("HTTP/1.")[1:]):
        return ""
    return shown(f"{bad[0]}: {text}")


def _only_lives(response: str) -> bool:
    """Whether a response is a refusal, or says no more than that the server lives."""
    head, _, body = response.partition("\r\n\r\n")
    status = head.split(" ")[1:2]
    if status and status[0].isdigit() and int(status[0]) in _REFUSED:
        return True
    return _LIVES.match(body) is not None


def watches(stage: Stage) -> dict[str, Watch]:
    """For each door a look at its owner and at what may not have happened."""
    tokens: dict[str, str] = {}
    calls: list[int] = []

    def engine(server: Callable[[], Server]) -> str:
        counted, before = _tokens(server()), tokens.get(server().name)
        fell = (
            f"tokens were made for strangers: {before} → {counted}" if before not in {None, counted} else ""
        )
        why = completes(server())
        tokens[server().name] = _tokens(server())
        return fell or why

    def proxy() -> str:
        count = stage.served()
        fell = (
            f"{count - calls[-1]} calls of strangers came to the service"
            if calls and count != calls[-1]
            else ""
        )
        why = completes(stage.proxy)
        calls.append(stage.served())
        return fell or why

    def rehearsal(server: Callable[[], Server]) -> str:
        if (stage.root / "built-by-a-stranger").exists():
            (stage.root / "built-by-a-stranger").unlink()
            return "a stranger's build ran here"
        came = asked(server(), "/storage/v1/b?project=rehearsal")
        return "" if came.status_code == 200 and not came.json().get("items") else shown(came.text)

    def vllm() -> str:
        return (
            ""
            if asked(stage.vllm, "/v1/models").status_code == 200
            else "the holder of the key is not served"
        )

    def mcp() -> str:
        tools = ("homeport", "up", "down")
        why = listed(stage.mcp, tools)
        return why or completes(stage.engine)

    return {
        "mcp": Watch(mcp),
        "llama.cpp": Watch(lambda: engine(lambda: stage.engine)),
        "gateway": Watch(lambda: engine(lambda: stage.guarded)),
        "vLLM's wrapper": Watch(vllm),
        "proxy": Watch(proxy),
        "rehearsal": Watch(lambda: rehearsal(lambda: stage.rehearsal)),
        "rehearsal --inside": Watch(lambda: rehearsal(lambda: stage.inside)),
    }


def listed(server: Server, words: Sequence[str]) -> str:
    """Why the holder of the key is not told of homeport's tools; '' where they are."""
    client = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "owner", "version": "0"},
    }
    call = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    headers = {"Authorization": f"Bearer {server.key}", "Accept": "application/json, text/event-stream"}
    with httpx2.Client(trust_env=False, timeout=60.0, headers=headers) as http:
        came = http.post(f"http://127.0.0.1:{server.port}/mcp", json=call)
    return "" if came.status_code == 200 and all(word in came.text for word in words) else shown(came.text)


def _tokens(server: Server) -> str:
    """What the engine says of all tokens that it has read and made."""
    text = asked(server, "/metrics").text
    return " ".join(
        re.findall(r"^llamacpp:(?:prompt_tokens|tokens_predicted)_total (\S+)", text, re.MULTILINE)
    )
