"""Cloud Storage: objects' metadata, and what is done with objects that exist."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gcp_rehearsal.apis.storage import generations
from gcp_rehearsal.apis.storage.content import Content, Writing, written
from gcp_rehearsal.apis.storage.encryption import of_new_object
from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import ApiError, invalid, not_found, unimplemented
from gcp_rehearsal.iam.access import denied
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

SETTABLE = ("cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "contexts",
            "customTime", "metadata", "storageClass")  # fmt: skip
_NOT_ACTED = ("acl", "customerEncryption", "eventBasedHold", "kmsKeyName", "retention", "temporaryHold")
_MOST_COMPONENTS = 32
_PAGE = 1000
_MIB = 1 << 20
_PER_REWRITE = 1 << 30
"""What one request copies between locations where it does not say: nobody tells the real number."""


def bucket_of(cloud: Cloud, name: str) -> StoredResource:
    """Return the bucket of that name. Raises `ApiError` 404."""
    bucket = cloud.store.get("storage", f"b/{name}")
    if bucket is None:
        raise not_found("The specified bucket does not exist.")
    return bucket


def find(cloud: Cloud, bucket: str, name: str) -> StoredResource | None:
    """Return the object of that name, if there is one."""
    return cloud.store.get("storage", f"b/{bucket}/o/{quote(name, safe='')}")


def content_of(kept: StoredResource) -> Content:
    """Return what an object holds."""
    content: Content = kept.hidden["content"]
    return content


def place(
    cloud: Cloud, bucket: StoredResource, name: str, content: Content, settings: Mapping[str, Any]
) -> StoredResource:  # Any: JSON
    """Store a new generation of an object, over the one before it. Raises `ApiError` where its key cannot be used."""
    key = of_new_object(cloud, bucket)
    before = find(cloud, bucket.id, name)
    if before is not None:
        generations.supersede(bucket, before, stamp(cloud))
    generation = max(int(cloud.clock.now() * 1_000_000), bucket.hidden.get("generation", 0) + 1)
    bucket.hidden["generation"] = generation
    quoted, now = quote(name, safe=""), stamp(cloud)
    body: JsonObject = {
        "kind": "storage#object",
        "id": f"{bucket.id}/{name}/{generation}",
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{bucket.id}/o/{quoted}",
        "name": name,
        "bucket": bucket.id,
        "generation": str(generation),
        "metageneration": "1",
        "storageClass": bucket.body["storageClass"],
        "size": str(content.size),
        "crc32c": content.crc32c,
        **({"md5Hash": content.md5} if content.md5 else {}),
        **key,
        **{key: settings[key] for key in SETTABLE if settings.get(key)},
        **dict.fromkeys(("timeCreated", "updated", "timeStorageClassUpdated", "timeFinalized"), now),
    }
    body["etag"] = etag(generation, 1)
    return cloud.store.put(
        StoredResource(api="storage", name=f"b/{bucket.id}/o/{quoted}", collection="storage.objects",
             project=bucket.project, body=body, created=cloud.clock.now(), hidden={"content": content})
    )  # fmt: skip


def shown(call: Call, kept: StoredResource) -> JsonObject:
    """Return an object's metadata, with the address of its bytes at the host that the caller knows."""
    headers = call.request.headers
    host = headers.get("host") or call.request.host
    path = (
        f"b/{kept.body['bucket']}/o/{quote(kept.body['name'], safe='')}?generation={kept.body['generation']}"
    )
    base = f"{headers.get('x-forwarded-proto', 'https')}://{host}/download/storage/v1"
    return {**kept.body, "mediaLink": f"{base}/{path}&alt=media"}


def put_object(cloud: Cloud, bucket: str, name: str, data: bytes, content_type: str = "") -> StoredResource:
    """Return what other services of the cloud write. Raises `ApiError`: 404 where there is no such bucket, 400 or 403 where its key cannot be used."""
    holder = bucket_of(cloud, bucket)
    of_new_object(cloud, holder)
    return place(cloud, holder, name, written(cloud, data, {}), {"contentType": content_type})


