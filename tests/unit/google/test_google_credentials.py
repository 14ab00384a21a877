"""Who asks: where credentials are found, how they are kept fresh, and that nobody sees them."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cloud import act
from google_door import jwt, refuses
from google_tokens import AUDIENCE, LOGIN, USER, id_token, tokens, written
from homeport.errors import GoogleError, HomeportError, NetworkError, NoCredentials, PermissionDenied
from homeport.google import exchange, from_env
from homeport.google.credentials import Credentials
from homeport.google.identity import Token, claims
from homeport.secret import Secret

HOME = "home@p.iam.gserviceaccount.com"
CI = "ci@p.iam.gserviceaccount.com"


@dataclass
class Asked:
    """One request as it came."""

    host: str
    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:  # Any: JSON
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(self.body).items()}


Answer = tuple[int, Any]  # Any: JSON, or text


@dataclass
class Server:
    """Google's token endpoints on loopback."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, Answer | Callable[[Asked], Answer]] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        path = urlsplit(asked.path).path
        given: Answer | Callable[[Asked], Answer] = next(
            (given for end, given in self.answers.items() if f"{asked.host}{path}".endswith(end)), (404, {})
        )
        return given(asked) if callable(given) else given

    @property
    def env(self) -> dict[str, str]:
        """Of a user who reaches nothing but this."""
        return {"HOMEPORT_GOOGLE_URL": self.url, "NO_GCE_CHECK": "true", "PATH": ""}


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            status, said = server.answer(
                Asked(self.headers["host"], self.path, dict(self.headers.items()), body)
            )
            data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("metadata-flavor", "Google")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.url = f"http://127.0.0.1:{listening.server_port}"
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        listening.shutdown()


@cache
def key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.private_bytes(serialization.Encoding.PEM, kind, none).decode()


def service_account() -> dict[str, str]:
    return {"type": "service_account", "client_email": CI, "private_key": key(), "private_key_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token", "project_id": "p"}  # fmt: skip


GCLOUD = "32555940559.apps.googleusercontent.com"


def expiry(seconds: float = 3600) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_token_in_the_environment_comes_first(server: Server, tmp_path: Path) -> None:
    env = server.env | written(tmp_path, USER) | {"CLOUDSDK_AUTH_ACCESS_TOKEN": "rehearsal.you@example.com"}
    token, credentials = tokens(env)
    assert token == "rehearsal.you@example.com"
    assert credentials.principal == ""
    assert tokens(env | {"CLOUDSDK_CORE_ACCOUNT": "you@example.com"})[1].principal == "you@example.com"
    assert server.asked == []


def test_an_access_token_alone_makes_no_id_token() -> None:
    with pytest.raises(NoCredentials, match="an access token alone makes none") as told:
        id_token({"CLOUDSDK_AUTH_ACCESS_TOKEN": "of-googles"})
    assert "HOMEPORT_IMPERSONATE" in told.value.hint


def test_a_login_by_gclouds_client_has_the_id_token_that_gcloud_has(server: Server, tmp_path: Path) -> None:
    """As in a file of gcloud's own for a person, and in one that a rehearsal hands out: gcloud is not asked."""
    server.answers["oauth2.googleapis.com/token"] = (
        200, {"access_token": "a", "expires_in": 3600, "id_token": jwt(aud=GCLOUD, email="you@example.com")},
    )  # fmt: skip
    env = server.env | written(tmp_path, USER | {"client_id": GCLOUD})
    assert claims(Secret(id_token(env)))["aud"] == GCLOUD


def test_a_service_accounts_key(server: Server, tmp_path: Path) -> None:
    server.answers["oauth2.googleapis.com/token"] = lambda asked: (
        (200, {"id_token": jwt(aud=AUDIENCE)})
        if "target_audience" in claims(Secret(asked.form["assertion"]))
        else (200, {"access_token": "of-ci", "expires_in": 3600})
    )
    env = server.env | written(tmp_path, service_account())
    token, credentials = tokens(env)
    assert token == "of-ci"
    assert credentials.principal == CI
    assert claims(Secret(server.asked[0].form["assertion"]))["iss"] == CI
    assert claims(Secret(id_token(env)))["aud"] == AUDIENCE


def test_a_persons_own_credentials(server: Server, tmp_path: Path) -> None:
    server.answers["/token"] = (
        200, {"access_token": "of-you", "expires_in": 3600, "id_token": jwt(email="you@example.com")}
    )  # fmt: skip
    env = server.env | written(tmp_path, USER | {"quota_project_id": "payer"})
    token, credentials = tokens(env)
    assert token == "of-you"
    assert server.asked[0].form["refresh_token"] == "a-refresh-token"
    assert asyncio.run(credentials.who()) == "you@example.com"
    assert credentials.quota_project == "payer"
    assert tokens(env | {"GOOGLE_CLOUD_QUOTA_PROJECT": "other"})[1].quota_project == "other"


