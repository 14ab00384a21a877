"""What `homeport list` did not look for in a project, kind by kind: none of it is known not to be there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from homeport.catalog import cloudrun
from homeport.listing import NotLookedFor
from homeport.targets.cloudrun.inventory import KINDS, SERVICES, Inventory, Unread, alike
from homeport.targets.cloudrun.startup_cache.kinds import CACHE_KINDS

_AGAIN = "then list again"
_OFF = "its API is off, and what was made while it was on is not shown"
_UNTOLD = "asked for where a service says that it had some, and {}"
_NO_GPU = "the catalog knows no GPU there, and a file with such a region is refused"
_BY_GCLOUD = (
    "`gcloud run services list` (where gcloud's run/region is not set), `gcloud artifacts repositories list --location=all` and "
    "`gcloud compute networks subnets list`, each with --project={}, show all regions"
)
_NEVER = ("API gateways", "schedules", "budgets")
_DOWN = "`homeport down NAME --on cloudrun` beside a file that has their table looks for them, and asks before it removes any"


_JOBS = "`gcloud run jobs list --project={}` shows them"


def not_looked_for(inventory: Inventory, unread: Sequence[Unread]) -> tuple[NotLookedFor, ...]:
    """Return each kind that was not looked for, or not everywhere, with why and what to do; `unread` is all that could not be read."""
    return (*_refused(unread), *_off(inventory.off), *_elsewhere(inventory), *_unasked(inventory, unread))


def _refused(unread: Sequence[Unread]) -> Iterator[NotLookedFor]:
    for first, *more in alike(unread):
        hint = first.error.hint
        yield NotLookedFor(
            kind=first.subject,
            where=_where((first, *more)),
            why=str(first.error),
            do=f"{hint}; {_AGAIN}" if hint else "list again",
            refused=True,
        )


def _off(off: Sequence[Unread]) -> Iterator[NotLookedFor]:
    for kind, error in {one.subject: one.error for one in off}.items():
        yield NotLookedFor(kind=kind, why=_OFF, do=f"{error.hint}; {_AGAIN}")


def _elsewhere(inventory: Inventory) -> Iterator[NotLookedFor]:
    where = f"regions other than {', '.join(cloudrun.regions())}"
    off = {one.subject for one in inventory.off}
    for kind in KINDS:
        if kind.regional and kind.plural not in off:
            yield NotLookedFor(
                kind=kind.plural, where=where, why=_NO_GPU, do=_BY_GCLOUD.format(inventory.project)
            )


def _unasked(inventory: Inventory, unread: Sequence[Unread]) -> Iterator[NotLookedFor]:
    seen = SERVICES.plural not in {one.subject for one in (*unread, *inventory.off)}
    why = _UNTOLD.format("none does" if seen else "not all services could be read")
    # Of its own accord `down` looks for no job: a key of [cloudrun] makes it, and no table.
    jobs = {kind.plural for kind in CACHE_KINDS}
    for plural in dict.fromkeys(kind.plural for kind in inventory.unasked):
        do = _JOBS.format(inventory.project) if plural in jobs else _DOWN
        yield NotLookedFor(kind=plural, why=why, do=do)
    yield from (NotLookedFor(kind=plural, why="no list asks for them", do=_DOWN) for plural in _NEVER)


def _where(unread: Sequence[Unread]) -> str:
    return ", ".join(one.region for one in unread if one.subject != one.what)
