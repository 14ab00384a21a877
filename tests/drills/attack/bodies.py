"""
Hostile bodies at the engine, sent by one who holds the key: a colleague's broken client, or a prompt that got out of hand.

The law: the engine answers or hangs up within `_PATIENCE_S`; it reads and writes no file that it was not given and
calls no address; and afterwards the next request is served, within the time that a restart takes.
"""

from __future__ import annotations

import json
import socket
from functools import partial
from random import Random
from typing import Any

import httpx2

from attack.law import Attack, Canary, Watch
from attack.stage import MODEL, Stage, completes

_DOOR = "llama.cpp, inside"
_PATIENCE_S = 120.0
_HANGS_UP_AFTER_S = 4.0
"""Where what was asked for may take as long as it likes, until the client is gone."""
_RESTARTS_WITHIN_S = 240.0
"""As long has the supervisor to notice, and the engine to load this small model again."""
_LARGEST = 2**31 - 1
_FIELDS = (
    "prompt", "n_predict", "max_tokens", "temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty",
    "frequency_penalty", "dry_multiplier", "dry_base", "dry_allowed_length", "dry_sequence_breakers", "mirostat", "mirostat_tau", "seed",
    "n_probs", "logprobs", "logit_bias", "stop", "grammar", "json_schema", "samplers", "cache_prompt", "id_slot", "lora", "n_keep",
    "n_discard", "t_max_predict_ms", "n", "best_of", "xtc_probability", "dynatemp_range", "stream", "stream_options", "model",
    "return_tokens", "timings_per_token", "post_sampling_probs", "response_fields", "n_indent", "ignore_eos", "min_keep",
)  # fmt: skip
_CHAT_FIELDS = (
    "messages", "tools", "tool_choice", "response_format", "chat_template", "chat_template_kwargs", "parse_tool_calls", "reasoning_format",
    "add_generation_prompt", "parallel_tool_calls", "thinking_budget_tokens", "reasoning_effort",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (  # Any: JSON
    -1, -(2**31), 2**63, 1e308, "x", "", [], {}, None, True, [[]], {"": {"": None}}, "\x00", "\ud800", [None, -1, "x"],
    "A" * 5000, [[_LARGEST, 1e308]], {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}},
)  # fmt: skip


def attacks(random: Random) -> list[Attack]:
    """All bodies, the deadly ones last."""
    made = [*_wrong_types(random), *_no_json(random), *_templates(), *_files_and_addresses()]
    return [*made, *_heavy(random), *_deadly()]


def watches(stage: Stage) -> dict[str, Watch]:
    """The next one is served, and no file is otherwise than it was."""
    canary: list[Canary] = []

    def look() -> str:
        if not canary:
            canary.append(Canary(stage.root / "canary"))
        return completes(stage.engine, patience_s=_RESTARTS_WITHIN_S) or canary[0].changed()

    return {_DOOR: Watch(look)}


def _attack(
    kind: str, name: str, path: str, body: bytes, content_type: str = "application/json", **more: Any
) -> Attack:  # Any: as _posted takes
    headers = {"Content-Type": content_type, **more.pop("headers", {})}
    carry_out = partial(_posted, path, body, headers)
    return Attack(
        door=_DOOR,
        kind=kind,
        name=f"{path}: {name}"[:160],
        carry_out=carry_out,
        alone=more.get("alone", True),
    )


def _posted(path: str, body: bytes, headers: dict[str, str], stage: Stage) -> str:
    server = stage.engine
    url = f"http://127.0.0.1:{server.port}{path.replace('@', str(stage.root))}"
    body = body.replace(b"@ROOT@", str(stage.root).encode())
    key = {"Authorization": f"Bearer {server.key}"} if server.key else {}
    try:
        with httpx2.Client(trust_env=False, verify=False, timeout=_PATIENCE_S) as client:
            came = client.post(url, content=body, headers={**key, **headers})
    except httpx2.TimeoutException:
        return f"no answer within {_PATIENCE_S:g} s"
    except httpx2.HTTPError:
        return completes(server, patience_s=_RESTARTS_WITHIN_S)
    return "it shows a file that it was not given" if "precious" in came.text else ""


def _wrong_types(random: Random) -> list[Attack]:
    made = []
    chat = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, "model": MODEL}
    plain = {"prompt": "hi", "n_predict": 2, "model": MODEL}
    for path, base, fields in (("/completion", plain, _FIELDS), ("/v1/chat/completions", chat, _CHAT_FIELDS)):
        for field in fields:
            for value in random.sample(_VALUES, 3):
                body = json.dumps({**base, field: value}).encode()
                made.append(
                    _attack("wrong types", f"{field} = {json.dumps(value)[:60]}", path, body, alone=False)
                )
    for path in (
        "/tokenize",
        "/detokenize",
        "/apply-template",
        "/infill",
        "/v1/embeddings",
        "/v1/responses",
        "/v1/messages",
    ):
        for value in random.sample(_VALUES, 4):
            body = json.dumps(
                {"content": value, "tokens": value, "messages": value, "input": value, "max_tokens": 2}
            ).encode()
            made.append(_attack("wrong types", f"all = {json.dumps(value)[:60]}", path, body, alone=False))
    return made


