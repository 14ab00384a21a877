"""One line of progress for each resource that is touched."""

from __future__ import annotations

from homeport.progress import Progress
from homeport.reconcile.plan import ActionKind
from homeport.reconcile.resource import Resource

_WORDS = {
    ActionKind.CREATE: ("creating", "created"),
    ActionKind.UPDATE: ("changing", "changed"),
    ActionKind.REPLACE: ("replacing", "replaced"),
    ActionKind.DELETE: ("deleting", "deleted"),
}


class Lines:
    """Tells when work on a resource begins and ends, each once, for those that do not tell it themselves."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._open: set[str] = set()

    def begin(self, resource: Resource, kind: ActionKind) -> None:
        """Work on it begins, unless it has begun."""
        if not resource.reports_own_progress and resource.id not in self._open:
            self._open.add(resource.id)
            self._progress.started(resource.id, f"{_WORDS[kind][0]} {resource.id}")

    def inside(self, resource: Resource) -> Progress:
        """Return what the resource itself is given to tell its progress by: bytes and notes, but no line of its own."""
        return self._progress if resource.reports_own_progress else _Inside(self._progress, resource.id)

    def end(self, resource: Resource, kind: ActionKind) -> None:
        """Say that it ended well, if it had begun."""
        if resource.id in self._open:
            self._open.discard(resource.id)
            self._progress.finished(resource.id, f"{_WORDS[kind][1]} {resource.id}")

    def fail(self, id_: str, why: str) -> None:
        """Say that it ended badly."""
        self._open.discard(id_)
        self._progress.failed(id_, why)

    def fail_rest(self, why: str) -> None:
        """End the lines of what has begun and will not go on."""
        for id_ in sorted(self._open):
            self.fail(id_, why)


class _Inside:
    def __init__(self, progress: Progress, id_: str) -> None:
        self._progress = progress
        self._id = id_

    def started(self, key: str, what: str) -> None:
        if key != self._id:
            self._progress.started(key, what)

    def advanced(self, key: str, done: int, total: int) -> None:
        self._progress.advanced(key, done, total)

    def finished(self, key: str, what: str) -> None:
        if key != self._id:
            self._progress.finished(key, what)

    def failed(self, key: str, what: str) -> None:
        if key != self._id:
            self._progress.failed(key, what)

    def note(self, text: str) -> None:
        self._progress.note(text)
