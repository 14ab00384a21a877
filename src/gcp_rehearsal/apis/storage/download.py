"""Cloud Storage: reading objects, by the JSON API and by their plain addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from gcp_rehearsal.apis.storage.encryption import check_readable
from gcp_rehearsal.apis.storage.objects import (  # fmt: skip
    bucket_of,
    content_of,
    find,
    named,
    shown,
    unheld,
    unmet,
)
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_HEADERS = {"cacheControl": "cache-control", "contentDisposition": "content-disposition",
            "contentEncoding": "content-encoding", "contentLanguage": "content-language"}  # fmt: skip


def get(call: Call) -> Json:
    """Return an object's metadata, or with `alt=media` its bytes."""
    wants_bytes = parse_qs(call.request.query).get("alt") == ["media"]
    try:
        stored = named(call)
        state = unmet(call.query, stored)
        if state == "not match":
            return Reply(status=304)
        if state:
            raise unheld()
        if wants_bytes:
            check_readable(call.cloud, stored)
    except ApiError as error:
        if not wants_bytes:
            raise
        # As Google answers a download: the message alone.
        return Reply(
            status=error.code,
            body=error.message.encode(),
            headers={"content-type": "text/html; charset=UTF-8"},
        )
    return bytes_of(stored, call.request.headers) if wants_bytes else shown(call, stored)


def bytes_of(kept: StoredResource, headers: Mapping[str, str]) -> Reply:
    """Return an object's bytes, or those of the range that is asked for."""
    content = content_of(kept)
    span = _span(headers.get("range", ""), content.size)
    if span is None:
        return Reply(status=200, body=content.read(), headers=_described(kept))
    start, end = span
    if start >= end:
        return Reply(
            status=416,
            body=b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>InvalidRange</Code><Message>The requested "
            b"range cannot be satisfied.</Message></Error>",
            headers={
                "content-type": "application/xml; charset=UTF-8",
                "content-range": f"bytes */{content.size}",
            },
        )
    reply_headers = {**_described(kept), "content-range": f"bytes {start}-{end - 1}/{content.size}"}
    return Reply(status=206, body=content.read(start, end), headers=reply_headers)


def by_address(cloud: Cloud, request: Request) -> Reply:
    """Return an object by `https://storage.googleapis.com/BUCKET/OBJECT`, to look at only."""
    bucket, _, name = unquote(request.path.lstrip("/")).partition("/")
    if request.verb not in {"GET", "HEAD"} or not name:
        return _xml(501, "NotImplemented", "the rehearsal does not act out the XML API, except for downloads")
    try:
        holder = bucket_of(cloud, bucket)
        caller = cloud.access.caller(request.headers)
    except ApiError as error:
        if error.code == 401:
            return _xml(401, "AuthenticationRequired", "Authentication required.")
        return _xml(404, "NoSuchBucket", "The specified bucket does not exist.")
    permission = "storage.objects.get"
    if permission not in cloud.access.held(caller, [permission], "storage", holder.name, holder.project):
        return _xml(403, "AccessDenied", f"Access denied. {caller.email} does not have {permission} access.")
    stored = find(cloud, bucket, name)
    if stored is None:
        return _xml(404, "NoSuchKey", "The specified key does not exist.")
    return _bytes_at_address(cloud, request, stored)


def _bytes_at_address(cloud: Cloud, request: Request, stored: StoredResource) -> Reply:
    try:
        check_readable(cloud, stored)
    except ApiError as error:
        return _xml(error.code, "AccessDenied" if error.code == 403 else "InvalidArgument", error.message)
    return bytes_of(stored, request.headers)


def _span(header: str, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one after the last; None where all is asked for, as by a header that means nothing."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return max(size - int(last), 0), size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


def _described(stored: StoredResource) -> dict[str, str]:
    body, content = stored.body, content_of(stored)
    hashes = f"crc32c={content.crc32c}" + (f",md5={content.md5}" if content.md5 else "")
    return {
        "content-type": body.get("contentType", "application/octet-stream"),
        "etag": body["etag"],
        "accept-ranges": "bytes",
        "last-modified": formatdate(stored.created, usegmt=True),
        "x-goog-generation": body["generation"],
        "x-goog-metageneration": body["metageneration"],
        "x-goog-hash": hashes,
        "x-goog-storage-class": body["storageClass"],
        "x-goog-stored-content-length": body["size"],
        "x-goog-stored-content-encoding": body.get("contentEncoding", "identity"),
        **{header: body[key] for key, header in _HEADERS.items() if key in body},
    }


def _xml(status: int, code: str, message: str) -> Reply:
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(
        status=status, body=text.encode(), headers={"content-type": "application/xml; charset=UTF-8"}
    )
