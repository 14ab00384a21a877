"""Cloud Storage: how objects' bytes come in: at once, with their metadata in one body, or in chunks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from gcp_rehearsal.apis.storage.content import Writing, claims, written
from gcp_rehearsal.apis.storage.objects import bucket_of, check_settings, overwrite, place, shown
from gcp_rehearsal.call import Reply
from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import ApiError, invalid, not_found, unimplemented
from gcp_rehearsal.json_text import read_json
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.schema import SchemaCheck
from gcp_rehearsal.state import StoredResource

_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_BOUNDARY = re.compile(r"""boundary=(?:"([^"]+)"|'([^']+)'|([^;\s]+))""")


@dataclass(kw_only=True)
class _Session:
    """One upload in chunks."""

    call: Call
    """That began it: its conditions hold to the end."""
    name: str
    settings: JsonObject
    writing: Writing
    done: StoredResource | None = None


def insert(call: Call) -> Json:
    """Put an object's bytes into a bucket, in any of the ways."""
    query = {key: values[-1] for key, values in parse_qs(call.request.query).items()}
    if call.media is None:
        raise ApiError(
            400,
            "Upload requests must include an uploadType URL parameter and a URL path beginning with /upload/",
            reason="wrongUrlForUpload",
        )
    if query.get("upload_id"):
        return _resumed(call, query["upload_id"])
    if call.request.verb not in {"POST", "PUT"}:
        raise ApiError(405, "Method Not Allowed", reason="methodNotAllowed")
    bucket = bucket_of(call.cloud, call.params["bucket"])
    if call.query.get("predefinedAcl") or call.query.get("kmsKeyName"):
        raise unimplemented("access control lists and own keys of objects")
    ways = {"media": _at_once, "multipart": _in_parts, "resumable": _begun}
    way = ways.get(query.get("uploadType", ""))
    if way is None:
        raise invalid(f"Invalid uploadType: {query.get('uploadType', '')}")
    return way(call, bucket)


def _at_once(call: Call, bucket: StoredResource) -> JsonObject:
    settings = {"contentType": call.request.headers.get("content-type", "")}
    return _put(call, bucket, settings, call.media or b"")


def _in_parts(call: Call, bucket: StoredResource) -> JsonObject:
    metadata, content_type, data = _parts(call)
    settings = _settings(call, metadata)
    return _put(call, bucket, {"contentType": content_type, **settings}, data)


def _put(call: Call, bucket: StoredResource, settings: JsonObject, data: bytes) -> JsonObject:
    name = _name(call, settings)
    overwrite(call, bucket, name)
    content = written(call.cloud, data, {**claims(call.request.headers), **settings})
    return shown(call, place(call.cloud, bucket, name, content, settings))


def _begun(call: Call, bucket: StoredResource) -> Reply:
    headers = call.request.headers
    settings = {
        "contentType": headers.get("x-upload-content-type", ""),
        **_settings(call, call.media or b"{}"),
    }
    name = _name(call, settings)
    overwrite(call, bucket, name)
    session = _Session(call=call, name=name, settings=settings, writing=Writing(call.cloud))
    key = call.cloud.uuid().replace("-", "")
    bucket.hidden.setdefault("uploads", {})[key] = session
    scheme = headers.get("x-forwarded-proto", "https")
    query = urlencode({"uploadType": "resumable", "name": name, "upload_id": key})
    host = headers.get("host") or call.request.host
    return Reply(
        status=200,
        headers={
            "location": f"{scheme}://{host}/upload/storage/v1/b/{bucket.id}/o?{query}",
            "x-guploader-uploadid": key,
        },
    )


def _resumed(call: Call, key: str) -> Json:
    bucket = bucket_of(call.cloud, call.params["bucket"])
    session: _Session | None = bucket.hidden.get("uploads", {}).get(key)
    if session is None:
        raise not_found("No such upload session.")
    if call.request.verb == "DELETE":
        session.writing.discard()
        del bucket.hidden["uploads"][key]
        return Reply(status=499)
    if session.done is not None:
        return shown(call, session.done)
    first, total = _range(call, session)
    data = memoryview(call.media or b"")
    if first is not None:
        _take(session, data, first, total)
    if total is None or session.writing.size < total:
        return _so_far(session, key)
    return _finished(call, session, bucket)


