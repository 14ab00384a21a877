"""Where an apply or a destroy stands when it ends before all is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from homeport.errors import HomeportError, Interrupted
from homeport.progress import Progress
from homeport.reconcile.executor import Key, StepKind, StepResult
from homeport.reconcile.resource import Resource

GO_ON = "run the same command again: it goes on from here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What became of each resource for which there was something to do, by id."""

    done: tuple[str, ...]
    failed: Mapping[str, BaseException]
    """In the order in which they failed."""
    skipped: Mapping[str, str]
    """With the reason: another that was not done."""
    waiting: tuple[str, ...]
    """Not begun, because a stop was asked for."""

    @property
    def text(self) -> str:
        """Return the counts, in a line."""
        counts = {"failed": len(self.failed), "not begun": len(self.skipped) + len(self.waiting)}
        return ", ".join(
            [f"{len(self.done)} done", *(f"{count} {outcome}" for outcome, count in counts.items() if count)]
        )

    @property
    def mistake(self) -> BaseException | None:
        """Return the first failure that is nothing that homeport raises on purpose; None where there is none."""
        return next((e for e in self.failed.values() if not isinstance(e, HomeportError)), None)

    def tell(self, progress: Progress) -> None:
        """Tell all that did not go well except the first error, which is shown where errors are shown."""
        for id_, why in self.skipped.items():
            progress.note(f"{id_} skipped: {why}")
        for id_, error in list(self.failed.items())[1:]:
            progress.note(f"{id_} failed, too: {error}")
        if len(self.done) + len(self.failed) + len(self.skipped) + len(self.waiting) > 1:
            progress.note(f"{self.text}: run the same command again to go on")

    def raise_first(self) -> None:
        """Raise the first failure, mistakes of the program before all others, with the others as its notes."""
        for raised in (self.mistake, *self.failed.values()):
            if raised is None:
                continue
            for id_, error in self.failed.items():
                if error is not raised:
                    raised.add_note(f"{id_} failed, too: {error}")
            raise raised

    def raise_waiting(self) -> None:
        """Raise `Interrupted` where anything was not begun."""
        if self.waiting:
            shown = ", ".join(self.waiting[:5]) + (" and others" if len(self.waiting) > 5 else "")
            raise Interrupted(f"stopped as asked: {self.text} ({shown})", hint=GO_ON)


def summarize(ends: Mapping[Key, StepResult], resources: Iterable[Resource]) -> Summary:
    """Return where things stand with these, and with whatever else failed."""
    failed = {id_: end.error for (_, id_), end in ends.items() if end.error is not None}
    done, skipped, waiting = [], {}, []
    for resource in resources:
        keys = [(part, resource.id) for part in (StepKind.REMOVE, StepKind.MAKE)]
        undone = [ends[key] for key in keys if key in ends and not ends[key].done]
        if resource.id in failed:
            continue
        if not undone:
            done.append(resource.id)
        elif (blocked_by := undone[0].blocked_by) is None or _held_back(undone[0], ends):
            waiting.append(resource.id)
        else:
            need = "needs" if blocked_by[1] in resource.needs else "comes after"
            skipped[resource.id] = f"{need} {blocked_by[1]}"
    return Summary(done=tuple(done), failed=failed, skipped=skipped, waiting=tuple(waiting))


def _held_back(end: StepResult, ends: Mapping[Key, StepResult]) -> bool:
    while end.blocked_by is not None:
        end = ends[end.blocked_by]
    return end.held_back
