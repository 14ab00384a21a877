"""A network of our own, with a way to Google's APIs that does not lead over the internet."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.errors import GoogleError
from homeport.google import Google
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Outputs, Ref
from homeport.reconcile.diff import Rules
from homeport.resources.google.propagation import patient
from homeport.resources.google.rest import LABEL, Address, RestResource

_IN_USE = frozenset(("resourceInUseByAnotherResource", "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"))
"""Google's words for it, where the request is refused and where its operation fails."""
_OF_CLOUD_RUN = "/addresses/serverless-"
"""What Cloud Run's addresses in a subnetwork are called, `serverless-ipv4-…`. Nobody but Cloud Run can delete them."""
_PAGE = "https://docs.cloud.google.com/run/docs/configuring/vpc-direct-vpc#delete-subnet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnetwork(RestResource):
    """A subnetwork. All of it except Private Google Access is fixed when it is made."""

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Switch Private Google Access as it is wanted: that has a method of its own, and a PATCH leaves it."""
        google = patient(self.google, outputs, self.needs)
        changed = await google.post(
            self.address.api,
            f"{self.address.path}/setPrivateIpGoogleAccess",
            {"privateIpGoogleAccess": self.wanted["privateIpGoogleAccess"]},
            repeatable=True,
        )
        return await self._settled(changed, progress)

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it. Raises `GoogleError` with Google's reason while Cloud Run has not given its addresses back."""
        try:
            return await RestResource.delete(self, progress)
        except GoogleError as error:
            if error.reason not in _IN_USE or _OF_CLOUD_RUN not in str(error):
                raise
            raise GoogleError(
                f"the {self.summary({})} is still in use: Cloud Run gives its addresses back one to two hours after "
                "a service is gone",
                status=error.status,
                reason=error.reason,
                request=error.request,
                hint="run the same command again after that: it goes on from here",
                url=_PAGE,
            ) from error


def network(google: Google, name: str, network_name: str) -> RestResource:
    """Return the network `network_name` of the endpoint `name`, without subnetworks of its own accord."""
    parent = f"compute/v1/projects/{google.project}/global/networks"
    return RestResource(
        google=google,
        name=name,
        id=f"network/{network_name}",
        kind="network",
        address=Address(api="compute", path=f"{parent}/{network_name}", made_at=parent),
        wanted={
            "name": network_name,
            "autoCreateSubnetworks": False,
            "routingConfig": {"routingMode": "REGIONAL"},
            "description": f"{LABEL}={name}",
        },
        rules=Rules(
            immutable=frozenset(("name", "autoCreateSubnetworks", "description")),
            defaults={"routingConfig": {"routingMode": "REGIONAL"}},
        ),
        change="merge",
        marked="description",
    )


def proxy_subnetwork(
    google: Google, name: str, network_name: str, region: str, ip_range: str
) -> RestResource:
    """Return the subnetwork of `network_name` in `region` that the proxies of its regional load balancers have, and nothing else."""
    parent = f"compute/v1/projects/{google.project}/regions/{region}/subnetworks"
    return RestResource(
        google=google,
        name=name,
        id=f"subnetwork/{network_name}",
        kind="subnetwork",
        address=Address(api="compute", path=f"{parent}/{network_name}", made_at=parent),
        wanted={
            "name": network_name,
            "network": Ref(f"network/{network_name}", "selfLink"),
            "ipCidrRange": ip_range,
            "purpose": "REGIONAL_MANAGED_PROXY",
            "role": "ACTIVE",
            "description": f"{LABEL}={name}",
        },
        rules=Rules(
            immutable=frozenset(("name", "network", "ipCidrRange", "purpose", "role", "description")),
            references=frozenset(("network",)),
        ),
        marked="description",
    )


def subnetwork(google: Google, name: str, network_name: str, region: str, ip_range: str) -> Subnetwork:
    """Return the subnetwork of `network_name` in `region`, with Private Google Access."""
    parent = f"compute/v1/projects/{google.project}/regions/{region}/subnetworks"
    return Subnetwork(
        google=google,
        name=name,
        id=f"subnetwork/{network_name}",
        kind="subnetwork",
        address=Address(api="compute", path=f"{parent}/{network_name}", made_at=parent),
        wanted={
            "name": network_name,
            "network": Ref(f"network/{network_name}", "selfLink"),
            "ipCidrRange": ip_range,
            "privateIpGoogleAccess": True,
            "description": f"{LABEL}={name}",
        },
        rules=Rules(
            immutable=frozenset(("name", "network", "ipCidrRange", "description")),
            references=frozenset(("network",)),
        ),
        marked="description",
    )
