"""Generations of objects that are not the live one: a bucket with versioning keeps them until each is deleted."""

from __future__ import annotations

from collections.abc import Sequence

from gcp_rehearsal.state import StoredResource

_KEPT = "noncurrent"


def supersede(bucket: StoredResource, kept: StoredResource, now: str) -> None:
    """End a live object: where its bucket has versioning it is kept as a noncurrent one, otherwise its bytes go."""
    if (bucket.body.get("versioning") or {}).get("enabled"):
        kept.body["timeDeleted"] = now
        bucket.hidden.setdefault(_KEPT, []).append(kept)
    else:
        kept.hidden["content"].discard()


def noncurrent(bucket: StoredResource) -> Sequence[StoredResource]:
    """Return all of a bucket's noncurrent objects."""
    objects: list[StoredResource] = bucket.hidden.get(_KEPT, [])
    return objects


def earlier(bucket: StoredResource, name: str, generation: str) -> StoredResource | None:
    """Return the noncurrent object of that name and generation."""
    return next(
        (
            stored
            for stored in noncurrent(bucket)
            if (stored.body["name"], stored.body["generation"]) == (name, generation)
        ),
        None,
    )


def drop(bucket: StoredResource, kept: StoredResource) -> None:
    """Delete a noncurrent object for good."""
    bucket.hidden[_KEPT].remove(kept)
    kept.hidden["content"].discard()
