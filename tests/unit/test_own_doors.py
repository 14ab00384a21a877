"""Who gets through the door of homeport's own servers: judged alone, and at a proxy that runs."""

from __future__ import annotations

import asyncio
import ipaddress
import re

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport import door
from homeport.secret import Secret
from hostile import LOOPBACK, NOT_LOOPBACK, spelt
from private_service import KEY, SHOWN, Service, scene


async def raw(client: httpx2.AsyncClient, *lines: bytes, shown: bool = True) -> bytes:
    """All that a proxy answers to these lines; the last may be followed by a body."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    key = [b"authorization: Bearer " + KEY.encode()] if shown else []
    writer.write(b"\r\n".join([lines[0], *key, *lines[1:]]))
    answer = await asyncio.wait_for(reader.read(), 120)
    writer.close()
    return answer


def status(answer: bytes) -> int:
    """The status of an answer."""
    return int(answer.split()[1])


def test_a_name_of_this_machine_is_let_in_and_no_other_however_it_is_spelt() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        for host in LOOPBACK:
            head = (b"POST /v1/any HTTP/1.1", b"host: " + host.encode(), b"connection: close", b"", b"")
            assert status(await raw(client, *head)) == 200, host
        asked = service.asked
        for host in NOT_LOOPBACK:
            for line in (b"POST /v1/any HTTP/1.1", b"GET /health HTTP/1.1"):
                head = (line, b"host: " + host.encode("latin-1"), b"connection: close", b"", b"")
                assert status(await raw(client, *head)) in {400, 403}, host
        two = (
            b"GET /health HTTP/1.1",
            b"host: localhost",
            b"host: localhost",
            b"connection: close",
            b"",
            b"",
        )
        assert status(await raw(client, *two)) == 400
        none = (b"GET /health HTTP/1.0", b"connection: close", b"", b"")
        assert status(await raw(client, *none)) == 400
        assert service.asked == asked

    scene(play)


@settings(max_examples=250)
@given(spelt(LOOPBACK).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_whatever_host_says_only_this_machines_names_pass(host: bytes) -> None:
    if door.is_own_name(host):
        name, port = re.fullmatch(rb"(.+?)(:[0-9]{1,5})?", host).groups()  # type: ignore[union-attr]
        plain = name.decode("ascii").lower()
        assert plain == "localhost" or ipaddress.ip_address(plain.strip("[]")).is_loopback
        assert port is None or 0 < int(port[1:]) < 65536
        assert not set(b"@/ %#?,\t\x00") & set(host)


@given(st.ip_addresses())
def test_of_addresses_only_those_of_loopback_are_this_machines(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    assert door.is_own_name(host.encode()) == address.is_loopback


@given(st.lists(st.tuples(st.sampled_from([b"host", b"origin", b"sec-fetch-site"]), st.binary(max_size=30))))
def test_where_nothing_is_objected_host_and_page_are_this_machines(
    headers: list[tuple[bytes, bytes]],
) -> None:
    for told in (headers, [(b"host", b"localhost"), *headers]):
        if door.objection(told) is None:
            (host,) = [value for name, value in told if name == b"host"]
            assert door.is_own_name(host)
            assert {value for name, value in told if name == b"origin"} <= {b"http://" + host}
            assert {value for name, value in told if name == b"sec-fetch-site"} <= {b"same-origin", b"none"}


@settings(max_examples=250)
@given(st.binary(max_size=60), st.sampled_from([b"authorization", b"x-api-key", b"cookie", b"api-key"]))
def test_only_the_key_itself_opens(value: bytes, name: bytes) -> None:
    key = Secret(KEY)
    for said in (
        value,
        b"Bearer " + value,
        KEY.encode() + value,
        b"Basic " + KEY.encode(),
        b"bearer " + KEY.encode(),
    ):
        bare = said[7:] if said[:7].lower() == b"bearer " else said
        opens = name in {b"authorization", b"x-api-key"} and bare.strip() == KEY.encode()
        assert door.has_key([(name, said)], key) == opens
    assert not door.has_key([(name, value)], Secret(""))


def test_keys_are_long_and_each_is_another() -> None:
    made = {door.new_key().reveal() for _ in range(50)}
    assert len(made) == 50
    assert min(map(len, made)) >= 40


KEYLESS: tuple[dict[str, str], ...] = ({}, {"Authorization": "Bearer unused"}, {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer"},
           {"X-API-Key": KEY[:-1]}, {"Cookie": KEY}, {"Authorization": f"Bearer {KEY}x"})  # fmt: skip


def test_without_the_key_only_health_is_answered_and_the_service_sleeps_on() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        async with httpx2.AsyncClient(base_url=client.base_url, trust_env=False, verify=False) as stranger:
            for headers in KEYLESS:
                for verb, path in (("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("GET", "/metrics"),
                                   ("POST", "/health"), ("DELETE", "/v1/any"), ("GET", f"/v1/any?key={KEY}")):  # fmt: skip
                    refused = await stranger.request(verb, path, headers=headers)
                    assert refused.status_code == 401, (verb, path, headers)
                    assert refused.json()["error"]["type"] == "authentication_error"
                    assert "homeport env --on cloudrun" in refused.json()["error"]["message"]
                    assert KEY not in refused.text
            assert (await stranger.get("/health")).status_code == 200
        assert (
            await client.get("/v1/models", headers={"Authorization": "", "X-API-Key": KEY})
        ).status_code == 200

    assert scene(play).asked == 0


def test_the_key_goes_no_further_under_whatever_name_it_came() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        headers = {
            "X-API-Key": KEY,
            "Cookie": f"a={KEY}",
            "Api-Key": KEY,
            "X-Other": f"x {KEY} y",
            "X-Kept": "1",
        }
        assert (await client.post("/v1/any", content=b"x", headers=headers)).status_code == 200
        refused = await client.post(f"/v1/any?key={KEY}", content=b"x")
        assert (refused.status_code, "header" in refused.text) == (400, True)
        assert (await client.post(f"/v1/{KEY}", content=b"x")).status_code == 400

    (seen,) = scene(play).seen
    assert KEY.encode() not in b"".join(name + value for name, value in seen.headers) + seen.target
    assert seen.header("x-kept") == "1"


def test_a_request_with_two_lengths_is_refused_and_the_connection_ends() -> None:
    """RFC 9112, 6.1, lets a server do so; whoever sends both may mean the rest for somebody else."""
    smuggled = b"POST /v1/smuggled HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"

    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        for length in (b"3", b"0", b"9999"):
            answer = await raw(
                client, b"POST /v1/any HTTP/1.1", b"host: localhost", b"content-length: " + length,
                b"transfer-encoding: chunked", b"", b"5\r\nabcde\r\n0\r\n\r\n" + smuggled,
            )  # fmt: skip
            assert status(answer) == 400
            assert answer.count(b"HTTP/1.1") == 1
            assert b"connection: close" in answer.lower()

    assert scene(play).asked == 0


@pytest.mark.parametrize("line", [b"content-length: 1\r\ncontent-length: 2", b"transfer-encoding: gzip",
                                  b"transfer-encoding: chunked, gzip", b"content-length: -1", b"content-length: +1"])  # fmt: skip
def test_a_length_that_can_be_read_in_two_ways_is_refused(line: bytes) -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        answer = await raw(client, b"POST /v1/any HTTP/1.1", b"host: localhost", line, b"", b"ab")
        assert status(answer) in {400, 501}

    assert scene(play).asked == 0


def test_shown_is_what_clients_send() -> None:
    assert door.has_key([(b"authorization", SHOWN["Authorization"].encode())], Secret(KEY))
