"""
Managed Prometheus, by a real Prometheus of this machine: it asks instances in the sidecar's place, and answers queries in Google's.

What it is told follows the sidecar's own settings, which are read again and again, and the rights of the service's account.
Its time is this machine's, however fast the rehearsal's passes: a window of five minutes is five minutes.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from gcp_rehearsal.apis.run import log as run_log
from gcp_rehearsal.apis.run.status import segments
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.runtime.launch_adaptation import HOST
from gcp_rehearsal.runtime.process_ends import free_port
from gcp_rehearsal.runtime.process_guard import ProcessGuard
from gcp_rehearsal.runtime.processes import METRICS, Engines, RunningInstance
from gcp_rehearsal.runtime.run_monitoring import NotUnderstood, RunMonitoring
from gcp_rehearsal.runtime.sidecar_settings import settings, sidecar_of

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_WRITES = "monitoring.timeSeries.create"
_LEAST_S = 1.0
"""Between two looks at an instance, however fast the rehearsal's time passes."""
_ANSWERS_WITHIN_S = 20.0
_ENDS_WITHIN_S = 10.0


class ManagedPrometheus:
    """Is told who runs whenever `look` is called; starts its process when there is something to ask, or to answer."""

    def __init__(self, cloud: Cloud, engines: Engines, program: str, url: str) -> None:
        self._cloud, self._engines, self._program, self._url = cloud, engines, program, url
        self._folder = Path(tempfile.mkdtemp(prefix="prometheus-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._answered = False
        self._told: JsonObject = {}
        self._said: set[tuple[int, str]] = set()
        self._guard = ProcessGuard()
        self._client = httpx2.Client(trust_env=False, verify=False, timeout=_ANSWERS_WITHIN_S)

    def look(self) -> None:
        """Let it know the instances that run now, as their sidecars would ask them."""
        jobs = list(self._jobs())
        if not jobs and self._process is None:
            return
        self._tell({"scrape_configs": [self._own(), *jobs]})

    def query(self, path: str, form: Mapping[str, str]) -> bytes:
        """Return what it answers to `query` or `query_range`. Raises `ApiError`: 400 in its own words, 503 until it answers."""
        self._tell({"scrape_configs": [self._own(), *self._jobs()]})
        if not self._runs:
            lines = (self._folder / "log").read_text(errors="replace").strip().splitlines()
            last = lines[-1] if lines else "it says nothing"
            raise ApiError(503, f"the rehearsal's Prometheus has ended: {last}")
        try:
            answer = self._client.post(f"http://{HOST}:{self._port}/api/v1/{path}", data=dict(form))
        except httpx2.RequestError:
            raise ApiError(503, "The service is currently unavailable.") from None
        if answer.status_code == 503:  # It reads what it has stored.
            raise ApiError(503, "The service is currently unavailable.")
        if answer.status_code != 200:
            message = (
                answer.json().get("error", "") if "json" in answer.headers.get("content-type", "") else ""
            )
            raise ApiError(400, message or answer.text[:200])
        return answer.content

    def close(self) -> None:
        """End its process, and forget what it has stored."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._guard.release(self._process.pid)
        self._guard.close()
        self._client.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _tell(self, config: JsonObject) -> None:
        """Let its process know what to ask. One that has ended is started again only for something else: it would end again."""
        if config == self._told or (self._runs and not self._listens()):
            return
        self._told = config
        (self._folder / "prometheus.json").write_text(json.dumps(config))
        if self._runs and self._process is not None:
            self._process.send_signal(signal.SIGHUP)
        else:
            self._start()

    def _listens(self) -> bool:
        """Return whether it has begun to answer: SIGHUP ends one that has not."""
        try:
            self._answered = (
                self._answered or self._client.get(f"http://{HOST}:{self._port}/-/healthy").is_success
            )
        except httpx2.RequestError:
            return False
        return self._answered

    @property
    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _start(self) -> None:
        self._port, self._answered = free_port(), False
        token = self._folder / "token"
        token.touch(0o600)
        token.write_text(self._cloud.token(self._cloud.projects[0].owner))
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={self._folder / 'prometheus.json'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={HOST}:{self._port}",
                    "--log.level=warn",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._guard.watch(self._process.pid)

    def _own(self) -> JsonObject:
        """Return how it asks the rehearsal itself."""
        return {
            "job_name": "cloud-run",
            "metrics_path": METRICS,
            "scrape_interval": f"{_LEAST_S:g}s",
            "scrape_timeout": f"{_LEAST_S:g}s",
            "honor_labels": True,
            "authorization": {"type": "Bearer", "credentials_file": str(self._folder / "token")},
            "static_configs": [{"targets": [self._url.removeprefix("http://")]}],
            "metric_relabel_configs": [{"action": "labeldrop", "regex": "job|instance"}],
        }

    def _jobs(self) -> Iterator[JsonObject]:
        for instance in self._engines.running():
            name = sidecar_of(instance.revision)
            if name is None:
                continue
            try:
                self._ensure_allowed(instance.revision)
                monitoring = settings(self._cloud, instance.revision)
            except (NotUnderstood, ApiError) as error:
                self._say(instance, name, str(error))
                continue
            yield from self._scraped(instance, monitoring)

    def _scraped(self, instance: RunningInstance, monitoring: RunMonitoring) -> Iterator[JsonObject]:
        project, location, short = segments(str(instance.revision["name"]))
        service = str(instance.revision["service"]).rpartition("/")[2]
        known = {"instance": instance.id, "revision": short, "service": service, "configuration": service}
        for endpoint in monitoring.endpoints:
            labels = {
                **monitoring.labels(known), "project_id": project, "location": location, "cluster": "__run__",
                "namespace": service, "job": monitoring.name, "instance": f"{instance.id}:{endpoint.port}",
            }  # fmt: skip
            every = max(_LEAST_S, endpoint.interval_s / self._cloud.clock.speed)
            yield {
                "job_name": f"{instance.number}:{endpoint.port}",
                "metrics_path": endpoint.path,
                "scrape_interval": f"{round(every * 1000)}ms",
                "scrape_timeout": f"{round(min(every, endpoint.timeout_s) * 1000)}ms",
                "sample_limit": monitoring.most_samples,
                # What the instance does not listen at is asked all the same, as the sidecar would.
                "static_configs": [
                    {
                        "targets": [f"{HOST}:{instance.ports.get(endpoint.port, endpoint.port)}"],
                        "labels": labels,
                    }
                ],
                "metric_relabel_configs": list(endpoint.rules),
            }

    def _ensure_allowed(self, revision: Mapping[str, Json]) -> None:
        project, _, _ = segments(str(revision["name"]))
        account = str(revision["serviceAccount"])
        at = ("cloudresourcemanager", f"projects/{project}", project)
        if not self._cloud.access.held(Caller(account), [_WRITES], *at):
            raise NotUnderstood(
                f"Permission {_WRITES} denied (or the resource may not exist): {account} may not write metrics"
            )

    def _say(self, instance: RunningInstance, container: str, text: str) -> None:
        """Log what is wrong, once for each instance."""
        if (instance.number, text) not in self._said:
            self._said.add((instance.number, text))
            run_log.log_container_line(self._cloud, instance.revision, text, container=container)


__all__ = ["ManagedPrometheus"]
