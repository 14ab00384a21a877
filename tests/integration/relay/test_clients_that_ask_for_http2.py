"""Clients that ask for HTTP/2 on plain HTTP, Java's and curl's, get their answer through the gateway and the proxy all the same."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateways import asked
from homeport.endpoint import Endpoint
from homeport.gateway.counting import CountingApp
from homeport.gateway.metrics import GatewayMetrics
from homeport.proxy import listen
from homeport.relay.served import served
from parrot_engine import Parrot
from private_service import KEY, Service, proxied

PATH = "/v1/chat/completions"
BODY = json.dumps(asked(PATH, "one two", stream=False))
JAVA = """
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

class Ask {
    public static void main(String[] given) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int turn = 0; turn < 2; turn++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(given[0]))
                .header("Content-Type", "application/json").header("X-Api-Key", given[1])
                .POST(HttpRequest.BodyPublishers.ofString(given[2])).build();
            HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }
}
"""


@asynccontextmanager
async def counting() -> AsyncIterator[str]:
    """The address of a gateway that only counts."""
    async with Parrot().serving() as engine:
        endpoint = Endpoint(name="home", base_url=f"{engine}/v1", model="parrot")
        app = CountingApp(endpoint, GatewayMetrics("parrot"))
        async with served(app, listen(0)) as url:
            yield url
        await app.aclose()


BETWEEN: dict[str, Callable[[], AbstractAsyncContextManager[str]]] = {
    "gateway": counting,
    "proxy": lambda: proxied(Service()),
}


async def said_by(*command: str) -> str:
    """What a client printed that came to its end."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 300)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, err.decode()
    return out.decode()


def ask(between: str, command: Callable[[str], Sequence[str]]) -> str:
    """What a client prints that asks what stands between it and the engine."""

    async def play() -> str:
        async with BETWEEN[between]() as url:
            return await said_by(*command(url + PATH))

    return asyncio.run(play())


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.skipif(shutil.which("javac") is None, reason="there is no JDK here")
def test_javas_own_client_is_answered_as_it_comes(between: str, tmp_path: Path) -> None:
    program = tmp_path / "Ask.java"
    program.write_text(JAVA)
    answers = ask(between, lambda url: ("java", str(program), url, KEY, BODY)).splitlines()
    assert len(answers) == 2
    for answer in answers:
        status, _, body = answer.partition(" ")
        assert status == "200"
        assert json.loads(body)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_that_asks_for_http2_is_answered(between: str) -> None:
    curl = ("curl", "--silent", "--show-error", "--noproxy", "*", "--http2", "--max-time", "120")
    answer = ask(between, lambda url: (*curl, "-H", f"X-Api-Key: {KEY}", "--data", BODY, url))
    assert json.loads(answer)["choices"][0]["message"]["content"]
