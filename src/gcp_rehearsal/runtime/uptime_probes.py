"""
Cloud Monitoring's uptime checks of Cloud Run services: they are asked through the front end, as from the internet, and what came of it is
told as Cloud Monitoring names it in PromQL. A check of anything else is kept, and never made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.apis.monitoring.alerting import UPTIME_CHECKS
from gcp_rehearsal.apis.run.sizes import seconds
from gcp_rehearsal.json_types import Json, JsonObject

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

PASSED = "monitoring_googleapis_com:uptime_check_check_passed"
_RESOURCE = "cloud_run_revision"
_CHECKERS: Mapping[str, tuple[str, ...]] = {
    "USA": ("usa-iowa", "usa-oregon", "usa-virginia"),
    "USA_IOWA": ("usa-iowa",),
    "USA_OREGON": ("usa-oregon",),
    "USA_VIRGINIA": ("usa-virginia",),
    "EUROPE": ("eur-belgium",),
    "SOUTH_AMERICA": ("sa-brazil-sao_paulo",),
    "ASIA_PACIFIC": ("apac-singapore",),
}
"""The checkers of a region, by the names that series have."""
_AGENT = "service-{number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"
"""As whom a check comes that wants a token: seen in a request that one made, seankhliao.com/blog, 2024-07-20; so is the audience."""


class HostFrontEnd(Protocol):
    """Cloud Run's front end, as an ASGI application that is told the host."""

    def __call__(
        self, scope: Mapping[str, Any], receive: Any, send: Any, asked: str
    ) -> Awaitable[None]:  # Any: ASGI
        """Answer one request."""


class UptimeProbes:
    """Asks whenever a check is due by the cloud's clock."""

    def __init__(self, cloud: Cloud, front: HostFrontEnd) -> None:
        self._cloud, self._front = cloud, front
        self._due: dict[str, float] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._passed: dict[tuple[str, str], bool] = {}

    def look(self) -> None:
        """Begin the checks that are due; needs a running event loop."""
        now = self._cloud.clock.now()
        for name, check, service in self._checks():
            if self._due.get(name, 0.0) > now:
                continue
            self._due[name] = now + seconds(check["period"], 60)
            for checker in _checkers(check):
                task = asyncio.ensure_future(self._ask((name, checker), check, service))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)

    def text(self) -> str:
        """Return what the last check from each place came to, in the form that a Prometheus reads."""
        lines = [f"# TYPE {PASSED} gauge"]
        for name, check, _ in self._checks():
            labels = check["monitoredResource"]["labels"]
            project, location, service = (
                str(labels.get(key, "")) for key in ("project_id", "location", "service_name")
            )
            lines += [
                f'{PASSED}{{monitored_resource="{_RESOURCE}",project_id="{project}",location="{location}",service_name="{service}",'
                f'check_id="{name.rpartition("/")[2]}",checker_location="{checker}"}} {int(self._passed[name, checker])}'
                for checker in _checkers(check)
                if (name, checker) in self._passed
            ]
        return "".join(f"{line}\n" for line in lines)

    def _checks(self) -> Iterator[tuple[str, JsonObject, JsonObject]]:
        """Yield each check that is switched on, of a service that is there."""
        for kept in self._cloud.store.of("monitoring", UPTIME_CHECKS):
            resource = kept.body.get("monitoredResource", {})
            labels = resource.get("labels", {})
            if (
                kept.body.get("disabled")
                or resource.get("type") != _RESOURCE
                or not kept.body.get("httpCheck")
            ):
                continue
            path = f"projects/{kept.project}/locations/{labels.get('location')}/services/{labels.get('service_name')}"
            service = self._cloud.store.get("run", path)
            if service is not None:
                yield kept.name, kept.body, service.body

    async def _ask(self, key: tuple[str, str], check: JsonObject, service: JsonObject) -> None:
        status = 0
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds(check["timeout"])):
                    status = await self._status(check["httpCheck"], service)
        finally:
            self._passed[key] = _is_accepted(check["httpCheck"], status)

    async def _status(self, http: JsonObject, service: JsonObject) -> int:
        """Return the status of one answer, 0 where none came."""
        url = next(iter(service.get("urls", ())), "")
        host, path, statuses = url.removeprefix("https://"), str(http.get("path", "/")), list[int]()
        headers = [
            (b"host", host.encode()),
            (b"user-agent", b"GoogleStackdriverMonitoring-UptimeChecks(https://cloud.google.com/monitoring)"),
        ]
        if http.get("serviceAgentAuthentication"):
            agent = _AGENT.format(number=self._cloud.projects[0].number)
            headers.append((b"authorization", f"Bearer {id_token(self._cloud, agent, url)}".encode()))
        scope = {
            "type": "http", "method": str(http.get("requestMethod", "GET")), "path": path, "raw_path": path.encode(),
            "query_string": b"", "headers": headers,
        }  # fmt: skip
        asked = iter(({"type": "http.request", "body": b"", "more_body": False},))

        async def receive() -> Json:
            message = next(asked, None)
            return message if message is not None else await asyncio.Future()

        async def send(message: Json) -> None:
            if message["type"] == "http.response.start":
                statuses.append(int(message["status"]))

        await self._front(scope, receive, send, host)
        return statuses[0] if statuses else 0


def _checkers(check: JsonObject) -> list[str]:
    regions = check.get("selectedRegions") or _CHECKERS
    return sorted({checker for region in regions for checker in _CHECKERS.get(str(region), ())})


def _is_accepted(http: JsonObject, status: int) -> bool:
    accepted = http.get("acceptedResponseStatusCodes") or [{"statusClass": "STATUS_CLASS_2XX"}]
    classes = {str(one.get("statusClass", "")) for one in accepted}
    values = {int(one.get("statusValue", 0)) for one in accepted}
    return (
        f"STATUS_CLASS_{status // 100}XX" in classes
        or ("STATUS_CLASS_ANY" in classes and status > 0)
        or status in values - {0}
    )


__all__ = ["PASSED", "UptimeProbes"]
