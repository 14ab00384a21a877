"""Who gets into a rehearsal: under which names, from which pages, with which tokens. All against one that is served."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from building import BUCKET, Place, place
from cloud import Raw, act
from gcp_rehearsal import credentials
from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.cloud import OWNER, Cloud
from gcp_rehearsal.door import DOOR, is_loopback, split
from gcp_rehearsal.errors import ApiError
from hostile import LOOPBACK, NOT_LOOPBACK, spelt
from rehearsed import Running, image, rehearsing
from user import User

LIST = f"/storage/v1/b/{BUCKET}"
BUILDS = "/v1/projects/rehearsal/locations/us-central1/builds"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("door")) as here:
        yield here


def sent(here: Place, head: str, *lines: str, body: str = "") -> int:
    """The status with which raw lines are answered; the owner's token is in them."""
    port = int(here.url.rpartition(":")[2])
    told = [head, *lines, f"Authorization: Bearer {here.cloud.token(OWNER)}", "Connection: close"]
    if body:
        told += ["Content-Type: text/plain", f"Content-Length: {len(body)}"]
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(("\r\n".join(told) + "\r\n\r\n" + body).encode("latin-1"))
        answer = connection.makefile("rb").readline()
    return int(answer.split()[1])


OURS = (*LOOPBACK, "storage.googleapis.com", "Storage.GoogleAPIs.com:80", "www.googleapis.com")
OTHERS = (
    *NOT_LOOPBACK, "cloudbuild.evil.example", "storage.evil.example", "run.googleapis.com.evil.example",
    "evilgoogleapis.com", "storage.googleapis.com.", "storage", "x@storage.googleapis.com",
    "evil-storage.googleapis.com", "storage.us-central1.googleapis.com", "evilrun.app", "run.app",
    "x.run.app.evil.example", "metadata.google.internal",
)  # fmt: skip


@pytest.mark.parametrize("host", OURS)
def test_it_answers_to_this_machine_and_to_googles_names(here: Place, host: str) -> None:
    assert sent(here, f"GET {LIST} HTTP/1.1", f"Host: {host}") == 200


@pytest.mark.parametrize("host", OTHERS)
def test_another_name_is_refused_whatever_it_begins_with_and_however_it_is_spelt(
    here: Place, host: str
) -> None:
    assert sent(here, f"GET {LIST} HTTP/1.1", f"Host: {host}") in {400, 403}


def test_no_host_and_two_hosts_are_refused(here: Place) -> None:
    assert sent(here, f"GET {LIST} HTTP/1.1", "X-Nothing: 1") == 400
    assert sent(here, f"GET {LIST} HTTP/1.1", "Host: localhost", "Host: evil.example") == 400
    assert sent(here, f"GET {LIST} HTTP/1.1", "Host: localhost", "Host: localhost") == 400
    assert sent(here, f"GET {LIST} HTTP/1.0") == 400


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (f"http://storage.googleapis.com{LIST}", "storage.googleapis.com", 200),
        (f"http://storage.googleapis.com:80{LIST}", "storage.googleapis.com", 200),
        (f"http://storage.googleapis.com{LIST}", "evil.example", 400),
        (f"http://evil.example{LIST}", "storage.googleapis.com", 400),
        (f"http://evil.example{LIST}", "evil.example", 403),
        (f"http://x@storage.googleapis.com{LIST}", "storage.googleapis.com", 400),
        (f"http://storage.evil.example{LIST}", "storage.evil.example", 403),
        (f"ftp://storage.googleapis.com{LIST}", "storage.googleapis.com", 400),
        ("storage.googleapis.com:443", "storage.googleapis.com", 400),
        ("*", "localhost", 400),
    ],
)
def test_a_whole_address_counts_and_host_agrees_with_it(
    here: Place, target: str, host: str, status: int
) -> None:
    assert sent(here, f"GET {target} HTTP/1.1", f"Host: {host}") == status


