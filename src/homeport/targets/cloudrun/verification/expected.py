"""What a deployed endpoint is held to: what the plan of it says, and what lies in its bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from homeport.endpoint import Endpoint
from homeport.errors import PermissionDenied, StateError
from homeport.reconcile import resolve
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.targets.cloudrun.invokers import own_members
from homeport.targets.cloudrun.marks import ADAPTED, WEIGHTS
from homeport.targets.cloudrun.prebuilt import IN_IMAGE
from homeport.targets.cloudrun.service_spec import ANNOTATION
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.verification.checks import INGRESS_ALL, ExpectedDeployment, StoredBucket
from homeport.targets.cloudrun.verification.revision import Expectation
from homeport.verify import VerificationSubject


async def promise_of(target: CloudRunTarget, endpoint: Endpoint) -> Expectation:
    """Return what `endpoint` is held to as an endpoint of `target`. Reads the bucket and the image."""
    launch, stored, settings, guard = target.launch, target.stored, target.settings, target.spec.gateway_guard
    model = await _look(stored) if stored is not None else _Lies()
    adapters = {adapter.id: await _look(adapter) for adapter in target.weights.adapters.values()}
    image, in_image = await target.image.read(), target.delivery in IN_IMAGE
    planned = ExpectedDeployment(
        image_digest=image["digest"] if image else "",
        gpu=target.shape.gpu,
        concurrency=launch.parallel,
        max_instances=target.spec.scaling.max,
        ingress=str(target.service.wanted.get("ingress", INGRESS_ALL)),
        public=target.spec.access.public,
        zonal_redundancy=settings.zonal_redundancy,
        baked=in_image,
        weights_digest=model.wanted if not in_image else "",
        weights_annotation=WEIGHTS,
        **_let_in(target),
        bucket=target.names.bucket,
        prefixes=frozenset(mount.prefix for mount in target.mounts),
        caches=target.names.caches if target.cache is not None else "",
        adapters=_named(target, adapters),
        adapters_annotation=ADAPTED,
        observed=target.observing is not None,
        **_screened(target),
        model=launch.model,
        embeds=target.chosen.model.task == "embed",
    )
    every = (model, *adapters.values())
    bucket = StoredBucket(
        digest=model.digest,
        broken=tuple(weights.broken for weights in every if weights.broken),
        unread=next((weights.unread for weights in every if weights.unread), ""),
    )
    subject = VerificationSubject(
        endpoint=endpoint,
        model=target.chosen.model,
        engine=launch.engine,
        context=launch.context,
        parallel=launch.parallel,
        tools=launch.tools,
        sees=launch.sees and guard is None,  # The gateway refuses pictures and sound alike.
        hears=launch.hears if guard is None else False,
        behind_gateway=guard is not None,
        weights_path=launch.weights,
        weights_digest=model.wanted,
        weights_intact=in_image or not model.broken,  # Those of an image cannot change.
        adapters=tuple(target.weights.adapters),
    )
    return Expectation(subject=subject, planned=planned, bucket=bucket)


def while_proven(target: CloudRunTarget, promise: Expectation) -> Expectation:
    """Return what a revision is held to in its proof, after which accounts of the endpoint's own lose what the file wants no more."""
    return replace(promise, planned=replace(promise.planned, leaving=frozenset(own_members(target.names))))


def refuse_other(
    target: CloudRunTarget, promise: Expectation, revision: str, marks: Mapping[str, str]
) -> None:
    """
    Raise `StateError` where a revision was made for something else than the file says, by its annotations
    `marks`.

    So it is after a rollback, or before a change of the file is released: checks would only fail one after another.
    """
    comparisons = (
        ("model", "the model", promise.subject.endpoint.model),
        ("weights-source", "weights of", target.source),
        ("weights", "the weights", promise.subject.weights_digest),
        ("image", "the image", promise.planned.image_digest or "another, which is not built"),
    )
    for key, title, now in comparisons:
        was = marks.get(f"{ANNOTATION}{key}", "")
        # What one side does not tell cannot be compared, and is left to the checks.
        if was and now and was != now:
            raise StateError(
                f"what serves is {revision} with {title} {was}, and the file says {now}",
                hint="`homeport up --on cloudrun` releases what the file says; after a rollback set the model, or "
                "whatever else was changed, back in the file",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lies:
    """What was found where weights should lie."""

    wanted: str = ""
    """The digest that they should have: by their pin, or where it does not tell, of what lies there; '' for neither."""
    digest: str = ""
    """Of what lies there, whole; else ''."""
    broken: str = ""
    """The address of what is not whole."""
    unread: str = ""
    """Why it could not be looked at."""


async def _look(stored: StoredWeights) -> _Lies:
    try:
        live = await stored.read()
    except PermissionDenied as error:
        return _Lies(wanted=stored.digest, unread=str(error))
    if live is None:
        return _Lies(wanted=stored.digest, broken=stored.uri)
    return _Lies(wanted=stored.digest or live["digest"], digest=live["digest"])


def _let_in(target: CloudRunTarget) -> dict[str, Any]:  # Any: arguments of `ExpectedDeployment`
    leaving = target.switch.leaving if target.switch else ()
    return {
        "callers": frozenset((*target.callers, *leaving)),
        "entrants": frozenset(target.spec.access.iap),
    }


def _screened(target: CloudRunTarget) -> dict[str, Any]:  # Any: arguments of `ExpectedDeployment`
    guard, road = target.spec.gateway_guard, target.road
    return {
        "screened": frozenset(guard.filters if guard is not None and guard.prompts else ()),
        "road": road.address if road else "",
        "sought": road.sought if road else frozenset(),
    }


def _named(target: CloudRunTarget, adapters: dict[str, _Lies]) -> str:
    """Return the digests of the adapters as a revision's annotation has them; '' where one of them cannot be told."""
    if not adapters or not all(adapter.wanted for adapter in adapters.values()):
        return ""
    return str(
        resolve(
            target.weights.adapters_digest,
            {id_: {"digest": adapter.wanted} for id_, adapter in adapters.items()},
        )
    )
