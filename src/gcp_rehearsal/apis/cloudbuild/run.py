"""Cloud Build: a build from its queue to its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gcp_rehearsal import operations
from gcp_rehearsal.apis.artifactregistry import repositories as registry
from gcp_rehearsal.apis.artifactregistry.images import parse
from gcp_rehearsal.apis.cloudbuild import log as build_log
from gcp_rehearsal.apis.cloudbuild.checks import TIMEOUT, seconds, variables
from gcp_rehearsal.apis.cloudbuild.secrets import secret
from gcp_rehearsal.apis.cloudbuild.step import Ran, RunningStep, Step
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_QUEUED_FOR = 2.0
_FETCHES_IN = 3.0
_PUSHES_IN = 6.0
_LOOKS_EVERY = 0.1
"""Seconds of this machine."""
_SIZE = 180_000_000
RUNNING = ("QUEUED", "WORKING")
_DOCKER = ("gcr.io/cloud-builders/docker", "docker")


class Run:
    """One build that is under way. What it does is seen in the build itself, and in its operation."""

    def __init__(self, cloud: Cloud, build: StoredResource, operation: StoredResource, account: str) -> None:
        self._cloud, self._build, self._operation, self._account = cloud, build, operation, account
        self._body = build.body
        self._limit = seconds(self._body.get("timeout")) or TIMEOUT
        self._log = build_log.Log(cloud, build, account)
        self._steps: list[JsonObject] = self._body["steps"]
        self._running: dict[int, RunningStep] = {}
        self._at = 0.0
        """Seconds that the build has worked, whatever the clock's pace."""

    def begin(self) -> None:
        """Let a build wait in the queue, then work."""
        self._later(_QUEUED_FOR, self._start)

    def cancel(self) -> None:
        """End the build because somebody does not want it any more."""
        self._end("CANCELLED", ApiError(499, "Build cancelled"))

    def _later(self, span: float, action: Any) -> None:  # Any: a function
        def act() -> None:
            if self._body["status"] in RUNNING:
                action()

        self._cloud.clock.after(self._cloud.takes(span), act)

    def _start(self) -> None:
        self._body.update(status="WORKING", startTime=self._cloud.clock.text(), timing={})
        self._log.say(f'starting build "{self._body["id"]}"', "")
        source = (self._body.get("sourceProvenance") or {}).get("resolvedStorageSource")
        if not source:
            self._work()
            return
        self._log.say("FETCHSOURCE", f"Fetching storage object: gs://{source['bucket']}/{source['object']}")
        self._open("FETCHSOURCE")
        self._at += _FETCHES_IN
        self._later(_FETCHES_IN, self._work)

    def _work(self) -> None:
        if "FETCHSOURCE" in self._body["timing"]:
            self._close("FETCHSOURCE")
        self._log.say("BUILD")
        self._open("BUILD")
        self._advance()

    def _advance(self) -> None:
        """Begin every step whose turn it is; after the last, push."""
        for number, step in enumerate(self._steps):
            if step["status"] == "QUEUED" and self._may_begin(number) and self._body["status"] == "WORKING":
                self._begin_step(number, step)
        if self._body["status"] == "WORKING" and all(step["status"] not in RUNNING for step in self._steps):
            self._close("BUILD")
            self._push()

    def _may_begin(self, number: int) -> bool:
        waits = self._steps[number].get("waitFor")
        before = self._steps[:number]
        if waits:
            before = [step for step in before if step.get("id") in waits]
        return all(step["status"] not in RUNNING for step in before)

    def _begin_step(self, number: int, step: JsonObject) -> None:
        now = self._cloud.clock.text()
        step.update(
            status="WORKING", timing={"startTime": now}, pullTiming={"startTime": now, "endTime": now}
        )
        self._log.step(number, f"Already have image (with digest): {step['name']}")
        try:
            ran = self._cloud.steps.run(self._cloud, self._handed(number, step))
        except ApiError as error:
            self._fail_step(number, step, error.message)
            return
        if not isinstance(ran, Ran):
            self._running[number] = ran
            self._watch(number, step, ran)
            return
        self._log.step(number, *ran.lines)
        limit = seconds(step.get("timeout")) or self._limit
        began = self._at
        if ran.seconds > min(limit, self._limit - began):
            left = min(limit, self._limit - began)
            self._later(left, lambda: self._time_out(step))
            return

        def ended() -> None:
            self._at = max(self._at, began + ran.seconds)
            self._end_step(number, step, ran)

        self._later(ran.seconds, ended)

    def _watch(self, number: int, step: JsonObject, running: RunningStep) -> None:
        """Look at a process until it has ended; its time is this machine's own."""
        ran = running.poll()
        self._log.step(number, *(running.fresh() if ran is None else ran.lines))
        if ran is not None:
            del self._running[number]
            self._end_step(number, step, ran)
        elif running.seconds > (seconds(step.get("timeout")) or self._limit):
            self._time_out(step)
        else:
            self._look_again(lambda: self._watch(number, step, running))

    def _look_again(self, look: Callable[[], None]) -> None:
        def act() -> None:
            if self._body["status"] in RUNNING:
                look()

        self._cloud.clock.after(_LOOKS_EVERY * self._cloud.clock.speed, act)

    def _handed(self, number: int, step: Mapping[str, Json]) -> Step:
        options = self._body.get("options") or {}
        secrets = (*(options.get("secretEnv") or ()), *(step.get("secretEnv") or ()))
        env = variables((*(options.get("env") or ()), *(step.get("env") or ())))
        if options.get("automapSubstitutions") or step.get("automapSubstitutions"):
            env = {**self._build.hidden["values"], **env}
        for name in secrets:
            env[name] = self._secret(name)
        stored = (self._body.get("sourceProvenance") or {}).get("resolvedStorageSource")
        return Step(
            source=(stored["bucket"], stored["object"]) if stored else None, number=number, id=step.get("id") or "", image=step["name"], args=step.get("args") or (),
            entrypoint=step.get("entrypoint") or "", script=step.get("script") or "", folder=step.get("dir") or "",
            env=env, secret_env=secrets, account=self._account, project=self._build.project,
            build=self._body["id"], inputs=self._build.hidden["inputs"],
        )  # fmt: skip

    def _secret(self, env: str) -> str:
        """Raise `ApiError` where the build's account cannot read it."""
        available = self._body["availableSecrets"]["secretManager"]
        version = next(entry["versionName"] for entry in available if entry["env"] == env)
        return secret(self._cloud, self._account, version)

    def _end_step(self, number: int, step: JsonObject, ran: Ran) -> None:
        step["timing"]["endTime"] = self._cloud.clock.text()
        step["exitCode"] = ran.code
        if not ran.code:
            del step["exitCode"]
        if ran.code and not step.get("allowFailure") and ran.code not in (step.get("allowExitCodes") or ()):
            self._fail_step(number, step, f"step exited with non-zero status: {ran.code}")
            return
        step["status"] = "FAILURE" if ran.code else "SUCCESS"
        self._advance()

    def _fail_step(self, number: int, step: JsonObject, why: str) -> None:
        step["status"] = "FAILURE"
        step["timing"]["endTime"] = self._cloud.clock.text()
        text = f'build step {number} "{step["name"]}" failed: {why}'
        self._log.say("ERROR", f"ERROR: {text}")
        self._failed(text, "USER_BUILD_STEP", f"Build step failure: {text}")

    def _failed(self, text: str, kind: str, detail: str) -> None:
        self._body.update(statusDetail=text, failureInfo={"type": kind, "detail": detail})
        self._end("FAILURE", ApiError(500, "Build failed; check build logs for details", status="UNKNOWN"))

    def _time_out(self, step: JsonObject) -> None:
        step.update(status="TIMEOUT")
        step["timing"]["endTime"] = self._cloud.clock.text()
        self._body["statusDetail"] = "build timed out"
        self._log.say("TIMEOUT", "ERROR: context deadline exceeded")
        self._end("TIMEOUT", ApiError(504, "Build timed out"))

    def _push(self) -> None:
        images = self._body.get("images") or []
        if not images:
            self._succeed()
            return
        self._log.say("PUSH")
        self._open("PUSH")
        self._later(_PUSHES_IN * len(images), self._pushed)

    def _pushed(self) -> None:
        pushed, span = [], dict(self._body["timing"]["PUSH"], endTime=self._cloud.clock.text())
        for image in self._body["images"]:
            self._log.say(f"Pushing {image}")
            digest = image_digest(self._build.hidden["inputs"], image)
            try:
                self._check_built(image)
                self._cloud.steps.pushed(self._cloud, self._body["id"], image, digest)
                push_as(self._cloud, self._account, image, digest)
            except ApiError as error:
                text = f'error pushing image "{image}": retry budget exhausted (10 attempts): step exited with non-zero status: 1'
                self._log.say(
                    error.message, "ERROR: failed to push because we ran out of retries.", f"ERROR: {text}"
                )
                self._failed(
                    f"failed to push: {error.message}",
                    "PUSH_FAILED",
                    f"Build failed: {text}: {error.message}",
                )
                return
            parsed = parse(image)
            pushed.append({"name": image, "digest": digest, "pushTiming": span, **(
                {"artifactRegistryPackage": f"{parsed.repository}/packages/{parsed.name}"} if parsed else {})})  # fmt: skip
        self._close("PUSH")
        self._body["results"]["images"] = pushed
        self._succeed()

    def _check_built(self, image: str) -> None:
        """Tell whether a step has made it, as far as one can see: only docker's own steps can be looked through."""
        plain = [step for step in self._steps if step["name"].partition(":")[0] in _DOCKER and not step.get("entrypoint")
                 and not step.get("script")]  # fmt: skip
        names = {image, image.removesuffix(":latest")}
        args = [arg.rpartition("=")[2] for step in plain for arg in step.get("args") or ()]
        if len(plain) == len(self._steps) and not names & set(args):
            raise ApiError(
                400, f"An image does not exist locally with the tag: {image.rpartition(':')[0] or image}"
            )

    def _succeed(self) -> None:
        digests = [f"sha256:{sha256(step['name'].encode()).hexdigest()}" for step in self._steps]
        self._body["results"].update(buildStepImages=digests, buildStepOutputs=[""] * len(digests))
        self._log.say("DONE")
        self._end("SUCCESS", None)

    def _end(self, status: str, error: ApiError | None) -> None:
        for running in self._running.values():
            running.stop()
        self._running.clear()
        self._cloud.steps.ended(self._body["id"])
        now = self._cloud.clock.text()
        for step in self._steps:
            if step["status"] == "WORKING":
                step["status"] = "CANCELLED"
                step["timing"]["endTime"] = now
        for span in self._body.get("timing", {}).values():
            span.setdefault("endTime", now)
        self._body.update(status=status, finishTime=now)
        self._body.setdefault("startTime", now)
        self._log.close()
        response = {"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.Build", **self._body}
        operations.conclude(self._operation, error or response)

    def _open(self, part: str) -> None:
        self._body["timing"][part] = {"startTime": self._cloud.clock.text()}

    def _close(self, part: str) -> None:
        self._body["timing"][part]["endTime"] = self._cloud.clock.text()


