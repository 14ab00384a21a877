"""The requests that credentials make for themselves: token endpoints, iamcredentials, the metadata server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from homeport.certificates import certificates
from homeport.errors import NetworkError
from homeport.extras import missing
from homeport.json_types import Json
from homeport.proxy_variables import by_environment

if TYPE_CHECKING:
    from types import ModuleType

    import httpx2

_GOOGLE = ".googleapis.com"
_PATIENCE_S = 30.0


def module(name: str) -> ModuleType:
    """Return a module of the extra `homeport[cloudrun]`. Raises `ExtraMissing` where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise missing(f"reaching Google Cloud needs {name.partition('.')[0]!r}", "cloudrun") from error


@cache
def user_agent() -> str:
    """Return what homeport calls itself. The installation's metadata are parsed for it, which is done once."""
    return f"homeport/{version('homeport')}"


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """An answer, under the names that google-auth asks for."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    def json(self) -> Json:
        """Return what it says; {} where it is no JSON."""
        try:
            return json.loads(self.data)
        except ValueError:
            return {}


class Exchange:
    """
    Sends them, blocking. Called as a function it is what google-auth calls a request.

    With a `base_url`, whatever is meant for an API of Google's goes there instead, under its own name as Host.
    """

    def __init__(self, *, base_url: str = "", transport: httpx2.BaseTransport | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._transport = transport

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> AuthResponse:
        """Return the answer, as google-auth wants it. Raises its TransportError where there is none."""
        try:
            return self.send(method, url, body, headers=headers, timeout=timeout)
        except NetworkError as error:
            raise module("google.auth.exceptions").TransportError(str(error), retryable=True) from error

    def send(
        self,
        verb: str,
        url: str,
        body: Any = None,  # Any: JSON, or bytes
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> AuthResponse:
        """Return the answer, whatever its status. Raises `NetworkError` where there is none, `Unsupported` for an impossible proxy."""
        import httpx2

        target, more = self._at(httpx2.URL(url))
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        kind = {"content-type": "application/json"} if isinstance(body, dict) else {}
        try:
            with httpx2.Client(
                transport=self._transport,
                timeout=timeout or _PATIENCE_S,
                verify=certificates() if target.scheme == "https" and self._transport is None else False,
                trust_env=by_environment(not self._base_url and url.startswith("https:")),
            ) as client:
                response = client.request(
                    verb, target, content=content, headers={**kind, **(headers or {}), **more}
                )
        except httpx2.HTTPError as error:
            host, why = httpx2.URL(url).host, str(error) or type(error).__name__
            raise NetworkError(
                f"{host} could not be reached for a token: {why}",
                hint="check the network, or the proxy's settings",
            ) from error
        return AuthResponse(response.status_code, response.headers, response.content)

    def _at(self, url: httpx2.URL) -> tuple[httpx2.URL, dict[str, str]]:
        if not self._base_url or not url.host.endswith(_GOOGLE):
            return url, {}
        import httpx2

        return httpx2.URL(f"{self._base_url}{url.raw_path.decode()}"), {"host": url.host}
