"""One run of Cloud Build: begun once, found again by its tag, waited for, and explained where it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from homeport.errors import (
    GatedModel,
    GoogleError,
    HomeportError,
    NetworkError,
    OperationFailed,
    QuotaExceeded,
    WeightsError,
)
from homeport.google import ANSWER_LOST, Google
from homeport.google.retry import looks
from homeport.json_types import Json
from homeport.reconcile import Outputs, resolve
from homeport.resources.google.build_place import ANYWHERE, NOT_HERE, BuildPlace, BuildSteps
from homeport.resources.google.log_lines import last_lines, last_words
from homeport.resources.google.propagation import patient

DEADLINE_S = 3600.0
"""Of a build whose body names no timeout."""
SAYS = "homeport: "
"""How the line begins in which a script of ours says why it gives up, and after `; ` what to do."""
FIRST_LOOK_S = 0.5
"""When a build is looked at for the first time; then ever more rarely."""
_UNDER_WAY = ("PENDING", "QUEUED", "WORKING")
_BEYOND_S = 900.0
"""For the queue, and for Google to notice that a build is over its time."""
_LAST_LINES = 8
_MEANT = {kind.exit_code: kind for kind in (WeightsError, GatedModel, NetworkError)}
"""Scripts of ours end with the exit codes that homeport itself has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A build that must have been run."""

    google: Google
    region: str
    mark: str
    """A tag that no other build has; Cloud Build's rule is `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`."""
    what: str
    """What people call it, such as `the build of serving`."""
    body: Mapping[str, Any]  # Any: JSON, and Refs
    """As Cloud Build takes it, without the tag."""
    needs: tuple[str, ...] = ()
    tell: Callable[[str], None] | None = None
    """Is given the lines that the build has written last, each time that it is looked at."""
    note: Callable[[str], None] | None = None
    """Is told where it runs, where that is not as it was asked for, and how far it is."""
    place: BuildPlace = ANYWHERE

    async def run(self, outputs: Outputs) -> Json:
        """
        Return the build, ended well; one that is under way already is waited for. Raises `OperationFailed`,
        and where a script of ours says what was wrong, `WeightsError`, `GatedModel` or `NetworkError`.
        """
        build, region = await self._found_or_begun(outputs)
        patience = float(str(build.get("timeout", "")).removesuffix("s") or DEADLINE_S) + _BEYOND_S
        wait = looks(self.what, patience, first=FIRST_LOOK_S)
        builds, steps = self._builds(region), BuildSteps(self.what, patience, self.note)
        while build["status"] in _UNDER_WAY:
            if not await wait.pause():
                raise OperationFailed(
                    f"{self.what} takes longer than {patience / 60:.0f} minutes",
                    hint=f"its log: {build.get('logUrl', '')}; run the same command again to wait on",
                )
            build = await self.google.get("cloudbuild", f"{builds}/{build['id']}")
            steps.look(build)
            if self.tell is not None and build["status"] == "WORKING":
                for line in await self._last_lines(build):
                    self.tell(line)
        if build["status"] != "SUCCESS":
            raise await self._why(build)
        return build

    async def _found_or_begun(self, outputs: Outputs) -> tuple[Json, str]:
        """Return the build and its region: where it may not run as asked for, the next place that is left."""
        refused: QuotaExceeded | None = None
        for region, machine in self.place.tried(self.region, self._machine):
            if refused is not None and self.note is not None:
                on = machine or "the default machine"
                self.note(
                    f"{self.what} may not run as asked for ({refused}); it is tried in {region} on {on}"
                )
            try:
                build = await self._under_way(region) or await self._begun(outputs, region, machine)
            except QuotaExceeded as error:
                if NOT_HERE not in str(error):
                    raise
                refused = error
                continue
            return build, region
        assert refused is not None
        raise refused

    @property
    def _machine(self) -> str:
        return str((self.body.get("options") or {}).get("machineType", ""))

    async def _begun(self, outputs: Outputs, region: str, machine: str) -> Json:
        body = {**resolve(self.body, outputs, final=True), "tags": [self.mark]}
        options = {key: value for key, value in (body.get("options") or {}).items() if key != "machineType"}
        body["options"] = {**options, "machineType": machine} if machine else options
        try:
            google = patient(self.google, outputs, self.needs)
            operation = await google.post("cloudbuild", self._builds(region), body)
        except GoogleError as error:
            # The answer was lost, and with it whether the build began: the mark tells.
            begun = await self._under_way(region) if error.reason == ANSWER_LOST else None
            if begun is None:
                raise
            return begun
        return operation["metadata"]["build"]

    async def _under_way(self, region: str) -> Json | None:
        builds = self.google.pages("cloudbuild", self._builds(region), "builds", filter=f'tags="{self.mark}"')
        async for build in builds:
            if build["status"] in _UNDER_WAY:
                return build
        return None

    async def _last_lines(self, build: Json) -> list[str]:
        query = f'resource.type="build" AND resource.labels.build_id="{build["id"]}"'
        return await last_lines(self.google, query, since=str(build.get("createTime", "")))

    async def _why(self, build: Json) -> HomeportError:
        log = f"its log: {build.get('logUrl', '')}"
        lines = await self._last_lines(build)
        message = last_words(lines, SAYS)
        code = next((step["exitCode"] for step in build.get("steps", ()) if step.get("exitCode")), 0)
        if message and code in _MEANT:
            words, _, hint = message.partition("; ")
            return _MEANT[code](words, hint=f"{hint}; {log}" if hint else log)
        why = build.get("failureInfo", {}).get("detail") or build.get("statusDetail") or build["status"]
        tail = "".join(f"\n  {line}" for line in lines[-_LAST_LINES:])
        return OperationFailed(f"{self.what} failed: {message or why}{tail}", hint=log)

    def _builds(self, region: str) -> str:
        return f"v1/projects/{self.google.project}/locations/{region}/builds"