def check_settings(settings: Mapping[str, Json]) -> None:
    """Raise `ApiError` 501 for what the rehearsal does not act out on objects."""
    for key in _NOT_ACTED:
        if settings.get(key):
            raise unimplemented(f"'{key}' of an object")


def demand(call: Call, permission: str, bucket: StoredResource) -> None:
    """Raise `ApiError` 403 where the caller lacks a permission on a bucket."""
    if permission not in call.cloud.access.held(
        call.caller, [permission], "storage", bucket.name, bucket.project
    ):
        raise denied(call, permission)


def overwrite(call: Call, bucket: StoredResource, name: str) -> None:
    """
    Raise `ApiError`: 412 for an unmet condition of the query, 403 where the caller may not replace what is there, and what the bucket's
    key is refused with. Asked before any byte is kept.
    """
    before = find(call.cloud, bucket.id, name)
    conditions(call.query, before)
    if before is not None:
        demand(call, "storage.objects.delete", bucket)
    of_new_object(call.cloud, bucket)


def unmet(query: Mapping[str, Json], kept: StoredResource | None, prefix: str = "if") -> str:
    """Return which kind of condition does not hold: `match`, `not match`, or ''. Nothing at all has the generation 0."""
    for field in ("Generation", "Metageneration"):
        have = int(kept.body[field.lower()]) if kept else 0
        match, differ = query.get(f"{prefix}{field}Match"), query.get(f"{prefix}{field}NotMatch")
        if match is not None and int(match) != have:
            return "match"
        if differ is not None and int(differ) == have:
            return "not match"
    return ""


def conditions(query: Mapping[str, Json], kept: StoredResource | None, prefix: str = "if") -> None:
    """Raise `ApiError` 412 where a condition of a query does not hold."""
    if unmet(query, kept, prefix):
        raise unheld()


def unheld() -> ApiError:
    """Return the 412, in Google's words."""
    return ApiError(
        412, "At least one of the pre-conditions you specified did not hold.", reason="conditionNotMet"
    )


def existing(call: Call, bucket: str, name: str, generation: str | int | None = None) -> StoredResource:
    """Return an object. Raises `ApiError` 404."""
    holder = bucket_of(call.cloud, bucket)
    stored = find(call.cloud, bucket, name)
    if generation and (stored is None or str(generation) != stored.body["generation"]):
        stored = generations.earlier(holder, name, str(generation))
    if stored is None or (generation and str(generation) != stored.body["generation"]):
        raise not_found(f"No such object: {bucket}/{name}")
    return stored


def named(call: Call) -> StoredResource:
    """Return the object that a call's path names. Raises `ApiError` 404."""
    return existing(call, call.params["bucket"], call.params["object"], call.query.get("generation"))


def list_(call: Call) -> JsonObject:
    """Return the objects of a bucket in order of their names, folders rolled up where a delimiter is given."""
    bucket, query = bucket_of(call.cloud, call.params["bucket"]), call.query
    for key in ("softDeleted", "matchGlob", "filter"):
        if query.get(key):
            raise unimplemented(f"'{key}' in a list of objects")
    prefix, delimiter = query.get("prefix") or "", query.get("delimiter") or ""
    after = _position(query.get("pageToken"))
    most = min(int(query.get("maxResults") or _PAGE), _PAGE)
    items: list[JsonObject] = []
    prefixes: list[str] = []
    last, more = "", False
    for stored in _all(call, bucket):
        name = stored.body["name"]
        mark = f"{name}\0{stored.body['generation']:>20}" if query.get("versions") else name
        if not name.startswith(prefix) or name < (query.get("startOffset") or ""):
            continue
        if query.get("endOffset") and name >= query["endOffset"]:
            continue
        head, separator, tail = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
        rolled = f"{prefix}{head}{delimiter}" if separator else ""
        if (rolled or mark) <= after or (rolled and rolled in prefixes):
            continue
        if len(items) + len(prefixes) >= most:
            more = True
            break
        if rolled:
            prefixes.append(rolled)
        if not rolled or (not tail and query.get("includeTrailingDelimiter")):
            items.append(shown(call, stored))
        last = rolled or mark
    page: JsonObject = {"kind": "storage#objects"}
    page |= {"nextPageToken": base64.urlsafe_b64encode(last.encode()).decode()} if more else {}
    page |= {"prefixes": prefixes} if prefixes else {}
    return page | ({"items": items} if items else {})


