"""
Hostile values in homeport.toml.

The law: what homeport promises something about cannot be said in any spelling; a value never becomes a line of a
Dockerfile, a flag or a path of its own; each file is accepted or refused in clear words.
"""

from __future__ import annotations

import json
from functools import partial
from random import Random
from typing import Any

from attack.law import Attack, Watch, shown
from attack.names import judged
from attack.stage import Stage
from attack.typed import typed
from places import TAUGHT

_VLLM = ("--host", "--port", "--uds", "--api-key", "--model", "--served-model-name", "--max-model-len", "--max-num-seqs", "--trust-remote-code", "--middleware", "--config", "--ssl-keyfile", "--allowed-origins", "--allow-credentials",
         "--root-path", "--enable-server-load-tracking", "--download-dir", "--chat-template", "--tool-parser-plugin", "--reasoning-parser-plugin", "--api-server-count", "--headless", "--hf-overrides", "--tokenizer", "--code-revision", "--logits-processors", "--worker-cls", "--worker-extension-cls", "--load-format", "--allowed-local-media-path", "--enable-log-requests")  # fmt: skip
_OWNED = _VLLM[:12]
"""Those that homeport promises something about: none of their spellings is let through."""
_LLAMA = ("hostnames", "port", "model", "model.path", "model_alias", "n_ctx", "n_parallel", "api_keys", "cors_origins", "cors_credentials", "server_tools", "media_path", "path_prompts_log_dir", "slot_save_path", "public_path", "ssl_file_key",
          "ssl_file_cert", "endpoint_props", "endpoint_slots", "ui", "chat_template", "lora_adapters", "log_file", "models_dir", "api_prefix", "path_prompt_cache", "logits_file", "out_file", "rpc_servers", "ssl_file_cert.x", "model.url", "model.hf_repo")  # fmt: skip
_VALUES: tuple[Any, ...] = ("", "x", "\x00", "a\nb", "a\r\nRUN id", "\x1b[2J", "../../x", "/etc/passwd", "$(id)", "`id`", "--help", "-x", "é", "A" * 20_000, 0, -1, 2**70, 1e308, True, [], ["x"], [[]], {}, "[::1]", "0.0.0.0", "evil.example")  # fmt: skip
_KEYS = ("name", "model", "weights", "engine.kind", "engine.context", "engine.parallel", "engine.dtype", "engine.quantization", "engine.kv_dtype", "engine.tool_parser", "engine.extra_args", "engine.lora", "local.host", "local.port", "local.api_key",
         "local.restart", "cloudrun.project", "cloudrun.region", "cloudrun.gpu", "cloudrun.image", "cloudrun.hub_token", "cloudrun.network", "cloudrun.timeout_s", "access.callers", "access.audience", "access.public", "access.encryption_key", "unknown.key")  # fmt: skip

_GIVEN = (None, "none", "", "env:", "file:", "env:EMPTY", "file:/dev/null", "plain", "env:SHORT")


def attacks(random: Random) -> list[Attack]:
    """All of them."""
    made = []
    for flag in _VLLM:
        for spelling in _spellings(flag, random):
            made.append(
                Attack(
                    door="files",
                    kind="owned settings",
                    name=f"vllm {spelling}"[:90],
                    carry_out=partial(_refused, "vllm", spelling, flag in _OWNED),
                )
            )
    for field in _LLAMA:
        for spelling in (
            [f"{field}='x'"],
            [f" {field}='x'"],
            [f"{field} ='x'"],
            [f"{field}.x=1"],
            ["n_batch=256", f"{field}=1"],
        ):
            made.append(
                Attack(
                    door="files",
                    kind="owned settings",
                    name=f"llamacpp {spelling}"[:90],
                    carry_out=partial(_refused, "llamacpp", spelling, True),
                )
            )
    for key in _KEYS:
        for value in random.sample(_VALUES, 9):
            made.append(
                Attack(
                    door="files",
                    kind="hostile values",
                    name=f"{key} = {value!r}"[:90],
                    carry_out=partial(_planned, key, value),
                )
            )
    for host in (
        "0.0.0.0",
        "::",
        "*",
        "10.0.0.1",
        "127.0.0.1\n",
        "127.0.0.1 ",
        "localhost.evil.example",
        "0",
        "0x7f000001",
        "2130706433",
        "::ffff:10.0.0.1",
        "127.0.0.1@0.0.0.0",
        "%",
        "[::]",
        "::%lo",
    ):
        made += [
            Attack(
                door="files",
                kind="open addresses",
                name=f"host {host!r} with the key {given}",
                carry_out=partial(_closed, host, given),
            )
            for given in _GIVEN
        ]
    return made