def test_the_well_known_file_is_found(server: Server, tmp_path: Path) -> None:
    server.answers["/token"] = (200, {"access_token": "of-you", "expires_in": 3600})
    folder = tmp_path / ".config" / "gcloud"
    folder.mkdir(parents=True)
    (folder / "application_default_credentials.json").write_text(json.dumps(USER))
    assert tokens(server.env | {"HOME": str(tmp_path)})[0] == "of-you"
    assert tokens(server.env | {"CLOUDSDK_CONFIG": str(folder)})[0] == "of-you"


def test_without_gcloud_a_person_has_no_id_token_and_is_told_so(server: Server, tmp_path: Path) -> None:
    env = server.env | written(tmp_path, USER)
    with pytest.raises(NoCredentials, match="there is no gcloud") as told:
        id_token(env)
    assert told.value.hint.startswith("`gcloud auth login`")


def federated(folder: Path, *, account: str = "") -> dict[str, str]:
    """Credentials of a CI system by workload identity federation."""
    (folder / "subject").write_text("a-token-of-the-ci")
    info = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/ci",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": str(folder / "subject")},
    }
    if account:
        path = f"v1/projects/-/serviceAccounts/{account}:generateAccessToken"
        info["service_account_impersonation_url"] = f"https://iamcredentials.googleapis.com/{path}"
    return written(folder, info)