def _all(call: Call, bucket: StoredResource) -> list[StoredResource]:
    """Return a bucket's objects by name, with those that are not live by generation where versions are asked for."""
    objects = list(call.cloud.store.under("storage", f"{bucket.name}/o"))
    objects += generations.noncurrent(bucket) if call.query.get("versions") else ()
    return sorted(objects, key=lambda stored: (stored.body["name"].encode(), int(stored.body["generation"])))


def patch(call: Call) -> Json:
    """Change an object's metadata."""
    stored = named(call)
    conditions(call.query, stored)
    check_settings(call.body)
    for key in SETTABLE:
        if key in call.body:
            _set(stored.body, key, call.body[key])
    return _touched(call, stored)


def update(call: Call) -> Json:
    """Replace an object's metadata."""
    stored = named(call)
    conditions(call.query, stored)
    check_settings(call.body)
    for key in SETTABLE:
        if key != "storageClass":
            stored.body.pop(key, None)
        if call.body.get(key):
            stored.body[key] = call.body[key]
    return _touched(call, stored)


def delete(call: Call) -> None:
    """Unmake an object: a generation that is named for good, else the live one as its bucket's versioning has it."""
    stored, bucket = named(call), bucket_of(call.cloud, call.params["bucket"])
    conditions(call.query, stored)
    if find(call.cloud, bucket.id, stored.body["name"]) is not stored:
        generations.drop(bucket, stored)
        return
    call.cloud.forget(stored)
    if call.query.get("generation"):
        content_of(stored).discard()
    else:
        generations.supersede(bucket, stored, stamp(call.cloud))


def rewrite(call: Call) -> JsonObject:
    """
    Copy an object: in one go within a location and storage class, else so many bytes a request, with a token that
    carries it on.
    """
    source, target = _ends(call)
    size, most = int(source.body["size"]), call.query.get("maxBytesRewrittenPerCall")
    if most is not None and (int(most) <= 0 or int(most) % _MIB):
        raise invalid("Invalid argument.", ("maxBytesRewrittenPerCall", "Invalid argument."))
    answer: JsonObject = {"kind": "storage#rewriteResponse", "objectSize": str(size)}
    which = (
        f"{source.name} {source.body['generation']} {target.name} {call.params['destinationObject']} {most}"
    )
    written = _written(call.query.get("rewriteToken"), which)
    if not _alike(source, bucket_of(call.cloud, call.params["sourceBucket"]), target):
        written += int(most or _PER_REWRITE)
        if written < size:
            token = base64.urlsafe_b64encode(f"{written} {which}".encode()).decode()
            return {**answer, "totalBytesRewritten": str(written), "done": False, "rewriteToken": token}
    return {**answer, "totalBytesRewritten": str(size), "done": True, "resource": copy(call)}


def _written(token: str | None, which: str) -> int:
    """Return the bytes that the requests before have copied. Raises `ApiError` for a token of something else."""
    if not token:
        return 0
    count, _, rest = _position(token).partition(" ")
    if rest != which or not count.isdigit():
        raise invalid("Invalid argument.", ("rewriteToken", "Invalid argument."))
    return int(count)


def _alike(source: StoredResource, bucket: StoredResource, target: StoredResource) -> bool:
    """Return True if a copy needs no bytes moved."""
    one_class = source.body["storageClass"] == target.body["storageClass"]
    return one_class and bool(bucket.body["location"] == target.body["location"])