def watches(stage: Stage) -> dict[str, Watch]:
    """Each attack looks for itself."""
    return {}


def _spellings(flag: str, random: Random) -> list[list[str]]:
    bare = flag.removeprefix("--")
    cut = flag[: random.randint(4, max(4, len(flag) - 1))]
    return [
        [flag, "x"],
        [f"{flag}=x"],
        [flag.replace("-", "_").replace("__", "--"), "x"],
        [cut, "x"],
        [f"{cut}=x"],
        ["--enable-prefix-caching", flag, "x"],
        [f"-{bare}", "x"],
        [f"--no-{bare}"],
        [f"{flag} x"],
        [f"{flag}.a", "x"],
        [flag.upper(), "x"],
    ]


def _refused(engine: str, arguments: list[str], owned: bool, stage: Stage) -> str:
    """Whether extra arguments that say what homeport owns come as far as the engine's command."""
    from homeport.engines.llamacpp import engine as llamacpp
    from homeport.engines.vllm import engine as vllm
    from homeport.errors import SpecError
    from homeport.spec import parse

    try:
        spec = parse({"engine": {"kind": engine, "extra_args": arguments}})
        (vllm if engine == "vllm" else llamacpp).check(spec.engine)
    except SpecError:
        return ""
    return shown(f"it is let through: {arguments}") if owned else ""


def _typed(table: dict[str, Any], stage: Stage, *command: str) -> tuple[int, str]:  # Any: JSON
    folder = stage.root / "files"
    folder.mkdir(exist_ok=True)
    lines = [f"{key} = {_toml(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += [f"[{key}]", *(f"{inner} = {_toml(one)}" for inner, one in value.items())]
    (folder / "homeport.toml").write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
    env = {
        **stage.env,
        "HOMEPORT_HOME": str(stage.root / "files-home"),
        "HF_HUB_OFFLINE": "1",
        "PATH": "/nowhere",
        "PIP_NO_INDEX": "1",
        "SHORT": "x" * 4,
        "EMPTY": "",
        "HOMEPORT_GOOGLE_URL": "http://127.0.0.1:9",
        "CLOUDSDK_AUTH_ACCESS_TOKEN": "x",
    }
    came = typed(*command, folder=folder, env=env)
    return came.code, came.text


def _toml(value: Any) -> str:  # Any: TOML
    return "{}" if value == {} else json.dumps(value)


def _planned(key: str, value: Any, stage: Stage) -> str:  # Any: TOML
    table: dict[str, Any] = {
        "model": f"file:{TAUGHT}",
        "engine": {"context": 256},
        "local": {"port": 0},
    }  # Any: TOML
    outer, _, inner = key.rpartition(".")
    table[outer or key] = {**table.get(outer, {}), inner: value} if outer else value
    code, text = _typed(table, stage, "plan")
    wrong = judged(text, code)
    if wrong:
        return wrong
    if (
        key == "cloudrun.image"
        and isinstance(value, str)
        and code == 0
        and any(char in value for char in "\n\r\0 ")
    ):
        return "an image of several lines is accepted"
    return ""


def _closed(host: str, key: str | None, stage: Stage) -> str:
    """Whether an address beyond loopback is served without a good key."""
    local: dict[str, Any] = {"host": host, "port": 0} | ({} if key is None else {"api_key": key})  # Any: TOML
    code, text = _typed(
        {"model": f"file:{TAUGHT}", "engine": {"context": 256}, "local": local}, stage, "plan"
    )
    wrong = judged(text, code)
    if wrong or code:
        return wrong
    if key is None or key in {"none", "", "plain"}:
        from homeport.addresses import is_loopback

        if key is None and "made" in text:
            return ""  # A key is there by default.
        return "" if is_loopback(host.strip()) else shown(f"it is planned: {text}")
    return ""