def test_workload_identity_federation_for_ci(server: Server, tmp_path: Path) -> None:
    server.answers["sts.googleapis.com/v1/token"] = (200, {"access_token": "federated", "expires_in": 3600, "token_type": "Bearer",
                                                           "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})  # fmt: skip
    server.answers[f"{CI}:generateAccessToken"] = (200, {"accessToken": "of-ci", "expireTime": expiry()})
    server.answers[f"{CI}:generateIdToken"] = lambda asked: (200, {"token": jwt(aud=asked.json["audience"])})
    assert tokens(server.env | federated(tmp_path))[0] == "federated"
    env = server.env | federated(tmp_path, account=CI)
    token, credentials = tokens(env)
    assert token == "of-ci"
    assert credentials.principal == CI
    assert server.asked[-1].headers["authorization"] == "Bearer federated"
    assert claims(Secret(id_token(env)))["aud"] == AUDIENCE
    assert server.asked[-1].headers["authorization"] == "Bearer federated"


def test_credentials_that_act_as_another_by_their_file(server: Server, tmp_path: Path) -> None:
    server.answers["/token"] = (200, {"access_token": "of-you", "expires_in": 3600})
    server.answers[f"{HOME}:generateAccessToken"] = (200, {"accessToken": "of-home", "expireTime": expiry()})
    server.answers[f"{HOME}:generateIdToken"] = (200, {"token": jwt(aud=AUDIENCE)})
    path = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{HOME}:generateAccessToken"
    info = {
        "type": "impersonated_service_account",
        "source_credentials": USER,
        "service_account_impersonation_url": path,
    }
    env = server.env | written(tmp_path, info)
    token, credentials = tokens(env)
    assert token == "of-home"
    assert credentials.principal == HOME
    assert claims(Secret(id_token(env)))["aud"] == AUDIENCE
    server.answers[f"{HOME}:generateAccessToken"] = denial()
    with pytest.raises(PermissionDenied) as told:
        tokens(env)
    assert f"add-iam-policy-binding {HOME} --project=p" in told.value.hint


def denial() -> tuple[int, str]:
    said = refuses(
        403, "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
        name="PERMISSION_DENIED",
    )  # fmt: skip
    return 403, said.text


def test_whoever_may_acts_as_a_service_account(server: Server) -> None:
    server.answers[f"{HOME}:generateAccessToken"] = (200, {"accessToken": "of-home", "expireTime": expiry()})
    server.answers[f"{HOME}:generateIdToken"] = lambda asked: (
        200,
        {"token": jwt(aud=asked.json["audience"])},
    )
    env = server.env | {"CLOUDSDK_AUTH_ACCESS_TOKEN": "mine", "CLOUDSDK_CORE_ACCOUNT": "you@example.com"}
    token, credentials = tokens(env | {"HOMEPORT_IMPERSONATE": HOME})
    assert token == "of-home"
    assert credentials.principal == HOME
    assert server.asked[0].headers["authorization"] == "Bearer mine"
    assert tokens(env, impersonate=HOME)[0] == "of-home"
    assert claims(Secret(id_token(env, impersonate=HOME)))["aud"] == AUDIENCE
    assert server.asked[-1].json["includeEmail"] is True
    server.answers[f"{HOME}:generateAccessToken"] = denial()
    with pytest.raises(PermissionDenied) as told:
        tokens(env, impersonate=HOME)
    assert told.value.hint.endswith(
        f"gcloud iam service-accounts add-iam-policy-binding {HOME} --project=p --member=user:you@example.com "
        "--role=roles/iam.serviceAccountTokenCreator"
    )


def test_the_metadata_server_of_a_machine_of_googles(server: Server) -> None:
    root = "/computeMetadata/v1/instance/service-accounts/default"
    server.answers[f"{root}/token"] = (200, {"access_token": "of-the-machine", "expires_in": 1200})
    server.answers[f"{root}/email"] = (200, CI)
    server.answers[f"{root}/identity"] = lambda asked: (
        200,
        jwt(aud=parse_qs(urlsplit(asked.path).query)["audience"][0]),
    )
    server.answers["/"] = (200, "computeMetadata/")
    env = {"GCE_METADATA_HOST": server.url.removeprefix("http://"), "PATH": ""}
    token, credentials = tokens(env)
    assert token == "of-the-machine"
    assert asyncio.run(credentials.who()) == CI
    assert claims(Secret(id_token(env)))["aud"] == AUDIENCE
    assert all(asked.headers["metadata-flavor"] == "Google" for asked in server.asked)


def test_a_metadata_server_without_an_account_is_told(server: Server) -> None:
    server.answers["127.0.0.1"] = (200, "")
    server.answers["/"] = (200, "")
    with pytest.raises(NoCredentials, match="gives no token: 404"):
        tokens({"GCE_METADATA_HOST": server.url.removeprefix("http://"), "PATH": ""})


def test_nobody_is_told_the_one_command() -> None:
    with pytest.raises(NoCredentials) as told:
        tokens({"NO_GCE_CHECK": "true", "PATH": ""})
    assert told.value.hint == LOGIN


def test_a_network_without_a_metadata_server_is_not_waited_for() -> None:
    with pytest.raises(NoCredentials):
        tokens({"GCE_METADATA_HOST": "127.0.0.1:9", "PATH": ""})


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"type": "service_account"}', '{"type": "unheard of"}', '{"type": "impersonated_service_account"}'])  # fmt: skip
def test_a_file_that_holds_no_credentials_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(text)
    with pytest.raises(NoCredentials, match=str(path)) as told:
        tokens({"GOOGLE_APPLICATION_CREDENTIALS": str(path)})
    assert LOGIN in told.value.hint


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(NoCredentials, match="/nowhere"):
        tokens({"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/at/all.json"})


def test_credentials_that_have_ended_are_told_with_the_command(server: Server, tmp_path: Path) -> None:
    server.answers["/token"] = (
        400,
        {"error": "invalid_grant", "error_description": "Token has been expired or revoked."},
    )
    with pytest.raises(NoCredentials, match="expired or revoked") as told:
        tokens(server.env | written(tmp_path, USER))
    assert told.value.hint == LOGIN
    with pytest.raises(NoCredentials, match=CI) as told:
        tokens(server.env | written(tmp_path, service_account()))
    assert "unset GOOGLE_APPLICATION_CREDENTIALS" in told.value.hint


def test_a_token_endpoint_out_of_reach_is_the_networks_fault(tmp_path: Path) -> None:
    env = {"HOMEPORT_GOOGLE_URL": "http://127.0.0.1:9", "CLOUDSDK_AUTH_ACCESS_TOKEN": "mine"}
    with pytest.raises(NetworkError, match="could not be reached"):
        tokens(env, impersonate=HOME)


def test_without_the_extra_it_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(exchange, "import_module", missing)
    with pytest.raises(HomeportError) as told:
        tokens(written(tmp_path, USER))
    assert "pip install 'homeport[cloudrun]'" in told.value.hint


class Counted:
    """Tokens that last for so long, counted."""

    principal = "you@example.com"
    quota_project = ""

    def __init__(self, lasts: float) -> None:
        self._lasts = lasts
        self.made = 0

    def who(self) -> str:
        return self.principal

    def token(self) -> Token:
        self.made += 1
        return Token(value=Secret(f"token-{self.made}"), lasts=self._lasts)

    def id_token(self, audience: str) -> Token:
        self.made += 1
        return Token(value=Secret(f"{audience}-{self.made}"), lasts=self._lasts)

    def signed_jwt(self, audience: str) -> Token:
        return self.id_token(audience)


def test_a_token_is_renewed_some_minutes_before_it_ends() -> None:
    source = Counted(3600)

    async def work() -> list[int]:
        credentials, made = Credentials(source), []
        for pause in (0, 3200, 99, 2):
            await asyncio.sleep(pause)
            await credentials.token()
            made.append(source.made)
        return made

    assert act(work()) == [1, 1, 1, 2]


def test_one_renews_it_for_all() -> None:
    source = Counted(3600)

    async def work() -> set[str]:
        credentials = Credentials(source)
        first = {token.reveal() for token in await asyncio.gather(*(credentials.token() for _ in range(20)))}
        stale = await credentials.token()
        again = await asyncio.gather(*(credentials.renewed(stale) for _ in range(20)))
        return first | {token.reveal() for token in again}

    assert act(work()) == {"token-1", "token-2"}


def test_one_renews_it_for_the_event_loops_of_all_threads() -> None:
    about_to_ask = threading.Barrier(4)
    said: list[str] = []

    class Slow(Counted):
        """Has been asked once when three others, each on a loop of its own, begin to ask."""

        def id_token(self, audience: str) -> Token:
            for other in others:
                other.start()
            about_to_ask.wait(timeout=120)
            return super().id_token(audience)

    async def ask() -> None:
        about_to_ask.wait(timeout=120)
        said.append((await credentials.id_token("a")).reveal())

    source = Slow(3600)
    credentials = Credentials(source)
    others = [threading.Thread(target=asyncio.run, args=(ask(),), daemon=True) for _ in range(3)]
    assert asyncio.run(credentials.id_token("a")).reveal() == "a-1"
    for other in others:
        other.join(timeout=120)
    assert said == ["a-1"] * 3
    assert source.made == 1


def test_id_tokens_are_kept_for_each_audience() -> None:
    source = Counted(3600)

    async def work() -> list[str]:
        credentials = Credentials(source)
        seen = [await credentials.id_token(audience) for audience in ("a", "b", "a", "b")]
        await asyncio.sleep(3301)
        seen.append(await credentials.id_token("a"))
        return [token.reveal() for token in seen]

    assert act(work()) == ["a-1", "b-2", "a-1", "b-2", "a-3"]


def test_nothing_of_it_is_ever_seen(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("google.auth").setLevel(logging.DEBUG)
    server.answers["/token"] = (
        200,
        {"access_token": "ya29.secret", "expires_in": 3600, "id_token": jwt(email="you@example.com")},
    )
    server.answers[f"{HOME}:generateAccessToken"] = (
        200,
        {"accessToken": "ya29.secret-of-home", "expireTime": expiry()},
    )
    server.answers["/v1/projects/p/secrets"] = (200, {})
    env = server.env | written(tmp_path, USER) | {"HOMEPORT_IMPERSONATE": HOME}

    async def work() -> str:
        async with await from_env(env, project="p") as google:
            await google.get("secretmanager", "v1/projects/p/secrets")
            token = await google.credentials.token()
            return f"{google} {google.credentials!r} {vars(google.credentials)} {google.credentials._source!r} {token}"

    shown = asyncio.run(work()) + caplog.text + "".join(str(vars(record)) for record in caplog.records)
    shown += "".join(capfd.readouterr())
    assert HOME in shown
    for secret in ("ya29", "a-refresh-token", jwt()[:20]):
        assert secret not in shown
    assert server.asked[-1].headers["authorization"] == "Bearer ya29.secret-of-home"
    assert server.asked[-1].host == "secretmanager.googleapis.com"


def test_errors_hold_no_tokens_either(server: Server, tmp_path: Path) -> None:
    server.answers["/token"] = (200, {"id_token": "ya29.secret", "expires_in": 3600})
    with pytest.raises((NoCredentials, GoogleError)) as told:
        tokens(server.env | written(tmp_path, USER))
    import traceback

    assert "ya29" not in "".join(traceback.format_exception(told.value))


def test_everything_is_told_by_the_environment(server: Server) -> None:
    server.answers["/v1/projects/q/secrets"] = (200, {"secrets": [{"name": "s"}]})
    env = server.env | {
        "CLOUDSDK_AUTH_ACCESS_TOKEN": "mine",
        "GOOGLE_CLOUD_PROJECT": "q",
        "HOMEPORT_VALIDATE": "1",
    }

    async def work() -> list[Any]:  # Any: JSON
        async with await from_env(env) as google:
            return [
                item
                async for item in google.pages(
                    "secretmanager", f"v1/projects/{google.project}/secrets", "secrets"
                )
            ]

    assert asyncio.run(work()) == [{"name": "s"}]

    async def wrong() -> None:
        async with await from_env(env) as google:
            await google.get("secretmanager", "v1/projects/q/scerets")

    with pytest.raises(ValueError, match="no such method"):
        asyncio.run(wrong())
