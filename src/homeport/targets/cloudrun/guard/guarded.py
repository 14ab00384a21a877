"""The gateway as the container of the service that requests come to, with the engine behind it: it screens, or counts, or both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from homeport.catalog.prices import load as load_prices
from homeport.gateway.settings import METRICS_VARIABLE, OWN_HEALTH, VARIABLE
from homeport.gateway.trace_variables import ADDRESS
from homeport.reconcile import Ref
from homeport.reconcile.fact import Fact
from homeport.spec import Guard
from homeport.targets.cloudrun.containers import CONTAINER, HttpProbe, ServiceContainer
from homeport.targets.cloudrun.front import (
    BEHIND,
    PORT,
    UNSCREENED,
    counts_in_front,
    has_front,
    names_callers,
    spans_of,
)
from homeport.targets.cloudrun.guard.screen import (
    GuardCostFact,
    armored,
    screen_of,
    template_of,
    warnings,
)
from homeport.targets.cloudrun.observe.sidecar import CALLERS_PORT, GATEWAY, METRICS_PORT
from homeport.targets.cloudrun.own_image import OwnImage
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.local.guard import GuardFact, settings_of

MODULE = "homeport.gateway.process"
IMAGE = OwnImage(package=GATEWAY, module=MODULE, extras=("cloudrun", "gateway"))
_SIZE = {"cpu": "1", "memory": "512Mi"}
_ATTEMPTS = 40
"""Of its startup probe, which asks the engine through it; the engine has started before it."""


def with_gateway(target: CloudRunTarget) -> CloudRunTarget:
    """
    Return the target with the gateway before the engine: that of its file's `[guard]`, or of `[observe]` where the engine itself
    tells nothing, or not by whom it was asked; as it is where the file wants none of these.

    Raises `SpecError` for a template of another project or region.
    """
    guard = target.spec.gateway_guard
    if not has_front(target.spec, target.chosen.engine):
        return target
    container = _container(target, guard)
    fronted = replace(target, beside=(*target.beside, container), gateway=IMAGE.resources(target))
    if guard is None:
        return fronted
    facts = tuple(_facts(fronted, guard))
    costs = next((fact for fact in facts if isinstance(fact, GuardCostFact)), None)
    notes = warnings(guard, target.names, costs, network=target.settings.network or "")
    return replace(fronted, told=(*target.told, *facts), notes=(*target.notes, *notes))


def _container(target: CloudRunTarget, guard: Guard | None) -> ServiceContainer:
    launch, by_caller = target.launch, names_callers(target.spec)
    counts = counts_in_front(target.spec, target.chosen.engine)
    environment: dict[str, str] = {}
    if guard is not None:
        settings = settings_of(guard, screen=screen_of(guard), template=template_of(guard, target.names))
        environment[VARIABLE] = settings.line()
    if counts or by_caller:
        environment[METRICS_VARIABLE] = f"{METRICS_PORT if counts else CALLERS_PORT}"
    if spans := spans_of(target.spec):
        environment[ADDRESS] = spans
    upstream = f"http://127.0.0.1:{BEHIND}"
    return ServiceContainer(
        name=GATEWAY,
        image=Ref(f"image/{GATEWAY}", "reference"),
        command=("python3", "-m", MODULE),
        args=(
            *("--host", "0.0.0.0", "--port", f"{PORT}", "--any-name"),  # noqa: S104 - behind Cloud Run's front end
            *("--model", launch.model, "--engine", launch.engine, "--upstream", upstream),
            *(("--metrics-inside",) if counts or by_caller else ()),
            *(("--callers",) if by_caller else ()),
            *(() if guard else (UNSCREENED,)),
        ),
        environment=environment,
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
            regions=1 + len(target.spec.edge.regions if target.spec.edge else ()),
        )


__all__ = ["IMAGE", "with_gateway"]
