"""Steps of builds that are acted out: what each would say, and how long it would take."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise

from gcp_rehearsal.apis.cloudbuild.run import image_digest, push_as
from gcp_rehearsal.apis.cloudbuild.step import Ran, RunningStep, Step
from gcp_rehearsal.context import Cloud
from gcp_rehearsal.errors import ApiError


@dataclass(slots=True, kw_only=True)
class Acted:
    """Steps that succeed after a likely time, except for those that cannot, or are told to fail."""

    failing: dict[str, Ran] = field(default_factory=dict)
    """What comes of steps by their id or image, or a pattern such as `*docker`."""

    def run(self, cloud: Cloud, step: Step) -> Ran | RunningStep:
        """Return what comes of a step."""
        for pattern, ran in self.failing.items():
            if fnmatchcase(step.id, pattern) or fnmatchcase(step.image, pattern):
                return ran
        if not step.script and not step.entrypoint:
            for pattern, act in _BUILDERS.items():
                if re.search(pattern, step.image):
                    return act(cloud, step)
        return Ran(seconds=5, lines=[f"{step.entrypoint or step.image}: acted out"])

    def pushed(self, cloud: Cloud, build: str, reference: str, digest: str) -> None:
        """Do nothing: an image that is acted out has no content."""

    def ended(self, build: str) -> None:
        """Do nothing: there is nothing on disk."""


def _docker(cloud: Cloud, step: Step) -> Ran:
    args = list(step.args)
    words = [arg for arg in args if not arg.startswith("-")]
    if not words:
        return Ran(code=1, lines=["Usage:  docker [OPTIONS] COMMAND"])
    command, rest = words[0], args[args.index(words[0]) + 1 :]
    if command not in _COMMANDS:
        return Ran(code=1, lines=[f"docker: '{command}' is not a docker command.", "See 'docker --help'"])
    if command == "buildx" and "build" in rest:
        command, rest = "build", rest[rest.index("build") + 1 :]
    if command == "build":
        return _docker_build(cloud, step, rest)
    if command == "push":
        named = [word for word in rest if not word.startswith("-")]
        if len(named) != 1:
            return Ran(code=1, lines=['"docker push" requires exactly 1 argument.'])
        return _pushed(cloud, step, named, 12)
    return Ran(seconds=4)


def _docker_build(cloud: Cloud, step: Step, rest: list[str]) -> Ran:
    value_next, folders = False, []
    for word in rest:
        if not value_next and not word.startswith("-"):
            folders.append(word)
        value_next = not value_next and word.startswith("-") and "=" not in word and word not in _SWITCHES
    if len(folders) != 1:
        return Ran(
            code=1, lines=['"docker build" requires exactly 1 argument.', "See 'docker build --help'."]
        )
    tags = _values(rest, "-t", "--tag")
    if "--push" in rest:
        return _pushed(cloud, step, tags, 50)
    return Ran(seconds=40, lines=["Successfully built", *(f"Successfully tagged {tag}" for tag in tags)])


def _kaniko(cloud: Cloud, step: Step) -> Ran:
    targets = _values(list(step.args), "-d", "--destination")
    if not targets and "--no-push" not in step.args:
        return Ran(code=1, lines=["Error: you must provide --destination, or use --no-push"])
    return _pushed(cloud, step, targets, 60)


def _pushed(cloud: Cloud, step: Step, images: list[str], seconds: float) -> Ran:
    lines = []
    for image in images:
        digest = image_digest(step.inputs, image)
        lines.append(f"The push refers to repository [{image.partition(':')[0]}]")
        try:
            cloud.steps.pushed(cloud, step.build, image, digest)
            push_as(cloud, step.account, image, digest)
        except ApiError as error:
            return Ran(code=1, lines=[*lines, error.message], seconds=seconds)
        lines.append(f"digest: {digest}")
    return Ran(seconds=seconds, lines=lines)


def _values(words: list[str], *names: str) -> list[str]:
    apart = [after for word, after in pairwise(words) if word in names]
    return apart + [
        word.partition("=")[2] for word in words if word.startswith(tuple(f"{name}=" for name in names))
    ]


def _gcloud(cloud: Cloud, step: Step) -> Ran:
    words = [arg for arg in step.args if not arg.startswith("-")]
    if not words:
        return Ran(code=2, lines=["ERROR: (gcloud) Command name argument expected."])
    return Ran(seconds=8, lines=[f"gcloud {' '.join(words[:3])}: acted out"])


def _curl(cloud: Cloud, step: Step) -> Ran:
    if not any("://" in arg or "." in arg for arg in step.args):
        return Ran(code=2, lines=["curl: (2) no URL specified"])
    return Ran(seconds=2)


_COMMANDS = frozenset(
    ("build", "buildx", "compose", "cp", "create", "exec", "image", "images", "inspect", "load", "login", "manifest",
     "network", "pull", "push", "run", "save", "tag", "version", "volume")
)  # fmt: skip
_SWITCHES = frozenset(
    (
        "--compress",
        "--force-rm",
        "--load",
        "--no-cache",
        "--pull",
        "--push",
        "--quiet",
        "--rm",
        "--squash",
        "-q",
    )
)
_BUILDERS: Mapping[str, Callable[[Cloud, Step], Ran]] = {
    r"(^|/)docker(:|@|$)": _docker,
    r"(^|/)(gcloud|cloud-sdk|google-cloud-cli)(:|@|$)": _gcloud,
    r"(^|/)kaniko-project/executor(:|@|$)": _kaniko,
    r"(^|/)(curl|wget)(:|@|$)": _curl,
}
