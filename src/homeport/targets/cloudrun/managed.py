"""Everything that may be there of a deployment, for taking it away."""

from __future__ import annotations

from homeport.google import Google
from homeport.reconcile import Resource
from homeport.resources.google.service import service
from homeport.secret import Secret
from homeport.spec import Access, CloudRun, Spec
from homeport.targets.cloudrun.foundations import Foundations
from homeport.targets.cloudrun.invokers import callers
from homeport.targets.cloudrun.names import Names


def managed(google: Google, spec: Spec, names: Names) -> list[Resource]:
    """All that any options of the file could have made: those of today may not be those that made it."""
    own_network = (spec.cloudrun or CloudRun()).model_copy(update={"network": None, "subnetwork": None})
    found: dict[str, Resource] = {}
    for baked in (False, True):
        foundations = Foundations(
            google=google,
            names=names,
            cloudrun=own_network,
            access=Access(isolated=True),
            token=Secret("unused"),
            baked=baked,
            streamed=True,
        )
        found |= {one.id: one for one in foundations.resources()}
    # Its instances have addresses in the subnetwork, which goes after it; whatever else it has may go beside it.
    served = service(google, names.name, names.region, {}, after=(f"subnetwork/{names.name}",))
    return [*found.values(), served, *callers(google, spec, names)]
