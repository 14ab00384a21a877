"""
What most resources say in the same words, so that each holds only what is its own.

Three bases, from few assumptions to many: `BaseResource`, `DependentResource`, `FixedResource`. None says what a
resource is called, needs, reads and creates: that is each one's own.
"""

from __future__ import annotations

from typing import Any, ClassVar

from homeport.progress import Progress
from homeport.reconcile.resource import Change, Outputs


class BaseResource:
    """A resource whose progress is told for it, that waits its turn, and that an update may change in every part."""

    __slots__ = ()

    reports_own_progress: ClassVar[bool] = False
    goes_first: ClassVar[bool] = False

    def unchanged_after_update(self, live: Any) -> Any | None:  # Any: each resource's own
        """Return None: whatever needs it plans with "known after apply"."""
        return None


class DependentResource(BaseResource):
    """
    A resource that belongs to the endpoint that its container belongs to, and that goes when the container goes.

    Such as a version of a secret, or an object in a bucket: it cannot carry a label of its own.
    """

    __slots__ = ()

    def is_managed(self, live: Any) -> bool:  # Any: each resource's own
        """Return True: what contains it carries the label, and is judged first."""
        return True

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Delete nothing: it goes with what contains it."""
        return ()


class FixedResource(DependentResource):
    """A dependent resource that never differs: other content has another name."""

    __slots__ = ()

    def diff(self, live: Any, outputs: Outputs) -> tuple[Change, ...]:  # Any: each resource's own
        """Return no change: it is there or not."""
        return ()

    async def update(
        self, live: Any, outputs: Outputs, progress: Progress
    ) -> Any:  # Any: each resource's own
        """Return `live`: there is nothing to change."""
        return live
