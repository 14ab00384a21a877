"""What there is of a startup cache that nobody wants: the account that may write it, and a job that was left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from homeport.google import Google
from homeport.progress import Progress
from homeport.reconcile import Outputs, Resource
from homeport.resources.google.rest import Address, RestResource
from homeport.resources.google.service_account import ServiceAccount, account
from homeport.targets.cloudrun.inventory import Thing
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.startup_cache import cache_grants
from homeport.targets.cloudrun.startup_cache_kinds import JOB


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheWriter(ServiceAccount):
    """
    The account that writes caches, to be taken away, and before it the job that runs as it.

    The job is looked at only then: those who may only plan need not be allowed to read jobs.
    """

    job: RestResource

    def summary(self, outputs: Outputs) -> str:
        """Return what goes."""
        job = self.job.address.path.rpartition("/")[2]
        return f"{ServiceAccount.summary(self, outputs)}, and the job {job} where an `up` has left it"

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Take away the job, with what may run of it, if it carries the endpoint's mark, and then the account."""
        job = await self.job.read()
        ours = job is not None and self.job.is_managed(job)
        gone = await self.job.delete(progress) if ours else ()
        unmade = await ServiceAccount.delete(self, progress)
        return (*gone, *((ServiceAccount.summary(self, {}),) if unmade else ()))


async def unwanted_cache(google: Google, names: Names, *, wanted: bool) -> list[Resource]:
    """
    Return who could still write caches once the file wants none, to be taken away.

    What was written stays until the endpoint goes: a rollback goes to a revision that reads it. The account is asked for
    by its name, and by its mark: it is made before all that writes, goes after it, and is there also where a first `up`
    was ended before it had made a service that would tell.
    """
    if wanted:
        return []
    maker = _writer(google, names)
    live = await maker.read()
    if live is None or not maker.is_managed(live):
        return []
    grants = [grant for grant in cache_grants(google, names) if f"/{names.cacher}/" in grant.id]
    return [maker, *(replace(grant, needs=(maker.id,)) for grant in grants)]


def _writer(google: Google, names: Names) -> CacheWriter:
    writer = account(google, names.name, names.cacher, "")
    return CacheWriter(
        google=google,
        name=names.name,
        id=writer.id,
        kind=writer.kind,
        address=writer.address,
        wanted={},
        marked=writer.marked,
        job=_found_job(google, names.name, names.cache_job, names.region),
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