def _ends(call: Call) -> tuple[StoredResource, StoredResource]:
    """Return the object that is copied, and the bucket that it is copied to. Raises `ApiError`."""
    params, query = call.params, call.query
    source_bucket = bucket_of(call.cloud, params["sourceBucket"])
    target = bucket_of(call.cloud, params["destinationBucket"])
    demand(call, "storage.objects.get", source_bucket)
    demand(call, "storage.objects.create", target)
    source = existing(call, source_bucket.id, params["sourceObject"], query.get("sourceGeneration"))
    conditions(query, source, "ifSource")
    return source, target


def copy(call: Call) -> JsonObject:
    """Copy an object; its metadata come with it, except where the call has its own."""
    source, target = _ends(call)
    params = call.params
    overwrite(call, target, params["destinationObject"])
    check_settings(call.body)
    own = {key: value for key, value in call.body.items() if key in SETTABLE}
    settings = own or {key: source.body.get(key) for key in SETTABLE if key != "storageClass"}
    stored = place(call.cloud, target, params["destinationObject"], content_of(source).copied(), settings)
    if "componentCount" in source.body:
        stored.body["componentCount"] = source.body["componentCount"]
    return shown(call, stored)


def compose(call: Call) -> JsonObject:
    """Make one object of several of the same bucket."""
    bucket, name = bucket_of(call.cloud, call.params["destinationBucket"]), call.params["destinationObject"]
    demand(call, "storage.objects.create", bucket)
    demand(call, "storage.objects.get", bucket)
    if call.body.get("deleteSourceObjects"):
        raise unimplemented("'deleteSourceObjects' of compose")
    parts = call.body.get("sourceObjects", [])
    if not parts:
        raise invalid("You must provide at least one source component.")
    if len(parts) > _MOST_COMPONENTS:
        raise invalid(
            f"The number of source components provided ({len(parts)}) exceeds the maximum ({_MOST_COMPONENTS})"
        )
    sources = [existing(call, bucket.id, part.get("name", ""), part.get("generation")) for part in parts]
    for part, source in zip(parts, sources, strict=True):
        conditions(part.get("objectPreconditions", {}), source)
    overwrite(call, bucket, name)
    settings = call.body.get("destination", {})
    check_settings(settings)
    writing = Writing(call.cloud)
    for source in sources:
        writing.write(content_of(source).read())
    content = writing.done({}, composed=True)
    count = sum(source.body.get("componentCount", 1) for source in sources)
    stored = place(call.cloud, bucket, name, content, settings)
    stored.body["componentCount"] = count
    return shown(call, stored)


def stamp(cloud: Cloud) -> str:
    """Return this moment as Cloud Storage writes it, to the millisecond."""
    moment = datetime.fromtimestamp(cloud.clock.now(), UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def etag(*numbers: int) -> str:
    """Return an etag as Cloud Storage makes them: of a generation and a metageneration, or of the latter alone."""
    fields = zip((0x08, 0x10), numbers, strict=False)
    return base64.b64encode(b"".join(bytes([tag]) + _varint(number) for tag, number in fields)).decode()


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _position(token: str | None) -> str:
    try:
        return base64.urlsafe_b64decode(token or "").decode()
    except ValueError as error:
        raise invalid("Invalid argument.", ("pageToken", "Invalid argument.")) from error


def _set(body: JsonObject, key: str, value: Json) -> None:
    if isinstance(value, dict):
        merged = {**body.get(key, {}), **value}
        value = {name: item for name, item in merged.items() if item is not None}
    if value:
        body[key] = value
    else:
        body.pop(key, None)


def _touched(call: Call, stored: StoredResource) -> JsonObject:
    metageneration = int(stored.body["metageneration"]) + 1
    stored.body |= {
        "metageneration": str(metageneration),
        "updated": stamp(call.cloud),
        "etag": etag(int(stored.body["generation"]), metageneration),
    }
    return shown(call, stored)
