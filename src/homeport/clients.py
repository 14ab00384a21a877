"""What clients of OpenAI's API read: variables, or a file of their own, for one endpoint."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CLIENTS: Final = (
    *(
        "openai",
        "openai-agents",
        "llm",
        "aider",
        "litellm",
        "llama-index",
        "pydantic-ai",
        "adk",
        "open-webui",
    ),
    *("langchain", "instructor", "smolagents", "vercel-ai"),
    *("continue", "curl", "dotenv"),
)
_OF_LITELLM: Final = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""It fetches a table of prices from GitHub each time it is imported, and takes the one it has where it is told so."""
_HELLO: Final = {"role": "user", "content": "Hello"}
_CURL: Final = """\
curl "$OPENAI_BASE_URL/chat/completions" -H "Authorization: Bearer $OPENAI_API_KEY" -H 'Content-Type: application/json'"""
SHELLS: Final = ("bash", "fish", "powershell")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What one client is told, so that it talks to one endpoint."""

    variables: Mapping[str, str]
    """For the shell that it is started from."""
    file: Path | None = None
    """A file that it reads; None where variables suffice."""
    text: str = ""
    """What belongs into that file. Holds no key, except for dotenv and continue, which read it there."""
    say: tuple[str, ...] = field(default=())
    """How it is used then, in a line or two."""


def settings(client: str, env: Mapping[str, str], *, home: Path, folder: Path) -> ClientSettings:
    """
    Return what `client` reads, by the variables of the endpoint (`Endpoint.env`).

    `home` is the user's, where some clients keep a file; `folder` the one that is worked in. Raises `KeyError` for a
    client that is none of `CLIENTS`.
    """
    base, key, model = env["OPENAI_BASE_URL"], env["OPENAI_API_KEY"], env["OPENAI_MODEL"]
    usual = {"OPENAI_BASE_URL": base, "OPENAI_API_BASE": base, "OPENAI_API_KEY": key, "OPENAI_MODEL": model}
    if client == "llm":
        return _llm(usual, home)
    if client == "continue":
        return _continue(usual, home)
    return _dotenv(usual, folder) if client == "dotenv" else _by_variables(client, usual)


def _by_variables(client: str, usual: Mapping[str, str]) -> ClientSettings:
    """Return what a client reads that needs no file. Raises `KeyError`."""
    base, model = usual["OPENAI_BASE_URL"], usual["OPENAI_MODEL"]
    of_its_own = {
        "openai-agents": {"OPENAI_DEFAULT_MODEL": model, "OPENAI_AGENTS_DISABLE_TRACING": "1"},
        "aider": {
            "AIDER_MODEL": f"openai/{model}",
            "AIDER_ANALYTICS": "false",
            "AIDER_CHECK_UPDATE": "false",
            "AIDER_SHOW_MODEL_WARNINGS": "false",
            **_OF_LITELLM,
        },
        "litellm": _OF_LITELLM,
        "adk": _OF_LITELLM,
        "open-webui": {
            "OPENAI_API_BASE_URL": base,
            "ENABLE_OLLAMA_API": "False",
            "ANONYMIZED_TELEMETRY": "False",
        },
    }
    request = shlex.quote(json.dumps({"model": model, "messages": [_HELLO]}))
    say = {
        "openai": "openai.OpenAI() reads them",
        # It sends every prompt and answer to OpenAI as soon as OPENAI_API_KEY is set, wherever the model is.
        "openai-agents": 'set_default_openai_api("chat_completions"); its exporter of traces, which sends prompts and '
        "answers to OpenAI, is switched off",
        "aider": "aider reads them; its own counting of use and its question for new versions are switched off; a table of "
        "prices it fetches from GitHub all the same",
        "litellm": f'litellm.completion("openai/{model}", …), whichever engine serves it',
        "llama-index": f'OpenAILike(model="{model}", api_base="{base}", api_key=os.environ["OPENAI_API_KEY"], '
        "is_chat_model=True)",
        "pydantic-ai": f'Agent("openai-chat:{model}")',
        "adk": f'LlmAgent(model=LiteLlm(model="openai/{model}"), …): a bare "{model}" would go to Google',
        "langchain": f'ChatOpenAI(model="{model}"); with_structured_output(…, method="json_schema")',
        # Its usual mode names a tool in `tool_choice`, which not every engine honours.
        "instructor": "instructor.from_openai(openai.OpenAI(), mode=instructor.Mode.JSON_SCHEMA)",
        "smolagents": f'OpenAIModel(model_id="{model}", api_base="{base}", api_key=os.environ["OPENAI_API_KEY"])',
        "vercel-ai": f'createOpenAICompatible({{name: "homeport", baseURL: "{base}", apiKey: '
        f'process.env.OPENAI_API_KEY, supportsStructuredOutputs: true}})("{model}")',
        "open-webui": "open-webui serve reads them at its first start; later it goes by its own settings page",
        "curl": f"{_CURL} -d {request}",
    }
    return ClientSettings(variables={**usual, **of_its_own.get(client, {})}, say=(say[client],))


def exported(variables: Mapping[str, str], shell: str) -> str:
    """Return the lines that set `variables` in a shell. Raises `KeyError` for one that is none of `SHELLS`."""
    forms = {"bash": _bash, "fish": _fish, "powershell": _powershell}
    return "\n".join(forms[shell](name, value) for name, value in variables.items())


def _bash(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str) -> str:
    """Quote for fish, in whose single quotes a backslash and a quote are escaped by a backslash."""
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}'"


def _powershell(name: str, value: str) -> str:
    return f"$env:{name} = '{value.replace(chr(39), chr(39) * 2)}'"


def _dotted(value: str) -> str:
    """Quote for dotenv, which takes the text between single quotes as it is."""
    return (
        value
        if value.isascii() and not set(value) & set(" '\"#$`\\")
        else "'" + value.replace("'", "\\'") + "'"
    )


def _dotenv(usual: Mapping[str, str], folder: Path) -> ClientSettings:
    return ClientSettings(
        variables=usual,
        file=folder / ".env",
        text="".join(f"{name}={_dotted(value)}\n" for name, value in usual.items()),
        say=("keep .env out of the repository: it holds the key",),
    )


def _llm(usual: Mapping[str, str], home: Path) -> ClientSettings:
    base, model = usual["OPENAI_BASE_URL"], usual["OPENAI_MODEL"]
    text = (
        f"- model_id: homeport\n  model_name: {json.dumps(model)}\n  api_base: {json.dumps(base)}\n"
        "  api_key_name: homeport\n  supports_tools: true\n  supports_schema: true\n"
    )
    return ClientSettings(
        variables={"OPENAI_API_KEY": usual["OPENAI_API_KEY"]},
        file=home / ".config" / "io.datasette.llm" / "extra-openai-models.yaml",
        text=text,
        say=('llm -m homeport "…"; the key may be kept by `llm keys set homeport`, too',),
    )


def _continue(env: Mapping[str, str], home: Path) -> ClientSettings:
    text = "\n".join(
        (
            "name: homeport",
            "version: 1.0.0",
            "schema: v1",
            "models:",
            "  - name: homeport",
            "    provider: openai",
            f"    model: {json.dumps(env['OPENAI_MODEL'])}",
            f"    apiBase: {json.dumps(env['OPENAI_BASE_URL'])}",
            f"    apiKey: {json.dumps(env['OPENAI_API_KEY'])}",
            "    roles: [chat, edit, apply]",
            "",
        )
    )
    return ClientSettings(
        variables={},
        file=home / ".continue" / "config.yaml",
        text=text,
        say=(
            "Continue reads the file, which holds the key; of a file that is there already, add the model by hand",
        ),
    )
