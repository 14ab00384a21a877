"""An endpoint: where a model answers, and how to talk to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from homeport.addresses import ensure_address, is_loopback
from homeport.certificates import certificates, trusting
from homeport.endpoint.completions import text_of
from homeport.endpoint.identity import Identity, refused_as
from homeport.endpoint.refusals import is_page, refusal
from homeport.errors import EndpointError, HomeportError, NetworkError, NoCredentials, NotRunning, Unsupported
from homeport.json_types import Json, JsonObject
from homeport.proxy_variables import by_environment
from homeport.secret import Secret, judged
from homeport.task import Task

if TYPE_CHECKING:
    import ssl

    import httpx2

    from homeport.endpoint.auth import Bearer
    from homeport.endpoint.start import Start

Message = Mapping[str, Json]
"""One message of a conversation, as OpenAI's chat completions spell it."""

_ANSWER_WITHIN_S = 900.0


class Proof(Protocol):
    """What a verification found: a `homeport.Report`, which knows endpoints, and so is not known here."""

    @property
    def passed(self) -> bool:
        """Tell whether no check failed."""

    def as_json(self) -> JsonObject:
        """Return the report as `--json` prints it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible endpoint, on this machine or elsewhere. Whatever talks to a model takes one."""

    name: str
    base_url: str
    """Ends in `/v1`, as OpenAI clients want it."""
    model: str
    """The name that the engine serves the model under."""
    api_key: Secret | None = None
    identity: Identity | None = None
    """Who calls, where the endpoint is private on Cloud Run; instead of a key."""
    via: str = ""
    """The address that requests go to instead of `base_url`'s own, with that as Host: a rehearsal is reached so."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further headers of each request, such as that by which a load balancer tells a revision without traffic."""
    trusted: str = field(default="", repr=False)
    """Certificates as PEM that are trusted there besides, such as one that no known authority has signed."""
    stop: tuple[str, ...] = field(default=())
    """Strings that end an answer, for models without an end-of-turn token."""
    task: Task = "generate"
    """What it gives: text, or vectors."""
    usd_per_hour: float | None = field(default=None, compare=False)
    """List price of one instance of it while it runs; None where that is not known, as for a machine of one's own."""
    verifier: Callable[[Endpoint], Coroutine[object, object, Proof]] | None = field(
        default=None, repr=False, compare=False
    )
    """Verifies the endpoint that it is given, which may be a changed copy; set by the target that serves it. None where nobody knows what it promises."""

    def __post_init__(self) -> None:
        ensure_address(self.base_url, called=f"base_url of the endpoint {self.name}")
        if self.via:
            ensure_address(self.via, called=f"via of the endpoint {self.name}")
        if self.api_key is not None:
            key = judged(self.api_key.compared(), called=f"the key of {self.name}")
            if key != self.api_key:  # There was white space around it.
                object.__setattr__(self, "api_key", key)

    @property
    def root_url(self) -> str:
        """Return the engine's address without `/v1`."""
        return self.base_url.removesuffix("/v1")

    def env(self, *, proxy: str = "", proxy_key: Secret | None = None) -> dict[str, str]:
        """
        Return what OpenAI clients read from the environment. Holds the key in clear: print it only when asked
        to.

        With the address of a `proxy`, clients are sent there, with `proxy_key` if it wants one. Raises `NoCredentials` where the
        endpoint takes an identity, and there is none: an ID token ends after an hour, which no variable can tell.
        """
        if self.identity is not None and not proxy:
            raise NoCredentials(
                f"{self.name} is private: it takes no key, but ID tokens that end after an hour",
                hint="`homeport proxy` opens a local port that adds them, and prints the variables for it",
            )
        secret = proxy_key if proxy else self.api_key
        key = secret.reveal() if secret else "unused"
        base_url = f"{proxy.rstrip('/')}/v1" if proxy else self.base_url
        return {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": key, "OPENAI_MODEL": self.model}

    async def token(self) -> str:
        """
        Return, in clear, what a client sends as its bearer token now: an ID token that is good for some minutes at least,
        or the key, or `unused`.

        For clients that take a function in place of a key, and ask it before each request; an httpx2 client takes
        `auth`. Raises `NoCredentials` where no token can be made.
        """
        if self.identity is not None:
            return (await self.identity.token()).reveal()
        return self.api_key.reveal() if self.api_key else "unused"

    def auth(self, *, max_redirects: int = 20, start: Start | None = None) -> Bearer:
        """
        Return what signs the requests of an httpx2 client, sync or async, and so those of OpenAI's own:

            openai.OpenAI(base_url=endpoint.base_url, api_key="unused",
                          http_client=httpx2.Client(auth=endpoint.auth(), timeout=600))

        It signs for this endpoint's address alone, renews tokens, and waits for a service that starts from zero, up to
        15 minutes. httpx2 counts a request that is sent again among its redirects, so the pauses between tries are made
        to last for its default of 20; with a greater `max_redirects`, given to the client as well, they are shorter.
        With a `start`, nothing is waited for any more once the endpoint has answered.
        """
        from homeport.endpoint.auth import Bearer

        return Bearer(
            self.base_url,
            identity=self.identity,
            key=self.api_key,
            via=self.via,
            patience_s=_ANSWER_WITHIN_S,
            max_redirects=max_redirects,
            start=start,
        )

    @asynccontextmanager
    async def client(self, *, timeout_s: float = 120.0) -> AsyncIterator[httpx2.AsyncClient]:
        """
        Return a client for the engine's address (`/v1/models`, `/health` …) that sends the key or token, if
        there is one.
        """
        import httpx2

        from homeport.endpoint.auth import REDIRECTS

        key = {"Authorization": f"Bearer {self.api_key.reveal()}"} if self.api_key else {}
        reached = httpx2.URL(self.via or self.root_url)
        async with httpx2.AsyncClient(
            base_url=self.root_url,
            headers={**self.headers, **key},
            auth=self.auth(max_redirects=REDIRECTS) if self.identity is not None or self.via else None,
            max_redirects=REDIRECTS,
            timeout=httpx2.Timeout(timeout_s, connect=5.0),
            verify=self._certificates() if reached.scheme == "https" else False,
            # No proxy may see what stays on this machine.
            trust_env=by_environment(not is_loopback(reached.host)),
        ) as client:
            try:
                yield client
            except httpx2.ConnectError as error:
                raise NotRunning(
                    f"nothing answers at {self.base_url}",
                    hint="see `homeport status`, start with `homeport up`",
                ) from error
            except httpx2.TimeoutException as error:
                raise NetworkError(
                    f"{self.base_url} did not answer within {timeout_s:g} s",
                    hint="`homeport logs` shows what the engine does",
                ) from error
            except httpx2.RequestError as error:
                raise NetworkError(
                    f"the connection to {self.base_url} broke: {type(error).__name__} {error}",
                    hint="see `homeport status` and `homeport logs`",
                ) from error

    def _certificates(self) -> ssl.SSLContext:
        return trusting(self.trusted) if self.trusted else certificates()

    async def answer(self, messages: Sequence[Message], **options: Json) -> JsonObject:
        """
        Return the whole chat completion, as the engine's JSON.

        `options` go into the request as they are (`max_tokens`, `temperature`, `tools` …). Raises `EndpointError`
        where the engine answers with an error, `NotRunning` or `NetworkError` where it does not answer.
        """
        self.ensure_writes_text()
        return await self.post("/v1/chat/completions", self._request(options, messages=list(messages)))

    async def complete(self, prompt: str, **options: Json) -> JsonObject:
        """Return the whole completion of a text, without a chat template, as the engine's JSON. Raises as `answer` does."""
        return await self.post("/v1/completions", self._request(options, prompt=prompt))

    async def embed(self, texts: Sequence[str], **options: Json) -> JsonObject:
        """Return the vectors of `texts`, in their order, as the engine's JSON. Raises as `answer` does."""
        return await self.post("/v1/embeddings", {"model": self.model, "input": list(texts), **options})

    def ensure_writes_text(self) -> None:
        """Raise `Unsupported` for an endpoint of vectors."""
        if self.task == "embed":
            raise Unsupported(
                f'{self.name} gives vectors, and no text: it serves {self.model} with task = "embed"',
                hint="POST /v1/embeddings asks it for vectors; `homeport env` prints where",
            )

    async def post(self, path: str, request: Mapping[str, Json]) -> JsonObject:
        """Return what a path other than those of `answer` and `complete` answers to `request`, which is sent as it is."""
        # A long prompt takes a large model minutes on a CPU; a connection that is gone shows at once all the same.
        async with self.client(timeout_s=_ANSWER_WITHIN_S) as client:
            response = await client.post(path, json=dict(request))
            if response.is_error:
                raise await self.refused(response.status_code, response.text)
            return _parsed(response.text)

    async def stream(self, messages: Sequence[Message], **options: Json) -> AsyncIterator[JsonObject]:
        """Yield the chunks of a streamed chat completion, as the engine's JSON. Raises as `answer` does."""
        import httpx2

        self.ensure_writes_text()
        request = {**self._request(options, messages=list(messages)), "stream": True}
        async with (
            self.client(timeout_s=_ANSWER_WITHIN_S) as client,
            client.stream("POST", "/v1/chat/completions", json=request) as response,
        ):
            if response.is_error:
                text = (await response.aread()).decode(errors="replace")
                raise await self.refused(response.status_code, text)
            async for event in httpx2.EventSource(response):
                if event.data == "[DONE]":
                    return
                chunk = _parsed(event.data)
                if "error" in chunk:
                    raise refusal(response.status_code, event.data)
                yield chunk
            raise NetworkError(
                "the endpoint broke off in the middle of an answer", hint="`homeport logs` shows why"
            )

    def ask(self, prompt: str, **options: Json) -> str:
        """Return the text of the answer to one question. Raises as `answer` does."""
        from homeport.sync import run

        return text_of(run(self.answer([{"role": "user", "content": prompt}], **options))).strip()

    def verify(self) -> Proof:
        """
        Return the report of all checks on this very endpoint.

        Raises `Unsupported` for one that was made by hand: nobody has said what it promises; on Cloud Run also for a changed copy of one.
        """
        from homeport.sync import run

        if self.verifier is None:
            raise Unsupported(
                f"nobody has said what {self.name} at {self.base_url} promises, so there is nothing to hold it to",
                hint="take the endpoint from homeport.up(…) or homeport.connect(…), or use homeport.verified(NAME)",
            )
        return run(self.verifier(self))

    def _request(self, options: Mapping[str, Json], **content: Json) -> JsonObject:
        stop = {"stop": list(self.stop)} if self.stop else {}
        return {"model": self.model, **content, **stop, **options}

    async def refused(self, status: int, text: str) -> EndpointError:
        """Return the error that an answer of that status is, with what the caller's identity has to do with it."""
        if self.identity is None or not (status in {401, 403} or (status == 404 and is_page(text))):
            return refusal(status, text)
        try:
            who = await self.identity.who()
        except HomeportError:
            who = ""
        through_iap = getattr(self.identity, "through_iap", False)
        return refusal(status, text, hint=refused_as(status, who, through_iap=through_iap))


def _parsed(text: str) -> JsonObject:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        shown = text.strip()[:80]
        raise NetworkError(
            f"the endpoint answers, but not with a JSON object: {shown!r}",
            hint="is something else listening on its port? see `homeport status`",
        )
    return value