def push_as(cloud: Cloud, account: str, reference: str, digest: str) -> None:
    """Push an image in an account's name. Raises `ApiError`, in the words that `docker push` shows."""
    image = parse(reference)
    if image is not None:
        repository, permission = (
            cloud.by_id(image.repository),
            "artifactregistry.repositories.uploadArtifacts",
        )
        if permission not in cloud.access.held(
            Caller(account), [permission], "artifactregistry", repository, image.project
        ):
            raise ApiError(
                403,
                f'denied: Permission "{permission}" denied on resource "{repository}" (or it may not exist)',
            )
    registry.push(cloud, reference, digest, _SIZE)


def image_digest(inputs: str, image: str) -> str:
    """Return the digest that an image gets: the same for the same inputs, whatever its tag."""
    name = image.partition("@")[0]
    name = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
    return f"sha256:{sha256(f'{inputs} {name}'.encode()).hexdigest()}"


def inputs_of(build: Mapping[str, Json]) -> str:
    """Return a digest of all that decides what comes of a build."""
    steps = [{key: value for key, value in step.items() if key not in {"status", "timing", "pullTiming"}}
             for step in build["steps"]]  # fmt: skip
    inputs = {
        "steps": steps,
        "source": build.get("sourceProvenance"),
        "options": (build.get("options") or {}).get("env"),
    }
    return sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
