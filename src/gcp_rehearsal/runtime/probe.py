"""A container's probes: when it counts as started, and when as beyond help; times in seconds of this machine."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gcp_rehearsal.runtime.launch_adaptation import HOST

_GOOGLES_OWN = 240.0
"""The period, in seconds, of the startup probe that Google sets where nobody sets one."""
_KNOCKS_EVERY_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerProbe:
    """What is asked, how often, and how many failures in a row are too many."""

    path: str = ""
    """For HTTP; '' where a connection is enough."""
    cloud_port: int
    """The container's port, as the revision has it."""
    port: int
    """The same port, as it is here."""
    delay: float = 0.0
    period: float = 240.0
    timeout: float = 240.0
    attempts: int = 1

    @classmethod
    def of(
        cls, container: Mapping[str, Any], key: Literal["startupProbe", "livenessProbe"]
    ) -> ContainerProbe | None:  # Any: JSON
        """Return a probe of a container: Google's own for one that serves and has no startup probe; else None."""
        probe, serving = container.get(key), bool(container.get("ports"))
        if probe is None and not (serving and key == "startupProbe"):
            return None
        probe = probe or {}
        port = int((container.get("ports") or [{}])[0].get("containerPort", 8080))
        http = probe.get("httpGet")
        port = int((http or probe.get("tcpSocket") or {}).get("port") or port)
        return cls(
            path=(http.get("path") or "/") if http is not None else "",
            cloud_port=port,
            port=port,
            delay=float(probe.get("initialDelaySeconds", 0)),
            period=float(probe.get("periodSeconds", 240 if not probe else 10)),
            timeout=float(probe.get("timeoutSeconds", 240 if not probe else 1)),
            attempts=int(probe.get("failureThreshold", 1 if not probe else 3)),
        )

    @property
    def pace(self) -> float:
        """Return the seconds between two attempts. Google's own probe tries again all the time; others once a period."""
        return _KNOCKS_EVERY_S if self.period >= _GOOGLES_OWN else self.period

    @property
    def text(self) -> str:
        """Describe what is probed, as Cloud Run's log has it."""
        return f"on port {self.cloud_port}" + (f' path "{self.path}"' if self.path else "")

    @property
    def kind(self) -> str:
        """Name the kind of probe as Cloud Run's log has it: HTTP or TCP."""
        return "HTTP" if self.path else "TCP"

    def succeeds(self) -> bool:
        """Ask once: any answer of 2xx or 3xx, or a connection, in time."""
        import httpx2  # Late: a rehearsal starts faster without an HTTP client.

        timeout = min(self.timeout, self.period)
        try:
            if self.path:
                answer = httpx2.get(f"http://{HOST}:{self.port}{self.path}", timeout=timeout, trust_env=False)
                return 200 <= answer.status_code < 400
            with socket.create_connection((HOST, self.port), timeout):
                return True
        except (OSError, httpx2.HTTPError):
            return False