@pytest.mark.parametrize(
    "line",
    ["Origin: http://evil.example", "Origin: null", "Origin: http://localhost:3000", "Origin: https://127.0.0.1.evil.example",
     "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: made-up"],
)  # fmt: skip
def test_no_page_posts_a_build(here: Place, line: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    step = {"name": "python:3.12", "script": f"#!/usr/bin/env python3\nopen({str(made)!r}, 'w')"}
    account = "projects/rehearsal/serviceAccounts/home-build@rehearsal.iam.gserviceaccount.com"
    body = json.dumps({"steps": [step], "serviceAccount": account, "options": {"logging": "NONE"}})
    before = len(here.builds())
    head = f"POST {BUILDS} HTTP/1.1"
    assert sent(here, head, "Host: cloudbuild.googleapis.com", line, body=body) == 403
    assert sent(here, head, "Host: localhost", line, body=body) == 403
    assert (len(here.builds()), made.exists()) == (before, False)


def test_a_page_of_this_very_address_may_ask(here: Place) -> None:
    own = ("Host: localhost:9", "Origin: http://localhost:9", "Sec-Fetch-Site: same-origin")
    assert sent(here, f"GET {LIST} HTTP/1.1", *own) == 200


NO_TOKENS = ("", "rehearsal.", "rehearsal.you@example.com", "rehearsal.x.you@example.com", "rehearsal..you@example.com",
             f"rehearsal.{'A' * 43}.you@example.com", "you@example.com", "rehearsal.\xff.you@example.com")  # fmt: skip


@pytest.mark.parametrize("token", NO_TOKENS)
@pytest.mark.parametrize(
    "asked",
    [("GET", "storage", LIST), ("GET", "storage", f"/{BUCKET}/any"),
     ("POST", "cloudbuild", BUILDS), ("POST", "sts", "/v1/token"), ("GET", "127", "/rehearsal/v1/instances"),
     ("POST", "iamcredentials", "/v1/projects/-/serviceAccounts/home-build@rehearsal.iam.gserviceaccount.com:generateAccessToken")],
    ids=lambda asked: f"{asked[1]}{asked[2][:20]}",
)  # fmt: skip
def test_who_has_no_token_of_this_rehearsal_gets_nothing(
    here: Place, token: str, asked: tuple[str, str, str]
) -> None:
    verb, api, path = asked
    host = "127.0.0.1" if api == "127" else f"{api}.googleapis.com"
    headers = [(b"host", host.encode()), (b"authorization", f"Bearer {token}".strip().encode("latin-1"))]
    came = httpx2.request(verb, f"{here.url}{path}", headers=headers, trust_env=False, verify=False)
    assert came.status_code == 401, came.text
    assert here.cloud.secret not in came.text


def granted(url: str, **form: str) -> httpx2.Response:
    headers = {"host": "oauth2.googleapis.com", "content-type": "application/x-www-form-urlencoded"}
    return httpx2.post(
        f"{url}/token", content=urlencode(form), headers=headers, trust_env=False, verify=False
    )


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_the_token_endpoint_gives_tokens_to_those_who_have_one(here: Place) -> None:
    token = here.cloud.token(OWNER)
    good = granted(here.url, grant_type="refresh_token", refresh_token=token)
    assert good.json()["access_token"] == token
    assert good.json()["id_token"]
    for refused in (*NO_TOKENS, OWNER):
        bad = granted(here.url, grant_type="refresh_token", refresh_token=refused)
        assert (bad.status_code, bad.json()["error"]) == (400, "invalid_grant")


def test_a_service_accounts_file_has_a_token_as_its_keys_id(here: Place) -> None:
    email = "home-build@rehearsal.iam.gserviceaccount.com"
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    token = here.cloud.token(email)
    said = part({"iss": email})
    good = granted(here.url, grant_type=grant, assertion=f"{part({'kid': token})}.{said}.x")
    assert good.json()["access_token"] == token
    heads: list[object] = [{"kid": "1"}, {}, {"kid": here.cloud.token(OWNER)}, [], 7]
    for head in heads:
        for body in (said, part({"iss": email, "target_audience": "https://x"}), part([]), "{"):
            bad = granted(here.url, grant_type=grant, assertion=f"{part(head)}.{body}.x")
            assert (bad.status_code, bad.json()["error"]) == (400, "invalid_grant")
    assert granted(here.url, grant_type=grant).status_code == 400


def test_nobody_is_told_whose_a_made_up_token_is(here: Place) -> None:
    def about(token: str) -> httpx2.Response:
        headers = {"host": "oauth2.googleapis.com"}
        query = {"access_token": token}
        return httpx2.get(
            f"{here.url}/tokeninfo", params=query, headers=headers, trust_env=False, verify=False
        )

    assert about(here.cloud.token(OWNER)).json()["email"] == OWNER
    assert about(f"rehearsal.{OWNER}").status_code == 400


def test_a_token_is_for_one_caller_and_for_one_rehearsal() -> None:
    one, other = Cloud(), Cloud()
    account = one.token("home-run@rehearsal.iam.gserviceaccount.com")
    mark = account.split(".")[1]
    assert act(Raw(one).send("GET", "storage.googleapis.com/storage/v1/b?project=rehearsal")).status == 200
    for token in (f"rehearsal.{mark}.{OWNER}", other.token(OWNER)):
        ask = Raw(one).send(
            "GET", "storage.googleapis.com/storage/v1/b?project=rehearsal", authorization=f"Bearer {token}"
        )
        assert act(ask).status == 401


def test_without_a_socket_the_same_door_is_there() -> None:
    for host in ("cloudbuild.evil.example", "x.googleapis.com.evil.example"):
        assert act(Raw(Cloud()).send("GET", f"{host}/v1/projects/rehearsal/builds")).status == 403
    page = Raw(Cloud()).send("GET", "storage.googleapis.com/storage/v1/b", origin="https://evil.example")
    assert act(page).status == 403


def test_an_instances_metadata_server_has_an_address_that_nobody_can_guess() -> None:
    with rehearsing() as running:
        server = "import http.server, os\nhttp.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), http.server.BaseHTTPRequestHandler).serve_forever()\n"
        running.deploy(
            image(running.cloud, "small", {"/srv/a.py": server}, entrypoint=["python3", "/srv/a.py"])
        )
        assert len(running.instances()) == 1
        token = "computeMetadata/v1/instance/service-accounts/default/token"
        for guess in ("1", "1-", "1-x", f"1-{'A' * 43}", f"1-{credentials.mark('', 'instance 1')}"):
            asked = running.client.get(f"/rehearsal/v1/instances/{guess}/{token}")
            assert asked.status_code == 404
            assert "access_token" not in asked.text
        _no_service_under_another_name(running)
        _of_two_lengths_the_chunks_count(running)


def _no_service_under_another_name(running: Running) -> None:
    host = running.service()["uri"].removeprefix("https://")
    assert running.call("/", host=host).status_code != 404
    for other in (f"{host}.evil.example", f"other-{host}", host.replace(".run.app", "-run.app")):
        assert running.call("/", host=other).status_code in {403, 404}


def _of_two_lengths_the_chunks_count(running: Running) -> None:
    """The server in the container knows no POST and says so (501); the front end says 503 where it cannot ask it."""

    async def sent() -> int:
        url = running.service()["uri"]
        host, token = url.removeprefix("https://"), id_token(running.cloud, OWNER, url)
        reader, writer = await asyncio.open_connection("127.0.0.1", running.client.base_url.port)
        writer.write(
            f"POST / HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n"
            "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n".encode()
        )
        answer = await reader.readline()
        writer.close()
        return int(answer.split()[1])

    assert asyncio.run(sent()) == 501


def test_the_secret_is_its_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        planted = tmp_path / "rehearsals" / "8600.secret"
        planted.parent.mkdir(mode=0o777)
        planted.write_text("open to all")
        credentials.keep(tmp_path, 8600, "mine")
    finally:
        os.umask(before)
    assert credentials.read(tmp_path, 8600) == "mine"
    assert stat.S_IMODE(planted.stat().st_mode) == 0o600
    assert stat.S_IMODE(planted.parent.stat().st_mode) == 0o700
    credentials.forget(tmp_path, 8600, "another's")
    assert planted.exists()
    credentials.forget(tmp_path, 8600, "mine")
    assert not planted.exists()


def test_env_hands_the_token_on_to_the_user_who_started_it_also_within_and_to_nobody_else(user: User) -> None:
    process = user.begin("rehearse", "serve", "--port", "0", "--inside", "0")
    assert process.stderr is not None
    said = ""
    while "Ctrl-C" not in said:
        said += process.stderr.readline()
    try:
        ports = [
            line.split("--port ")[1].split(")")[0].strip('"')
            for line in said.splitlines()
            if "--port" in line
        ]
        assert len(ports) == 2
        for port in ports:
            lines = user.run("rehearse", "env", "--port", port).out.splitlines()
            told = dict(line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)
            access = Path(told["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"])
            assert access.stat().st_mode & 0o077 == 0
            headers = {"authorization": f"Bearer {access.read_text()}"}
            url = f"{told['HOMEPORT_GOOGLE_URL']}/storage/v1/b?project=rehearsal"
            assert httpx2.get(url, headers=headers, trust_env=False, verify=False).status_code == 200
            outside = {**headers, "host": "cloudbuild.evil.example"}
            assert httpx2.get(url, headers=outside, trust_env=False, verify=False).status_code == 403
            page = {**headers, "origin": "http://evil.example"}
            assert httpx2.get(url, headers=page, trust_env=False, verify=False).status_code == 403
            headers = {"authorization": "Bearer rehearsal.you@example.com"}
            assert httpx2.get(url, headers=headers, trust_env=False, verify=False).status_code == 401
            elsewhere = str(user.folder / "another-users-home")
            refused = user.run("rehearse", "env", "--port", port, code=20, HOMEPORT_HOME=elsewhere)
            assert "no rehearsal of yours answers" in refused.err
            assert refused.out == ""
    finally:
        process.terminate()
        process.communicate(timeout=120)
    assert "homeport rehearse serve" in user.run("rehearse", "env", "--port", ports[0], code=20).err
    assert not list((user.home / "rehearsals").iterdir())


NAMES = spelt(OURS)


@settings(max_examples=250)
@given(NAMES)
def test_whatever_the_host_says_only_the_names_of_the_list_get_in(host: str) -> None:
    try:
        asked = DOOR.request_target("/v1/x", [("Host", host)])
    except ApiError:
        return
    name, _, port = (
        host.lower().rpartition(":") if not host.endswith("]") and ":" in host else (host.lower(), "", "")
    )
    assert asked.host == name
    assert port == "" or port.isdecimal()
    assert (
        name in {"localhost", "[::1]"}
        or (name.startswith("127.") and name.count(".") == 3)
        or name.endswith((".googleapis.com", ".run.app"))
    )


@settings(max_examples=300)
@given(NAMES, st.sampled_from(OURS))
def test_whatever_a_whole_address_says_host_says_so_too(authority: str, host: str) -> None:
    try:
        asked = DOOR.request_target(f"http://{authority}/v1/x", [("host", host)])
    except ApiError:
        return
    assert split(host) is not None
    assert asked.host == split(host)[0]  # type: ignore[index]


@given(st.ip_addresses(v=4))
def test_of_addresses_only_those_of_loopback_are_this_machines(address: object) -> None:
    assert is_loopback(str(address)) == str(address).startswith("127.")
