"""
What an instance reaches at an address of its own: Google's metadata server, and Cloud Storage as its own account.

In the cloud every instance has its metadata server at one address. Here they share one, and the path tells which of
them asks: it has a part that nobody else can know. The storage API lies there, too, for clients that send no token to an address that is not Google's.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.call import Reply, Request

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_METADATA = "/computeMetadata/v1/"
_FLAVOR = {"metadata-flavor": "Google", "server": "Metadata Server for VM"}
_IDENTITY = "instance/service-accounts/default/identity"
_LASTS_S = 3600


def environment(address: str) -> dict[str, str]:
    """Return the variables by which Google's libraries for Python and C++ find what lies at an instance's own `address`."""
    bare = address.partition("://")[2]
    host = urlsplit(address)
    return {
        "GCE_METADATA_HOST": bare,
        "GCE_METADATA_IP": bare,
        "STORAGE_EMULATOR_HOST": f"{host.scheme}://{host.netloc}",
        "CLOUD_STORAGE_EMULATOR_ENDPOINT": address,
    }


async def reply(cloud: Cloud, account: str, project: str, rest: str, request: Request) -> Reply:
    """Return the answer to an instance that runs as `account` and asks for the path `rest` at its own address."""
    if rest.startswith(_METADATA) or not rest.strip("/"):
        path = rest.removeprefix(_METADATA).strip("/")
        if path == _IDENTITY:
            return _identity(cloud, account, request)
        return _metadata(cloud, account, project, path)
    headers = {"authorization": f"Bearer {cloud.token(account)}", **request.headers}
    return await cloud.handle(replace(request, host="storage.googleapis.com", path=rest, headers=headers))


def _metadata(cloud: Cloud, account: str, project: str, path: str) -> Reply:
    """Answer as documented at https://cloud.google.com/run/docs/container-contract#metadata-server, as far as
    Google's own libraries ask for it.
    """
    known = {
        "": "computeMetadata/",
        "project/project-id": project,
        "instance/service-accounts/default/email": account,
    }
    if path in known:
        return Reply(body=known[path].encode(), headers={**_FLAVOR, "content-type": "application/text"})
    if path == "instance/service-accounts/default":
        return _json({"aliases": ["default"], "email": account, "scopes": []})
    if path == "instance/service-accounts/default/token":
        return _json({"access_token": cloud.token(account), "expires_in": _LASTS_S, "token_type": "Bearer"})
    return Reply(status=404, body=b"", headers=_FLAVOR)


def _identity(cloud: Cloud, account: str, request: Request) -> Reply:
    """Answer with an identity token for the audience that is asked for, as text."""
    (audience,) = parse_qs(request.query).get("audience", [""])
    if not audience:
        return Reply(status=400, body=b"non-empty audience parameter required\n", headers=_FLAVOR)
    headers = {**_FLAVOR, "content-type": "text/html"}
    return Reply(body=id_token(cloud, account, audience).encode(), headers=headers)


def _json(value: object) -> Reply:
    headers = {**_FLAVOR, "content-type": "application/json"}
    return Reply(body=json.dumps(value).encode(), headers=headers)