def _take(session: _Session, data: memoryview, first: int, total: int | None) -> None:
    have = session.writing.size
    if first > have:
        raise ApiError(
            503,
            f"Invalid request.  According to the Content-Range header, the upload offset is {first} byte(s), which "
            f"exceeds already uploaded size of {have} byte(s).",
        )
    is_last = total is not None and first + len(data) >= total
    if not is_last and len(data) < _CHUNK:
        raise invalid(
            "Invalid request.  The number of bytes uploaded is required to be equal or greater than 262144, except "
            "for the final request (it's recommended to be the exact multiple of 262144).  The received request "
            f"contained {len(data)} bytes, which does not meet this requirement."
        )
    fresh = data[have - first :]
    if not is_last:
        fresh = fresh[: (have + len(fresh)) // _CHUNK * _CHUNK - have]
    session.writing.write(fresh)


def _finished(call: Call, session: _Session, bucket: StoredResource) -> JsonObject:
    try:
        overwrite(session.call, bucket, session.name)
    except ApiError:
        session.writing.discard()
        raise
    claimed = {**claims(session.call.request.headers), **claims(call.request.headers), **session.settings}
    content = session.writing.done(claimed)
    session.done = place(call.cloud, bucket, session.name, content, session.settings)
    return shown(call, session.done)


def _range(call: Call, session: _Session) -> tuple[int | None, int | None]:
    """Return where the body's bytes begin (None where only the state is asked for), and how many there are in the end."""
    header, size = call.request.headers.get("content-range", ""), len(call.media or b"")
    if not header:
        return session.writing.size, session.writing.size + size
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        raise invalid(f"Failed to parse Content-Range header: {header}")
    first, last, length = match.groups()
    total = None if length == "*" else int(length)
    if first is None:
        return None, total
    if int(last) - int(first) + 1 != size:
        raise invalid(
            f"Invalid request.  There were {size} byte(s) in the request body.  There should have been "
            f"{int(last) - int(first) + 1} byte(s) (starting at offset {first} and ending at offset {last}) "
            "according to the Content-Range header."
        )
    return int(first), total


def _so_far(session: _Session, key: str) -> Reply:
    size = session.writing.size
    headers = {"x-guploader-uploadid": key}
    return Reply(status=308, headers=headers | ({"range": f"bytes=0-{size - 1}"} if size else {}))


def _parts(call: Call) -> tuple[bytes, str, bytes]:
    """Return the metadata, the content's type, and the content of a body in two parts."""
    match = _BOUNDARY.search(call.request.headers.get("content-type", ""))
    if match is None:
        raise invalid("Missing multipart boundary in Content-Type header.")
    data, mark = call.media or b"", b"--" + next(text for text in match.groups() if text).encode()
    line = b"\r\n" if b"\r\n" in data[: len(mark) + 2] else b"\n"
    begin = data.find(mark) + len(mark) + len(line)
    middle = data.find(line + mark, begin)
    end = data.rfind(line + mark + b"--")
    if begin < len(mark) or middle < 0 or end <= middle:
        raise invalid("Malformed multipart body.")
    metadata = data[begin:middle].partition(line * 2)[2] if data[begin : begin + len(line)] != line else b""
    start = middle + len(line) + len(mark) + len(line)
    heads_end = data.find(line * 2, start - len(line), end + 2 * len(line))
    heads = data[start:heads_end].decode("latin-1").splitlines()
    content_type = next((head[13:].strip() for head in heads if head.lower().startswith("content-type:")), "")
    return metadata, content_type, data[heads_end + 2 * len(line) : end]


def _settings(call: Call, text: bytes) -> JsonObject:
    try:
        raw = read_json(text or b"{}")
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received. {error}") from error
    body, wrong = SchemaCheck(call.document).body(call.method, raw)
    if wrong:
        raise invalid("\n".join(problem.description for problem in wrong))
    check_settings(body)
    return {key: value for key, value in body.items() if value}


def _name(call: Call, settings: JsonObject) -> str:
    name = call.query.get("name") or settings.get("name") or ""
    if not name:
        raise ApiError(400, "Required", reason="required")
    if len(name.encode()) > 1024:
        raise invalid(f"The specified object name is {len(name.encode())} bytes long; 1024 are the most.")
    if name in {".", ".."} or "\r" in name or "\n" in name:
        raise invalid(f"Disallowed unicode characters present in object name '{name}'")
    return str(name)
