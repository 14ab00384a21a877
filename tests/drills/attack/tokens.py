"""
Forged and borrowed identities: at a rehearsed service, at the rehearsal's token endpoints, at its metadata server.

The law: whatever a stranger is given, it opens nothing. A token that comes back is tried, not believed.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from functools import partial
from random import Random
from typing import Any
from urllib.parse import urlencode

from attack import doors
from attack import raw_requests as raw
from attack.law import Attack, Watch, shown
from attack.raw_requests import FOREIGN_HOSTS, FOREIGN_PAGES, Headers
from attack.stage import Stage
from attack.wire import exchange

SERVICE = b"@SERVICE@"
_FRONT = doors.Door(
    name="rehearsed service",
    server=lambda stage: stage.rehearsal,
    target=doors.target(("GET /v1/models", "POST /v1/completions", "GET /metrics", "DELETE /v1/models/x", "GET /"), b"/health"),
    looks_at_pages=False,
    looks_at_hosts=False,
    hosts=(SERVICE,),
)  # fmt: skip
_TOKENS = re.compile(r'"(?:access_token|accessToken|id_token|token)": ?"([^"]+)"')
_OWNER = "you@example.com"
_BUILDER = "home-build@rehearsal.iam.gserviceaccount.com"
_DEFAULT = "1-compute@developer.gserviceaccount.com"


def attacks(random: Random) -> list[Attack]:
    """What is tried at the front end, the token endpoints and the metadata server."""
    front = [attack for attack in doors.at(_FRONT, random) if attack.kind != "pages without the key"]
    forged = [
        Attack(
            door="rehearsed service",
            kind="forged identities",
            name=f"{path} with {name} in {header}",
            carry_out=partial(_presented, name, header, path),
            alone=False,
        )
        for name in (*_FORGERIES, *_BORROWED)
        for header in ("Authorization", "X-Serverless-Authorization")
        for path in ("/v1/models", "/v1/completions")
    ]
    return [*front, *forged, *_given_tokens(random), *_metadata(random)]


def watches(stage: Stage) -> dict[str, Watch]:
    """The service may not have been called, and still answers its owner."""
    calls: list[int] = []

    def service() -> str:
        count = stage.served()
        fell = f"{count - calls[-1]} calls of strangers came through" if calls and count != calls[-1] else ""
        good = stage.rehearsal.told["identities"]["good"].encode()
        data = raw.request(b"GET", b"/v1/models", ((b"Authorization", b"Bearer " + good),), host=_host(stage))
        answer = exchange(stage.rehearsal.port, data, patience_s=60)
        calls.append(stage.served())
        return fell or ("" if answer.statuses == [200] else shown(f"the owner is not served: {answer.text}"))

    return {"rehearsed service": Watch(service)}


def _host(stage: Stage) -> bytes:
    return str(stage.rehearsal.told["service"]).removeprefix("https://").encode()


def _part(value: Mapping[str, Any]) -> str:  # Any: JSON
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _changed(claims: Mapping[str, Any]) -> Any:  # Any: a function of the good token
    def change(good: str) -> str:
        head, body, signature = good.split(".")
        told = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return f"{head}.{_part({**told, **claims})}.{signature}"

    return change


_FORGERIES: Mapping[str, Any] = {  # Any: functions of the good token
    "no signature": lambda good: good.rpartition(".")[0] + ".",
    "no dot": lambda good: good.replace(".", ""),
    "algorithm none": lambda good: f"{_part({'alg': 'none', 'typ': 'JWT'})}.{good.split('.')[1]}.",
    "algorithm None": lambda good: f"{_part({'alg': 'nOnE'})}.{good.split('.')[1]}.{good.split('.')[2]}",
    "a key in its head": lambda good: f"{_part({'alg': 'HS256', 'jwk': {'kty': 'oct', 'k': 'AA'}})}.{good.split('.')[1]}.AA",
    "a kid that is a path": lambda good: f"{_part({'alg': 'HS256', 'kid': '../../dev/null'})}.{good.split('.')[1]}.",
    "another's name": _changed({"email": "root@example.com"}),
    "another audience": _changed({"aud": "https://evil.example"}),
    "a list of audiences": _changed({"aud": ["https://evil.example"]}),
    "an end in the year 9999": _changed({"exp": 253402300799}),
    "an end that is a text": _changed({"exp": "never"}),
    "one letter of the signature": lambda good: good[:-1] + ("A" if good[-1] != "A" else "B"),
    "the signature cut": lambda good: good[:-4],
    "the signature and more": lambda good: good + "AAAA",
    "a space in it": lambda good: good.replace(".", ". "),
    "another case": lambda good: good.swapcase(),
    "claims that are a list": lambda good: f"{good.split('.')[0]}.{base64.urlsafe_b64encode(b'[]').decode()}.{good.split('.')[2]}",
    "claims that are no JSON": lambda good: f"{good.split('.')[0]}.AAAA.{good.split('.')[2]}",
    "letters beyond ASCII": lambda good: good[:-2] + "\xe9\xe9",
    "a long one": lambda good: good + "A" * 30_000,
    "many dots": lambda good: "." * 2000,
    "the words of the front end": lambda good: good.rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE",
    "nothing": lambda good: "",
    "the old public token": lambda good: f"rehearsal.{_OWNER}",
}  # fmt: skip
_BORROWED = ("a stranger", "for somebody else")
"""Tokens that the rehearsal did make: for one who may not call, and of one who may, for another service."""


def _presented(name: str, header: str, path: str, stage: Stage) -> str:
    identities = stage.rehearsal.told["identities"]
    token = _FORGERIES[name](identities["good"]) if name in _FORGERIES else identities[name]
    headers = ((header.encode(), b"Bearer " + token.encode("latin-1")),)
    data = raw.request(b"GET", path.encode(), headers, host=_host(stage))
    return doors.judged(exchange(stage.rehearsal.port, data, patience_s=60), whole=True, key="")


def _opens(token: str, stage: Stage) -> str:
    """What `token` opens; '' where it opens nothing."""
    port = stage.rehearsal.port
    bearer = ((b"Authorization", b"Bearer " + token.encode("latin-1", "replace")),)
    for host, path in (
        (b"storage.googleapis.com", b"/storage/v1/b?project=rehearsal"),
        (b"run.googleapis.com", b"/v2/projects/rehearsal/locations/us-central1/services"),
        (_host(stage), b"/v1/models"),
    ):
        answer = exchange(port, raw.request(b"GET", path, bearer, host=host), patience_s=60)
        known = answer.statuses == [200] or (answer.statuses == [403] and "does not have" in answer.text)
        if known:
            return shown(f"the token that it gives away is known at {host.decode()}: {answer.text}")
    return ""


def _tried(host: bytes, method: bytes, path: bytes, headers: Headers, body: bytes, stage: Stage) -> str:
    data = raw.request(method, path.replace(b"@ACCOUNT@", _DEFAULT.encode()), headers, body, host)
    data = data.replace(raw.HOST, f"127.0.0.1:{stage.rehearsal.port}".encode())
    answer = exchange(stage.rehearsal.port, data, patience_s=60)
    if stage.rehearsal.key.encode() not in data and stage.rehearsal.key in answer.text:
        return shown(f"it tells its key: {answer.text}")
    for token in _TOKENS.findall(answer.text):
        opened = _opens(token, stage)
        if opened:
            return opened
    return "" if answer.statuses or answer.closed else "it neither answers nor hangs up"


def _given_tokens(random: Random) -> list[Attack]:
    jwt = f"{_part({'alg': 'none'})}.{_part({'iss': _OWNER, 'sub': _OWNER, 'email': _OWNER, 'target_audience': 'https://x'})}."
    plain = f"{_part({'alg': 'none'})}.{_part({'iss': _BUILDER, 'sub': _OWNER})}."
    pool = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p"
    exchange_of = {"grantType": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": pool, "subjectToken": plain,
                   "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt", "scope": "https://www.googleapis.com/auth/cloud-platform"}  # fmt: skip
    forms = [
        {"grant_type": "refresh_token", "refresh_token": _OWNER, "client_id": "x", "client_secret": "x"},
        {"grant_type": "refresh_token", "refresh_token": f"rehearsal.{_OWNER}", "client_id": "x"},
        {"grant_type": "refresh_token", "refresh_token": _BUILDER},
        {"grant_type": "refresh_token", "refresh_token": ""},
        {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": jwt},
        {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": plain},
        {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "x"},
        {"grant_type": "client_credentials", "client_id": _OWNER},
        {"grant_type": "password", "username": _OWNER, "password": ""},
    ]
    asked: list[tuple[bytes, bytes, bytes, Headers, bytes]] = []
    for form in forms:
        for host, path in (
            (b"oauth2.googleapis.com", b"/token"),
            (raw.HOST, b"/token"),
            (b"evil.example", b"/token"),
            (b"sts.googleapis.com", b"/v1/token"),
        ):
            asked.append(
                (
                    host,
                    b"POST",
                    path,
                    ((b"Content-Type", b"application/x-www-form-urlencoded"),),
                    urlencode(form).encode(),
                )
            )
    for host in (b"sts.googleapis.com", raw.HOST, b"sts.evil.example"):
        asked.append((host, b"POST", b"/v1/token", (), json.dumps(exchange_of).encode()))
    olds = (
        f"rehearsal.{_OWNER}",
        f"rehearsal.{_BUILDER}",
        "rehearsal.",
        f"rehearsal..{_OWNER}",
        f"rehearsal.x.{_OWNER}",
        f"rehearsal.{_OWNER}.x",
    )
    for old in olds:
        bearer = ((b"Authorization", b"Bearer " + old.encode()),)
        for path in (
            b"/rehearsal/id_token",
            b"/rehearsal/id_token?audience=https://x",
            b"/tokeninfo?access_token=" + old.encode(),
        ):
            asked.append((raw.HOST, b"GET", path, bearer, b""))
            asked.append((b"oauth2.googleapis.com", b"POST", path, bearer, b"{}"))
        for verb, field in (
            (b"generateAccessToken", b'{"scope": ["x"]}'),
            (b"generateIdToken", b'{"audience": "x"}'),
            (b"signJwt", b'{"payload": "{}"}'),
        ):
            for account in (_BUILDER, _DEFAULT, "-"):
                path = b"/v1/projects/-/serviceAccounts/" + account.encode() + b":" + verb
                asked.append((b"iamcredentials.googleapis.com", b"POST", path, bearer, field))
    random.shuffle(asked)
    made = [
        Attack(door="rehearsal", kind="asked for tokens", name=f"{method.decode()} {host.decode()}{path.decode()}",
               carry_out=partial(_tried, host, method, path, headers, body), alone=False)
        for host, method, path, headers, body in asked
    ]  # fmt: skip
    made += [
        Attack(door="rehearsal", kind="asked for tokens", name=f"the token {old}", carry_out=partial(_opens, old), alone=False)
        for old in olds
    ]  # fmt: skip
    return made


def _metadata(random: Random) -> list[Attack]:
    account = "instance/service-accounts/default"
    paths = (f"{account}/token", f"{account}/identity?audience=https://x", f"{account}/email", "project/project-id",
             f"{account}/?recursive=true", "instance/attributes/?recursive=true&alt=json", "?recursive=true")  # fmt: skip
    roots = [
        "/computeMetadata/v1/",
        *(
            f"/homeport/v1/instances/{n}/computeMetadata/v1/"
            for n in (0, 1, 2, 3, "01", "-1", "%31", "1%2f", "../instances/1", "*")
        ),
    ]
    flavor = (b"Metadata-Flavor", b"Google")
    hosts: list[tuple[bytes, Headers]] = [
        (raw.HOST, (flavor,)),
        (raw.HOST, ()),
        (b"metadata.google.internal", (flavor,)),
        (b"169.254.169.254", (flavor,)),
    ]
    hosts += [(random.choice(FOREIGN_HOSTS), (flavor,)) for _ in range(2)] + [
        (raw.HOST, (flavor, *random.choice(FOREIGN_PAGES)))
    ]
    made = [
        Attack(door="metadata server", kind="asked for tokens", name=f"{host.decode('latin-1')}{root}{path}",
               carry_out=partial(_tried, host, b"GET", f"{root}{path}".encode(), headers, b""), alone=False)
        for root in roots for path in paths for host, headers in hosts
    ]  # fmt: skip
    stores = (
        "/storage/v1/b?project=rehearsal",
        "/storage/v1/b/x/o",
        "/upload/storage/v1/b/x/o?uploadType=media&name=x",
        "/rehearsal-x/x",
    )
    made += [
        Attack(door="metadata server", kind="an instance's storage", name=f"{method.decode()} {store} as instance {number}",
               carry_out=partial(_stored, method, f"/homeport/v1/instances/{number}{store}".encode(), headers), alone=False)
        for number in (0, 1, 2, "01", "%31") for store in stores for method in (b"GET", b"POST") for headers in ((), FOREIGN_PAGES[0])
    ]  # fmt: skip
    return made


def _stored(method: bytes, path: bytes, headers: Headers, stage: Stage) -> str:
    """An instance's own way to Cloud Storage, taken by somebody who is no instance."""
    answer = exchange(
        stage.rehearsal.port,
        raw.request(method, path, headers, b"{}" if method == b"POST" else b""),
        patience_s=60,
    )
    known = "does not have" in answer.text or any(status < 400 for status in answer.statuses)
    return shown(f"it answers as to the instance: {answer.text}") if known else ""
