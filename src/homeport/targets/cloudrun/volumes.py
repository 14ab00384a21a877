"""The weights and adapters of a deployment: how they lie in the bucket, and where the engine finds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from homeport.catalog.cloudrun import GIB
from homeport.engines.registry import module
from homeport.errors import MemoryTooSmall
from homeport.fit.cloud import CACHED, Estimate
from homeport.google import Google
from homeport.reconcile import Concat, Ref, joined
from homeport.resources.google.build_place import BuildPlace
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.object import Object
from homeport.spec import Delivery
from homeport.targets.cloudrun.adapters import PinnedModel
from homeport.targets.cloudrun.model_selection import ResolvedModel
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.registries import cached
from homeport.targets.cloudrun.service_spec import Mount
from homeport.weights.transfer import PYTHON

MODEL = "/models"
"""Where the bucket's weights are mounted."""
ADAPTERS = "/adapters"
"""Where each adapter has a folder, by the name that it is served under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudWeights:
    """All that is carried into the bucket."""

    google: Google
    names: Names
    chosen: ResolvedModel
    delivery: Delivery
    """How weights get to the engine."""
    token: Ref | None
    """The version of the secret that holds the hub's token."""
    after: tuple[str, ...]
    """What must be there before anything is carried."""
    build_region: str = ""
    """Where builds run; '' for the service's region."""

    @property
    def model(self) -> StoredWeights | None:
        """Return the model's weights; None where the engine brings its own."""
        pinned = self.chosen.pinned
        return self._stored("model", pinned) if pinned is not None else None

    @property
    def adapters(self) -> dict[str, StoredWeights]:
        """Return the LoRA adapters, by the names that they are served under."""
        return {
            adapter.name: self._stored(f"lora-{adapter.name}", adapter.pinned)
            for adapter in self.chosen.adapters
        }

    @property
    def all(self) -> tuple[StoredWeights, ...]:
        """Return the model's weights and the adapters."""
        model = self.model
        return ((model,) if model is not None else ()) + tuple(self.adapters.values())

    @property
    def adapters_digest(self) -> Concat | None:
        """Return the name and digest of each adapter that a revision is made for, as its annotation has them;
        None where there are none.
        """
        parts: list[str | Ref] = []
        for name, stored in sorted(self.adapters.items()):
            parts += [f"{' ' if parts else ''}{name}=", Ref(stored.id, "digest")]
        return joined(*parts) if parts else None

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Return the folders of the bucket that the container sees."""
        mounts, model = [], self.model
        if model is not None and self.delivery.startswith("gcsfuse"):
            mounts.append(_mount("weights", model, MODEL, cached=self.delivery == CACHED))
        # An engine reads adapters from folders alone, and each only once: a cache would only take memory.
        for number, (name, stored) in enumerate(self.adapters.items(), 1):
            mounts.append(_mount(f"adapter-{number}", stored, f"{ADAPTERS}/{name}"))
        return tuple(mounts)

    def ensure_cache_fits(self, estimate: Estimate) -> None:
        """Raise `MemoryTooSmall` where a file cache of the weights leaves the engine too little of its container's memory."""
        model, best = self.model, estimate.best
        if model is None or best is None or self.delivery != CACHED:
            return
        has, needs = best.place.host_memory, best.host_bytes + model.pin.size
        if needs > has:
            others = [delivery for delivery in module(self.chosen.engine).DELIVERIES if delivery != CACHED]
            raise MemoryTooSmall(
                f"a file cache keeps {model.pin.size / GIB:.1f} GiB of weights in the instance's memory, which with "
                f"the server is {needs / GIB:.1f} of {has // GIB} GiB",
                hint=f"set cloudrun.delivery to {' or '.join(others)}, or a larger cloudrun.gpu",
            )

    def _stored(self, name: str, pinned: PinnedModel) -> StoredWeights:
        # What lies in a bucket, or comes from this machine, is shown no token of a hub.
        hub = pinned.pin.source.startswith("hf:")
        return StoredWeights(
            google=self.google,
            name=name,
            bucket=self.names.bucket,
            prefix=pinned.prefix,
            region=self.build_region or self.names.region,
            place=BuildPlace(fixed_region=bool(self.build_region)),
            pin=pinned.pin,
            folder=pinned.folder,
            account=self.names.email(self.names.carrier),
            token=self.token if hub else None,
            after=self.after,
            python=cached(self.names, PYTHON),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFiles:
    """The few files of ours that an engine reads, in the bucket: where its image is its makers' own."""

    google: Google
    bucket: str
    texts: Mapping[str, str]
    """By their paths in the container, all below one folder."""
    folder: Path

    @property
    def objects(self) -> tuple[Object, ...]:
        """Return them as objects."""
        return tuple(
            Object(
                google=self.google,
                bucket=self.bucket,
                name=f"{self.prefix}/{PurePosixPath(path).relative_to(self.folder)}",
                content=text.encode(),
            )
            for path, text in sorted(self.texts.items())
        )

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Return where the container sees them; nothing where there are none."""
        size = sum(len(stored.content) for stored in self.objects)
        own = Mount(name="files", bucket=self.bucket, prefix=self.prefix, path=str(self.folder), size=size)
        return (own,) if self.texts else ()

    @property
    def prefix(self) -> str:
        """Return the folder of the bucket where these very files lie: others have another."""
        text = json.dumps(dict(self.texts), sort_keys=True)
        return f"files/{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _mount(name: str, stored: StoredWeights, path: str, *, cached: bool = False) -> Mount:
    return Mount(
        name=name,
        bucket=stored.bucket,
        prefix=stored.prefix,
        path=path,
        size=stored.pin.size,
        cached=cached,
    )
