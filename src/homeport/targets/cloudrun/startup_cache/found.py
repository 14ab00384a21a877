"""What there is of a startup cache that nobody wants: the account that may write it, and a job that was left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from homeport.google import Google
from homeport.progress import Progress
from homeport.reconcile import Outputs, Resource
from homeport.resources.google.rest import Address, RestResource
from homeport.resources.google.service_account import ServiceAccount, account
from homeport.targets.cloudrun.inventory import Thing
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.startup_cache.cache import cache_grants
from homeport.targets.cloudrun.startup_cache.kinds import JOB


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheWriter(ServiceAccount):
    """
    The account that writes caches, to be taken away, and before it the jobs that run as it, one in each region.

    A job is looked at only then: those who may only plan need not be allowed to read jobs.
    """

    jobs: tuple[RestResource, ...]

    def summary(self, outputs: Outputs) -> str:
        """Return what goes."""
        job = self.jobs[0].address.path.rpartition("/")[2]
        return f"{ServiceAccount.summary(self, outputs)}, and the job {job} where an `up` has left it"

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Take away the jobs, with what may run of them, that carry the endpoint's mark, and then the account."""
        gone: list[str] = []
        for job in self.jobs:
            live = await job.read()
            if live is not None and job.is_managed(live):
                gone += await job.delete(progress)
        unmade = await ServiceAccount.delete(self, progress)
        return (*gone, *((ServiceAccount.summary(self, {}),) if unmade else ()))


async def unwanted_cache(
    google: Google, names: Names, further: Sequence[Names] = (), *, wanted: bool
) -> list[Resource]:
    """
    Return who could still write caches once the file wants none, to be taken away: those of `further` regions, too.

    What was written stays until the endpoint goes: a rollback goes to a revision that reads it. The account is asked for
    by its name, and by its mark: it is made before all that writes, goes after it, and is there also where a first `up`
    was ended before it had made a service that would tell.
    """
    if wanted:
        return []
    places = (names, *further)
    maker = _writer(google, names, [region.region for region in places])
    live = await maker.read()
    if live is None or not maker.is_managed(live):
        return []
    every = [grant for place in places for grant in cache_grants(google, place)]
    grants = [grant for grant in every if f"/{names.cacher}/" in grant.id]
    return [maker, *(replace(grant, needs=(maker.id,)) for grant in grants)]


def _writer(google: Google, names: Names, regions: Sequence[str]) -> CacheWriter:
    writer = account(google, names.name, names.cacher, "")
    return CacheWriter(
        google=google,
        name=names.name,
        id=writer.id,
        kind=writer.kind,
        address=writer.address,
        wanted={},
        marked=writer.marked,
        jobs=tuple(_found_job(google, names.name, names.cache_job, region) for region in regions),
    )


def _found_job(google: Google, name: str, job: str, region: str) -> RestResource:
    parent = f"v2/projects/{google.project}/locations/{region}/jobs"
    return RestResource(
        google=google,
        name=name,
        id=f"job/{job}",
        kind=JOB,
        address=Address(api="run", path=f"{parent}/{job}", made_at=parent),
        wanted={},
    )


MAKE: Mapping[str, Callable[[Google, str, Thing], RestResource]] = {
    JOB: lambda google, name, thing: _found_job(google, name, thing.name, thing.region),
}
"""How a resource is made of what was found: enough of it to be read and taken away."""
