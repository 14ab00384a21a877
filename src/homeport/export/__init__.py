"""A deployment as files of other tools: by construction what `up` creates, since both start from the same resources."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from homeport.errors import HomeportError, Unsupported

if TYPE_CHECKING:
    from homeport.reconcile import Outputs, Resource

KINDS = {
    "gcloud": "A script that makes everything with gcloud.",
    "cloudbuild": "One build of Cloud Build that makes the image, carries the weights and deploys.",
    "knative": "The service alone, for `gcloud run services replace`.",
    "terraform": "A module for everything but images and weights, with their builds.",
    "trigger": "Triggers of Cloud Build: `plan` on a pull request, `up` on the main branch.",
    "github": "A workflow of GitHub Actions: `plan` on a pull request, `up` on the main branch.",
}
"""What can be exported, and what each is."""
_BY_UP = frozenset({"trigger", "github"})
"""Those that say `homeport up`, which looks at what is live before it makes anything."""
OF_REGIONS = ("gcloud", "terraform", "cloudbuild", "trigger", "github")
"""Those that say of several regions what waits for what."""


def export(kind: str, resources: Iterable[Resource], *, outputs: Outputs | None = None) -> dict[str, str]:
    """
    Return the files of one kind, by name: the same for the same resources, letter for letter.

    `outputs` is what is live, by id, where it was read: what is known only after apply is then filled in.
    Raises `HomeportError` where something cannot be exported, such as a resource of a kind that the format does not know.
    """
    from homeport.export.graph import Things  # Here, so that the command line can list the kinds at no cost.

    if kind not in KINDS:
        raise HomeportError(f"there is no export {kind!r}", hint=f"one of {', '.join(KINDS)}")
    things = Things.of(resources, outputs)
    if things.further and kind not in OF_REGIONS:
        raise Unsupported(
            f"an endpoint in several regions cannot be exported as {kind}: that one region waits for another, and that all ends at the first "
            "that fails, is not in such files yet",
            hint=f"it is exported as {', '.join(OF_REGIONS)}; `homeport up --on cloudrun` makes it, too",
        )
    exporter = import_module(f"homeport.export.{kind}")
    unknown = [resource for resource in things.everywhere.resources if resource.kind not in exporter.KNOWS]
    if unknown:
        from homeport.export.tables import tables_of

        listed = ", ".join(
            f"{resource.id} ({_article(resource.kind)} {resource.kind})" for resource in unknown
        )
        tables = tables_of(resource.kind for resource in unknown)
        without = f"a file without {tables} is exported; " if tables else ""
        raise HomeportError(
            f"the export to {kind} does not know {listed}",
            hint=f"{without}it knows {', '.join(sorted(exporter.KNOWS))}; `homeport up` makes the rest",
        )
    if kind not in _BY_UP:
        things.ensure_screened()
    files: dict[str, str] = exporter.files(things)
    return files


def _article(word: str) -> str:
    return "an" if word[0] in "aeioAEIOH" else "a"
