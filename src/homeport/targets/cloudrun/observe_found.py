"""What is left of an endpoint's metrics in Cloud Monitoring once its file wants none, found by its mark."""

from __future__ import annotations

from dataclasses import replace

from homeport.engines.metric_names import MetricNames
from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.observe.panels import Watched
from homeport.reconcile import Resource
from homeport.spec import Observe
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.observing import Observing, configuration
from homeport.targets.cloudrun.service_spec import OBSERVE_LABEL


async def unwanted_observing(google: Google, names: Names) -> list[Resource]:
    """
    Return what a file that had `[observe]` has left, to be taken away once no revision that serves needs it.

    It is looked for where the service says that its metrics went away once: all others are asked nothing more.
    """
    if not await _was_observed(google, names):
        return []
    was = Observing(google=google, names=names, observe=Observe(), watched=Watched(names.name, MetricNames()))
    place = configuration(google, names.name, names.metrics_secret, names.region)
    # What lets the account read the settings goes with these: until the new revision serves, instances of the old one start.
    return [replace(place, wanted={}), *(replace(one, needs=()) for one in was.grants())]


async def _was_observed(google: Google, names: Names) -> bool:
    try:
        service = await google.get("run", f"v2/{names.service}")
    except (NotFound, ApiDisabled):
        return False
    return OBSERVE_LABEL in service.get("labels", {})
