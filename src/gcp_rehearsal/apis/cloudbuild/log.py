"""Cloud Build: what a build writes, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcp_rehearsal.apis.logging.entries import write_log
from gcp_rehearsal.apis.storage.objects import put_object
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_WRITE = "logging.logEntries.create"


class Log:
    """The log of one build: in Cloud Logging, in a bucket of the project's own, or both."""

    def __init__(self, cloud: Cloud, build: StoredResource, account: str) -> None:
        self._cloud, self._build = cloud, build
        self._lines: list[str] = []
        option = (build.body.get("options") or {}).get("logging", "LEGACY")
        held = cloud.access.held(
            Caller(account), [_WRITE], "logging", f"projects/{build.project}", build.project
        )
        self._to_logging = option not in {"NONE", "GCS_ONLY"} and _WRITE in held
        self._bucket = "" if option in {"NONE", "CLOUD_LOGGING_ONLY"} else build.body.get("logsBucket", "")
        if option == "CLOUD_LOGGING_ONLY" and _WRITE not in held:
            text = (
                "The service account running this build does not have permission to write logs to Cloud Logging. To "
                "fix this, grant the Logs Writer (roles/logging.logWriter) role to the service account."
            )
            build.body["warnings"] = [{"text": text, "priority": "WARNING"}]

    def say(self, *lines: str) -> None:
        """Write lines."""
        self._lines += lines
        if self._to_logging:
            for line in lines:
                self._log(line)

    def step(self, number: int, *lines: str) -> None:
        """Write lines of a step; where there are several steps, each says whose it is."""
        steps = self._build.body["steps"]
        title = f'Step #{number} - "{steps[number]["id"]}"' if steps[number].get("id") else f"Step #{number}"
        self.say(*(f"{title}: {line}" if len(steps) > 1 else line for line in lines))

    def close(self) -> None:
        """Put what a build that has ended wrote into its bucket."""
        if not self._bucket:
            return
        bucket, _, folder = self._bucket.removeprefix("gs://").partition("/")
        name = f"{folder.strip('/')}/log-{self._build.body['id']}.txt".lstrip("/")
        text = "".join(f"{line}\n" for line in self._lines)
        try:
            put_object(self._cloud, bucket, name, text.encode(), "text/plain")
        except ApiError:
            return  # The bucket has gone meanwhile.

    def _log(self, line: str) -> None:
        body = self._build.body
        labels = {
            "build_id": body["id"],
            "build_trigger_id": body.get("buildTriggerId", ""),
            "project_id": self._build.project,
        }
        write_log(self._cloud, self._build.project, "cloudbuild", {"type": "build", "labels": labels}, line)
