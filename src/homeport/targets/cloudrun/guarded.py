"""The gateway of `[guard]` as the container of the service that requests come to, with the engine behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from homeport.catalog.prices import load as load_prices
from homeport.gateway.settings import OWN_HEALTH, VARIABLE
from homeport.reconcile import Ref
from homeport.reconcile.fact import Fact
from homeport.spec import Guard
from homeport.targets.cloudrun.containers import CONTAINER, HttpProbe, ServiceContainer
from homeport.targets.cloudrun.graph import PORT
from homeport.targets.cloudrun.guard import (
    BEHIND,
    GuardCostFact,
    armored,
    screen_of,
    template_of,
    warnings,
)
from homeport.targets.cloudrun.own_image import OwnImage
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.local.guard import GuardFact, settings_of

GATEWAY = "gateway"
"""The container's name, and that of its image in the endpoint's repository."""
MODULE = "homeport.gateway.process"
IMAGE = OwnImage(package=GATEWAY, module=MODULE, extras=("cloudrun", "gateway"))
_SIZE = {"cpu": "1", "memory": "512Mi"}
_ATTEMPTS = 40
"""Of its startup probe, which asks the engine through it; the engine has started before it."""


def with_guard(target: CloudRunTarget) -> CloudRunTarget:
    """
    Return the target with the gateway of its file's `[guard]` before the engine; as it is where there is none.

    Raises `SpecError` for a template of another project or region.
    """
    guard = target.spec.guard
    if guard is None:
        return target
    image = IMAGE.resources(target)
    made = replace(target, beside=(*target.beside, _container(target, guard)), gateway=image)
    facts = tuple(_facts(made, guard))
    costs = next((one for one in facts if isinstance(one, GuardCostFact)), None)
    told = warnings(guard, target.names, costs, network=target.settings.network or "")
    return replace(made, told=(*target.told, *facts), notes=(*target.notes, *told))


def _container(target: CloudRunTarget, guard: Guard) -> ServiceContainer:
    launch = target.launch
    settings = settings_of(guard, screen=screen_of(guard), template=template_of(guard, target.names))
    upstream = f"http://127.0.0.1:{BEHIND}"
    return ServiceContainer(
        name=GATEWAY,
        image=Ref(f"image/{GATEWAY}", "reference"),
        command=("python3", "-m", MODULE),
        args=(
            *("--host", "0.0.0.0", "--port", f"{PORT}", "--any-name"),  # noqa: S104 - behind Cloud Run's front end
            *("--model", launch.model, "--upstream", upstream),
        ),
        environment={VARIABLE: settings.line()},
        port=PORT,
        limits=_SIZE,
        boosted=True,
        # Through it the engine is asked for what every engine tells: it is ready when the engine is.
        startup=HttpProbe(path="/v1/models", port=PORT, period_s=3, timeout_s=3, attempts=_ATTEMPTS),
        alive=HttpProbe(path=OWN_HEALTH, port=PORT, period_s=60, timeout_s=30, attempts=5),
        after=(CONTAINER,),
    )


def _facts(target: CloudRunTarget, guard: Guard) -> Iterator[Fact]:
    yield GuardFact.of(guard, screen_of(guard))
    if armored(guard) is not None:
        yield GuardCostFact.of(
            guard,
            load_prices(),
            streams=target.launch.parallel * target.spec.scaling.max,
            own_way=target.settings.network is None,
        )


__all__ = ["GATEWAY", "IMAGE", "with_guard"]
