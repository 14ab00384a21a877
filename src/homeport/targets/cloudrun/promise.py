"""What a deployed endpoint is held to: what the plan of it says, and what lies in its bucket."""

from __future__ import annotations

from homeport.endpoint import Endpoint
from homeport.reconcile import resolve
from homeport.targets.cloudrun.proof import Promise
from homeport.targets.cloudrun.target import ADAPTED, WEIGHTS, CloudRunTarget
from homeport.verify import Subject
from homeport.verify.cloud import Planned


async def promise_of(target: CloudRunTarget, endpoint: Endpoint) -> Promise:
    """What `endpoint` is held to as an endpoint of `target`. Reads the bucket and the image."""
    launch, stored, settings = target.launch, target.stored, target.settings
    lies = await stored.read() if stored is not None else None
    made = await target.image.read()
    planned = Planned(
        image_digest=made["digest"] if made else "",
        gpu=target.shape.gpu,
        concurrency=launch.parallel,
        max_instances=settings.max_instances,
        ingress=str(target.service.wanted["ingress"]),
        public=target.spec.access.public,
        zonal_redundancy=settings.zonal_redundancy,
        weights_digest=lies["digest"] if lies and not target.baked else "",
        weights_annotation=WEIGHTS,
        prefixes=target.weights.prefixes,
        adapters=await _digests(target),
        adapters_annotation=ADAPTED,
    )
    subject = Subject(
        endpoint=endpoint,
        model=target.chosen.model,
        engine=launch.engine,
        context=launch.context,
        parallel=launch.parallel,
        tools=launch.tools,
        weights_path=launch.weights,
        weights_digest=lies["digest"] if lies else "",
        weights_intact=stored is None or lies is not None,
        adapters=tuple(target.weights.adapters),
    )
    return Promise(subject=subject, planned=planned, bucket_digest=planned.weights_digest)


async def _digests(target: CloudRunTarget) -> str:
    """The digests of the adapters that lie in the bucket, as a revision's annotation has them."""
    found = {stored.id: await stored.read() or {} for stored in target.weights.adapters.values()}
    return str(resolve(target.weights.adapters_digest, found)) if found else ""
