"""Parts of load balancers, made by hand over the rehearsal's socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gcp_rehearsal.cloud import OWNER
from patience import until
from rehearsed import Running

PLACE = "/compute/v1/projects/rehearsal"


class Balancer:
    """Makes parts, each there when a method returns."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def part(self, place: str, body: dict[str, Any]) -> str:  # Any: JSON
        """The path of a part of Compute Engine, once it is made."""
        self._running.api("POST", f"{PLACE}/{place}", body, host="compute")
        path = f"{PLACE}/{place}/{body['name']}"
        until(lambda: self._status(path), lambda status: status == 200)
        return path.removeprefix("/compute/v1/")

    def set(self, path: str, action: str, body: dict[str, Any]) -> None:  # Any: JSON
        """Do an action of a part's own."""
        self._running.api("POST", f"{PLACE}/{path}/{action}", body, host="compute")

    def backend(self, name: str, service: str, **target: str) -> str:
        """A backend service with its group, which leads to a service of Cloud Run."""
        group = self.part(
            "regions/europe-west4/networkEndpointGroups",
            {"name": name, "networkEndpointType": "SERVERLESS", "cloudRun": {"service": service, **target}},
        )
        body = {"name": name, "loadBalancingScheme": "EXTERNAL_MANAGED", "protocol": "HTTPS", "backends": [{"group": group}]}  # fmt: skip
        return self.part("global/backendServices", body)

    def certificate(self, name: str, certificate: Path, key: Path) -> str:
        """A certificate of one's own."""
        own = {"certificate": certificate.read_text(), "privateKey": key.read_text()}
        return self.part("global/sslCertificates", {"name": name, "type": "SELF_MANAGED", "selfManaged": own})

    def listener(self, name: str, routes: str, certificate: str = "", *, at: str = "") -> None:
        """A proxy and a forwarding rule, at an address if it matters which: for 443 with a certificate, for 80 without."""
        kind = "targetHttpsProxies" if certificate else "targetHttpProxies"
        shows = {"sslCertificates": [certificate]} if certificate else {}
        target = self.part(f"global/{kind}", {"name": name, "urlMap": routes, **shows})
        port = "443" if certificate else "80"
        self.part("global/forwardingRules",
                  {"name": name, "loadBalancingScheme": "EXTERNAL_MANAGED", "IPProtocol": "TCP", "portRange": port, "target": target,
                   **({"IPAddress": at} if at else {})})  # fmt: skip

    def _status(self, path: str) -> int:
        headers = {
            "host": "compute.googleapis.com",
            "authorization": f"Bearer {self._running.cloud.token(OWNER)}",
        }
        return self._running.client.get(path, headers=headers).status_code
