"""An image that others have built with the weights in it: which one, and what it cannot be combined with."""

from __future__ import annotations

from homeport.catalog.images import engine_image
from homeport.catalog.prebuilt import prebuilt_images
from homeport.errors import SpecError
from homeport.spec import CloudRun, Spec

PREBUILT = "prebuilt"
IN_IMAGE = frozenset({"baked", PREBUILT})
"""Deliveries with which the weights lie in the image, no matter who made it."""


def refuse_own_weights(spec: Spec) -> None:
    """Raise `SpecError` where the file wants weights of its own in an image that others have built."""
    if (spec.cloudrun or CloudRun()).delivery == PREBUILT and spec.weights is not None:
        raise SpecError(
            f"cloudrun.delivery {PREBUILT} cannot be honoured with weights of your own: the image has its own in it",
            hint="leave `weights` or delivery out",
        )


def base_image(spec: Spec, engine: str, tag: str) -> str:
    """
    Return the reference of the image that ours is built on, or that serves as it is.

    Raises `SpecError` as `prebuilt_base` does.
    """
    settings = spec.cloudrun or CloudRun()
    if settings.delivery == PREBUILT:
        return prebuilt_base(spec, engine, tag)
    return settings.image or engine_image(engine).pinned


def prebuilt_base(spec: Spec, engine: str, tag: str) -> str:
    """
    Return the reference of the image in which `tag`, of the engine's library, lies: the file's own, else the catalog's.

    Raises `SpecError` where there is none, or where the file wants of it what only a build could do.
    """
    settings = spec.cloudrun or CloudRun()
    refused = f"cloudrun.delivery {PREBUILT} cannot be honoured"
    images = prebuilt_images(engine)
    if settings.image_from == "build":
        raise SpecError(
            f"{refused} with cloudrun.image_from build: it is taken as it is", hint="leave one of both out"
        )
    if settings.image is not None and tag:
        return settings.image
    if tag not in images:
        raise SpecError(
            f"{refused} for {spec.model}: no image with {tag or 'it'} in it is known",
            hint=f"there are images with {', '.join(images)}; cloudrun.image names one of another's, or leave delivery out",
        )
    return images[tag].reference
