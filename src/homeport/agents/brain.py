"""The model of an endpoint as the library of the loop sees it; and whether it was taught to call tools at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from homeport import catalog
from homeport.errors import HomeportError, Unsupported
from homeport.extras import missing

if TYPE_CHECKING:
    from pydantic_ai.exceptions import ModelAPIError
    from pydantic_ai.models import Model as LoopModel

    from homeport.endpoint import Endpoint
    from homeport.endpoint.start import Start

_ANSWER_WITHIN_S = 900.0
EXAMPLE_MODEL = "gemma-4-e2b"
"""One that was trained to call tools: what a user is shown instead of one that was not."""


def ensure_installed() -> None:
    """Raise `ExtraMissing` where homeport was installed without its extra `agents`."""
    lacking = [name for name in ("pydantic_ai", "openai", "mcp") if find_spec(name) is None]
    if lacking:
        raise missing(f"an agent needs {', '.join(lacking)}", "agents")


def ensure_taught(model: str) -> bool:
    """
    Return whether the catalog says that `model` was trained to call tools; False where it does not know it.

    Raises `Unsupported` for one that was not, and names one that was.
    """
    listed = catalog.find(model)
    if listed is None:
        return False
    if listed.tool_parser is None:
        raise Unsupported(
            f"{listed.title} was not trained to call tools, so no agent can be made of it",
            hint=f'{EXAMPLE_MODEL} was: say model = "{EXAMPLE_MODEL}" in homeport.toml, then `homeport up`; '
            "--anyway runs it all the same",
        )
    return True


def load() -> None:
    """Import what a model that is `opened` needs: also what the client imports only once it is asked."""
    for name in (
        "homeport.endpoint.auth",
        "httpx2",
        "openai.lib._chat_completion_resources",
        "openai.lib.streaming.chat",
        "openai.resources.chat.chat",
        "openai.resources.chat.completions.completions",
        "pydantic_ai.models.openai",
        "pydantic_ai.profiles._special_tokens",
        "pydantic_ai.providers.openai",
    ):
        with suppress(
            ModuleNotFoundError
        ):  # Another version has other modules within, and loads them when it is asked.
            import_module(name)


@asynccontextmanager
async def opened(endpoint: Endpoint, start: Start | None = None) -> AsyncIterator[LoopModel]:
    """
    Yield the endpoint's model for as long as it is needed.

    Each request is signed by the endpoint's own `auth`, so a token that ends after an hour is renewed; a request is
    never sent twice, which would generate twice. With a `start`, 429 and 503 are handed back once the endpoint has
    answered, and not waited out. Raises what `Endpoint.answer` raises.
    """
    from openai import AsyncOpenAI
    from pydantic_ai.exceptions import ModelAPIError
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai import OpenAIProvider

    from homeport.endpoint.auth import REDIRECTS

    profile = OpenAIModelProfile(
        openai_chat_supports_max_completion_tokens=False,  # Ollama knows `max_tokens` alone.
        openai_supports_strict_tool_definition=False,
    )
    async with endpoint.client(timeout_s=_ANSWER_WITHIN_S) as client:
        client.auth = endpoint.auth(max_redirects=REDIRECTS, start=start)
        remote = AsyncOpenAI(base_url=endpoint.base_url, api_key="unused", http_client=client, max_retries=0)
        try:
            yield OpenAIChatModel(
                endpoint.model, provider=OpenAIProvider(openai_client=remote), profile=profile
            )
        except ModelAPIError as error:
            raise _find_cause(error) from error


def _find_cause(error: ModelAPIError) -> BaseException:
    """Return what homeport raises for it: the endpoint's refusal, or what httpx2 said, which `client` puts into words."""
    import httpx2
    from pydantic_ai.exceptions import ModelHTTPError

    from homeport.endpoint.refusals import refusal

    below: BaseException | None = error
    while below is not None:
        if isinstance(below, HomeportError | httpx2.RequestError):
            return below
        below = below.__cause__ or below.__context__
    if isinstance(error, ModelHTTPError):
        import json

        body = error.body if isinstance(error.body, str) else json.dumps(error.body)
        answer = getattr(error.__cause__, "response", None)
        again = "" if answer is None else answer.headers.get("retry-after", "")
        return refusal(error.status_code, body, retry_after=again)
    from homeport.errors import NetworkError

    return NetworkError(
        f"the endpoint's answer cannot be used: {error}", hint="`homeport verify` tells what it does wrong"
    )
