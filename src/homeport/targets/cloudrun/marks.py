"""The identities that every revision carries as annotations: what it was made of, by the word behind `homeport/`."""

from __future__ import annotations

from homeport.engines.base import Launch
from homeport.reconcile import Concat, Ref
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.targets.cloudrun.service_spec import ANNOTATION
from homeport.targets.cloudrun.volumes import CloudWeights

WEIGHTS = f"{ANNOTATION}weights"
"""The annotation of a revision that holds the digest of its weights."""
ADAPTED = f"{ANNOTATION}adapters"
"""The annotation that holds the digests of its adapters, as `NAME=DIGEST` with spaces between."""
CACHED = f"{ANNOTATION}startup-cache"
"""The annotation that holds the digest of its startup cache's manifest."""


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
