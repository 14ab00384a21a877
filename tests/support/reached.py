"""What credentials ask Google for, answered by a cloud in this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cloud import Raw, act
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.discovery import api_of
from homeport.google.exchange import AuthResponse, Exchange


class Reached(Exchange):
    """Sends what credentials ask for to a cloud in this process."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__()
        self._cloud = cloud

    def send(self, verb: str, url: str, body: Any = None, **more: Any) -> AuthResponse:  # Any: JSON
        host, _, path = url.removeprefix("https://").partition("/")
        assert api_of(host) == "iamcredentials", "a key signs by itself"
        with ThreadPoolExecutor(1) as apart:  # It blocks, in a loop that runs already.
            answer = apart.submit(lambda: act(Raw(self._cloud).send(verb, f"{host}/{path}", body))).result()
        return AuthResponse(answer.status, answer.headers, answer.content)
