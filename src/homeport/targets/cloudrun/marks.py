"""The identities that every revision carries as annotations: what it was made of, by the word behind `homeport/`."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

from homeport.engines.base import Launch
from homeport.reconcile import Concat, Ref
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_spec import ANNOTATION, ServiceInputs, service_spec
from homeport.targets.cloudrun.volumes import CloudWeights

WEIGHTS = f"{ANNOTATION}weights"
"""The annotation of a revision that holds the digest of its weights."""
ADAPTED = f"{ANNOTATION}adapters"
"""The annotation that holds the digests of its adapters, as `NAME=DIGEST` with spaces between."""
CACHED = f"{ANNOTATION}startup-cache"
"""The annotation that holds the digest of its startup cache's manifest."""
TEMPLATE = f"{ANNOTATION}template"
"""The annotation that holds a sum of all that a revision was asked for, which is the same in every region."""
_DIGITS = 24


def marks(launch: Launch, weights: CloudWeights, source: str, cache: str) -> dict[str, str | Ref | Concat]:
    """Return them; `source` is where the weights come from, `cache` the id of the startup cache, '' for none of either."""
    annotations: dict[str, str | Ref | Concat] = {
        "model": launch.model,
        "engine": launch.engine,
        "context": f"{launch.context}",
        "image": Ref("image/serving", "digest"),
    }
    stored: StoredWeights | None = weights.model
    if stored is not None:
        annotations["weights"] = Ref(stored.id, "digest")
        if source:
            annotations["weights-source"] = source
    adapted = weights.adapters_digest
    if adapted is not None:
        annotations["adapters"] = adapted
    return {**annotations, "startup-cache": Ref(cache, "manifest")} if cache else annotations


def marked(inputs: ServiceInputs, names: Names) -> dict[str, Any]:  # Any: JSON, and Refs
    """
    Return what Cloud Run is asked for; in several regions with a sum of the revision, which tells it from others with the same marks.

    What differs from region to region is not in it: the region's name, those of buckets and of a secret, and the startup cache, for which
    one region may have no room; what is served is the same without it.
    """
    body = service_spec(inputs)
    if inputs.edge is not None and inputs.edge.regions:
        body["template"]["annotations"][TEMPLATE] = _sum(inputs, names)
    return body


def _sum(inputs: ServiceInputs, names: Names) -> str:
    launch = inputs.launch
    alone = service_spec(replace(inputs, marks={}, cache=None))["template"]
    if "encryptionKey" in alone:
        # Each region has its own, by the same path of the file's.
        alone["encryptionKey"] = inputs.access.encryption_key
    return sum_of([launch.version, dict(launch.files), alone], names)


def sum_of(asked: Any, names: Names) -> str:  # Any: JSON, and Refs
    """
    Return a sum of what was asked for, the same in every region.

    A name counts where it stands alone: endpoints and projects may have that of a region in theirs. Those of endpoint and project are the
    same in every region, and go as well, since one of them may be a region's.
    """
    text = json.dumps(asked, sort_keys=True, default=_plain)
    own = (names.bucket, names.caches, names.metrics_secret, names.region, names.name, names.project)
    alone = "|".join(map(re.escape, sorted(set(own), key=len, reverse=True)))
    text = re.sub(rf"(?<![a-z0-9-])(?:{alone})(?![a-z0-9-])", "-", text)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _plain(value: object) -> dict[str, Any]:  # Any: JSON, and Refs
    """Return a reference as JSON, in words that never change: another sum makes a new revision of every endpoint."""
    if isinstance(value, Ref):
        return {"of": value.id, "at": value.path}
    if isinstance(value, Concat):
        return {"joined": list(value.parts)}
    raise TypeError(f"{type(value).__name__} has no form in a sum")