def _no_json(random: Random) -> list[Attack]:
    texts = [
        b"", b"{", b"}", b"[]", b"null", b"1", b'"x"', b"\xff\xfe{}", b'{"prompt": "\xff\xfe\xfa"}', b'{"prompt": "\xc0\xaf"}', b'{"prompt": "\\ud800"}',
        b'{"prompt": NaN}', b'{"temperature": 1e99999, "prompt": "x"}', b'{"n_predict": 99999999999999999999999, "prompt": "x"}', b"\x00" * 100,
        b'{"prompt": "a", "prompt": "b", "n_predict": 1}', b'{"prompt": "x"' + b" " * 200_000, b"[" * 100_000, b'{"a":' * 100_000,
        b'{"prompt": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", b'{"messages": ' + b'[{"content": ' * 20_000, b"\xef\xbb\xbf{}", b"prompt=hi&n_predict=1",
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file://@ROOT@/canary/precious.txt">]><x>&e;</x>', json.dumps({"prompt": "hi"}).encode("utf-16"),
    ]  # fmt: skip
    texts += [random.randbytes(random.randint(1, 3000)) for _ in range(15)]
    kinds = (
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "",
    )
    paths = ("/completion", "/v1/chat/completions", "/v1/completions", "/tokenize", "/lora-adapters")
    return [
        _attack("no JSON", f"{text[:30]!r} as {kind}", random.choice(paths), text, kind, alone=False)
        for text in texts for kind in random.sample(kinds, 3)
    ]  # fmt: skip


def _templates() -> list[Attack]:
    spells = (
        "{{ 7*7 }}", "{% for x in range(10**9) %}{% endfor %}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{% include '/etc/passwd' %}",
        "{{ cycler.__init__.__globals__.os.system('touch @ROOT@/canary/pwned') }}", "{{ 'A' * 10**8 }}", "{% raw %}" * 5000, "{{" * 20_000, "{%- macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{{ raise_exception('x') }}", "{{ messages[99999].x.y.z }}", "{{ (1).__add__ }}", "{{ [1]|map('attr','x')|list }}",
    )  # fmt: skip
    made = []
    for spell in spells:
        for body in (
            {"messages": [{"role": "user", "content": spell}], "max_tokens": 1},
            {"messages": [{"role": spell, "content": "x"}], "max_tokens": 1},
            {"messages": [{"role": "user", "content": "x"}], "chat_template": spell, "max_tokens": 1},
            {"messages": [{"role": "user", "content": "x"}], "chat_template_kwargs": {"x": spell, "enable_thinking": spell}, "max_tokens": 1},
            {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": spell, "parameters": {"description": spell}}}], "max_tokens": 1},
        ):  # fmt: skip
            made.append(
                _attack(
                    "templates", spell[:40], "/v1/chat/completions", json.dumps(body).encode(), alone=False
                )
            )
    return made


def _files_and_addresses() -> list[Attack]:
    made = []
    names = (
        "../../precious.txt",
        "@ROOT@/canary/precious.txt",
        "/etc/passwd",
        "precious.txt",
        "..\\..\\x",
        "\x00",
        "a/b",
        "@ROOT@/canary/written-by-the-engine",
    )
    for name in names:
        body = json.dumps({"filename": name}).encode()
        made += [
            _attack("files and addresses", f"{action} {name!r}", f"/slots/0?action={action}", body)
            for action in ("save", "restore", "erase")
        ]
        for path in ("/lora-adapters", "/props", "/models/load", "/tools", "/v1/audio/transcriptions"):
            given = (
                [{"id": 0, "path": name, "scale": 1.0}]
                if path == "/lora-adapters"
                else {
                    "path": name,
                    "model": name,
                    "lora": name,
                    "file": name,
                    "tool": "read_file",
                    "params": {"path": name},
                }
            )
            made.append(_attack("files and addresses", repr(name), path, json.dumps(given).encode()))
    urls = (
        "file://@ROOT@/canary/precious.txt",
        "file:///etc/passwd",
        "http://127.0.0.1:@PORT@/x.png",
        "http://[::1]:@PORT@/x.png",
        "data:image/png;base64,AAAA",
        "gopher://127.0.0.1:@PORT@/",
    )
    for url in urls:
        part = {"type": "image_url", "image_url": {"url": url}}
        audio = {"type": "input_audio", "input_audio": {"data": url, "format": "wav"}}
        for one in (part, audio, {"type": "text", "text": url}):
            chat = {"messages": [{"role": "user", "content": [one]}], "max_tokens": 1}
            made.append(
                Attack(
                    door=_DOOR,
                    kind="files and addresses",
                    name=f"{one['type']} {url}",
                    carry_out=partial(_calls, "/v1/chat/completions", chat),
                )
            )
        made.append(
            Attack(
                door=_DOOR,
                kind="files and addresses",
                name=f"cors-proxy {url}",
                carry_out=partial(_calls, f"/cors-proxy?url={url}", {}),
            )
        )
        made.append(
            Attack(
                door=_DOOR,
                kind="files and addresses",
                name=f"mcp {url}",
                carry_out=partial(_calls, "/mcp", {"server": url, "url": url}),
            )
        )
    return made


def _calls(path: str, body: Any, stage: Stage) -> str:  # Any: JSON
    """Whether the engine calls an address or shows a file for a body that names one."""
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.05)
        port = str(trap.getsockname()[1])
        text = json.dumps(body).replace("@PORT@", port)
        why = _posted(
            path.replace("@PORT@", port).replace("@ROOT@", str(stage.root)),
            text.encode(),
            {"Content-Type": "application/json"},
            stage,
        )
        try:
            trap.accept()[0].close()
        except TimeoutError:
            return why
        return "it called an address for a client"


def _heavy(random: Random) -> list[Attack]:
    """What costs, and must end."""
    schema: dict[str, Any] = {"type": "string"}  # Any: JSON
    for _ in range(200):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    bodies: dict[str, Any] = {  # Any: JSON
        "a prompt of a megabyte": {"prompt": "x " * 500_000},
        "tokens that are none": {"prompt": [-1, _LARGEST, 2**40]},
        "many prompts": {"prompt": ["x"] * 300, "n_predict": 1},
        "all tokens of the context": {"prompt": "hi", "n_predict": -1, "ignore_eos": True},
        "endless": {"prompt": "hi", "n_predict": _LARGEST, "ignore_eos": True},
        "a schema of 200 levels": {"prompt": "hi", "json_schema": schema, "n_predict": 4},
        "a schema that repeats": {"prompt": "hi", "json_schema": {"type": "string", "pattern": "^(a{1000}){1000}$"}, "n_predict": 4},
        "a schema of many": {"prompt": "hi", "json_schema": {"enum": [f"v{n}" for n in range(5000)]}, "n_predict": 4},
        "minItems": {"prompt": "hi", "json_schema": {"type": "array", "items": {"type": "integer"}, "minItems": 100_000}, "n_predict": 4},
        "a grammar that is none": {"prompt": "hi", "grammar": "root ::= " + "x" * 10_000, "n_predict": 4},
        "a grammar that recurs": {"prompt": "hi", "grammar": "root ::= root", "n_predict": 4},
        "a grammar of many ways": {"prompt": "hi", "grammar": 'root ::= ("a" | "a" | "a")*', "n_predict": 32},
        "all probabilities": {"prompt": "hi", "n_probs": 100_000, "n_predict": 8},
        "many stops": {"prompt": "hi", "stop": ["x" * 100] * 20_000, "n_predict": 4},
        "biases": {"prompt": "hi", "logit_bias": [[n, 1e30] for n in range(3000)], "n_predict": 4},
        "repeat_last_n": {"prompt": "hi", "repeat_last_n": -1, "repeat_penalty": 1e30, "n_predict": 4},
        "n": {"prompt": "hi", "n": 10_000, "n_predict": 1},
        "breakers": {"prompt": "hi", "dry_multiplier": 1, "dry_sequence_breakers": ["x" * 1000] * 2000, "n_predict": 4},
    }  # fmt: skip
    return [
        Attack(
            door=_DOOR,
            kind="heavy",
            name=name,
            carry_out=partial(_survived, json.dumps(body).encode(), _HANGS_UP_AFTER_S),
        )
        for name, body in bodies.items()
    ]


def _deadly() -> list[Attack]:
    """Requests that end llama.cpp, or keep it from everything else: seen to."""
    bodies: dict[str, Any] = {  # Any: JSON
        "a grammar of 40,000 brackets": {"prompt": "hi", "grammar": "root ::= " + "(" * 40_000 + '"a"' + ")" * 40_000, "n_predict": 4},
        "a ring of two milliards": {"prompt": "hi", "dry_multiplier": 1, "dry_penalty_last_n": _LARGEST, "n_predict": 4},
    }  # fmt: skip
    return [
        Attack(
            door=_DOOR, kind="deadly", name=name, carry_out=partial(_survived, json.dumps(body).encode(), 2.0)
        )
        for name, body in bodies.items()
    ]


def _survived(body: bytes, patience_s: float, stage: Stage) -> str:
    """Whether the next one is served after a body that ends the engine, or after whose sender hung up."""
    server = stage.engine
    key = {"Authorization": f"Bearer {server.key}"} if server.key else {}
    try:
        with httpx2.Client(trust_env=False, verify=False, timeout=patience_s) as client:
            client.post(f"http://127.0.0.1:{server.port}/completion", content=body, headers=key)
    except httpx2.HTTPError:
        pass  # It died, or is deaf: what counts is that it comes back.
    return completes(server, patience_s=_RESTARTS_WITHIN_S)
