"""A deployment as files of other tools: by construction what `up` creates, since both start from the same resources."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from homeport.errors import HomeportError
from homeport.export.things import Things
from homeport.reconcile import Outputs, Resource

KINDS = {
    "cloudbuild": "A build that builds, pushes, carries the weights and deploys.",
    "gcloud": "A script that makes everything with gcloud.",
    "knative": "The service, for `gcloud run services replace`.",
    "terraform": "Everything, for Terraform.",
    "trigger": "A trigger of Cloud Build: a push to a repository runs `up`.",
    "github": "A workflow of GitHub Actions: a pull request runs `plan`, a push to main runs `up`.",
}
"""What can be exported, and what each is."""


def export(
    kind: str, resources: Iterable[Resource], *, outputs: Outputs | None = None, repository: str = ""
) -> dict[str, str]:
    """
    The files of one kind, by name: the same for the same resources, letter for letter.

    `outputs` is what is live, by id, where it was read: what is known only after apply is then filled in.
    `repository` is the user's on GitHub, `OWNER/NAME`, for a trigger or a workflow. Raises `HomeportError` where
    something cannot be exported, `TypeError` for a resource that no exporter knows.
    """
    if kind not in KINDS:
        raise HomeportError(f"there is no export {kind!r}", hint=f"one of {', '.join(KINDS)}")
    things = Things.of(resources, outputs)
    if kind in {"trigger", "github"}:
        files: dict[str, str] = import_module(f"homeport.export.{kind}").files(things, repository)
        return files
    files = import_module(f"homeport.export.{kind}").files(things)
    return files
