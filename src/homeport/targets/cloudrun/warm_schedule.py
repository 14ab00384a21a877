"""
What keeps an instance warm at the file's hours: jobs of Cloud Scheduler that set the service's least number of instances.

They do so as an account of their own, by a role that holds what that call needs, granted on the model's service and on
the account that it runs as, and nowhere else. What else that role allows is in docs/security.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from homeport.errors import ApiDisabled, HomeportError, NoCredentials
from homeport.google import Google, IamResource
from homeport.reconcile import Ref, Resource
from homeport.resources.google.custom_role import custom_role
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.rest import LABEL, RestResource
from homeport.resources.google.scheduled_job import described, least_instances_call, scheduled_job
from homeport.resources.google.service_account import account
from homeport.spec.warm_hours import WarmEdge, WarmHours
from homeport.targets.cloudrun.inventory import Inventory, ListedKind, Thing, Unread, take_inventory
from homeport.targets.cloudrun.names import Names

SCHEDULER = "cloudscheduler"
PERMISSIONS = ("iam.serviceAccounts.actAs", "run.services.update")
"""Cloud Run asks for both whenever a service is changed, though no new revision comes of it."""
WORD = "homeport-role=warm"
"""In the description of the account, by which it is told from the endpoint's others."""
JOBS = ListedKind(
    kind="scheduled job",
    plural="scheduled jobs",
    api=SCHEDULER,
    path="v1/projects/{project}/locations/{region}/jobs",
    items="jobs",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmSchedule:
    """The account, its role, its grants and the jobs."""

    google: Google
    names: Names
    hours: WarmHours | None
    """None where the file has none."""

    def resources(self) -> list[Resource]:
        """Return everything that is wanted; nothing without hours."""
        if self.hours is None:
            return []
        grants = list(self._grants())
        after = (self._account.id, *(grant.id for grant in grants))
        return [self._account, self._role, *grants, *(self._job(edge, after) for edge in self.hours.edges)]

    async def unwanted(self) -> list[Resource]:
        """Return what another state of the file has made: jobs of other hours; all of it where there are no hours."""
        if not await self.exists():
            return []
        wanted_ids = {resource.id for resource in self.resources()}
        jobs = [job for job in await self._live_jobs() if job.id not in wanted_ids]
        if self.hours is not None:
            return list(jobs)
        account = self._account
        role = replace(self._role, after=(account.id,))
        grants = [replace(grant, needs=(account.id, role.id)) for grant in self._grants()]
        after = (account.id, role.id, *(grant.id for grant in grants))
        return [account, role, *grants, *(replace(job, after=after) for job in jobs)]

    async def exists(self) -> bool:
        """Return True if its account is there, which is made before all of it, and goes after it."""
        live = await self._account.read()
        return live is not None and self._account.is_managed(live)

    def warnings(self, moment: datetime | None) -> list[str]:
        """Return what a plan should say of hours that begin or end while clocks are changed."""
        at = self.hours.doubtful(moment) if self.hours is not None and moment is not None else None
        if at is None:
            return []
        when = f"{at:%a %d %B %Y %H:%M} {at.tzinfo}"
        warning = f"warm hours: {when} is skipped or comes twice, since clocks change"
        return [f"{warning}: what Cloud Scheduler does then was not checked; another time of the day is safe"]

    @property
    def _account(self) -> RestResource:
        names = self.names
        warmer = account(
            self.google, names.name, names.warmer, f"homeport {names.name}: keeps an instance warm"
        )
        described_so = {**warmer.wanted, "description": f"{LABEL}={names.name} {WORD}"}
        return replace(warmer, wanted=described_so, after=("apis",))

    @property
    def _role(self) -> RestResource:
        names = self.names
        title = f"homeport {names.name}: warm hours"
        role = custom_role(self.google, names.name, names.warm_role, title, PERMISSIONS)
        return replace(role, after=("apis",))

    def _grants(self) -> Iterator[Grant]:
        names = self.names
        runner = names.email(names.runner)
        on = {
            f"service/{names.name}": IamResource(api="run", path=f"v2/{names.service}"),
            f"service-account/{names.runner}": IamResource(
                api="iam", path=f"v1/projects/{names.project}/serviceAccounts/{runner}"
            ),
        }
        for known_as, thing in on.items():
            yield Grant(
                google=self.google,
                role=f"projects/{names.project}/roles/{names.warm_role}",
                member=f"serviceAccount:{names.email(names.warmer)}",
                on=thing,
                known_as=known_as,
                needs=(known_as, self._account.id, self._role.id),
            )

    def _job(self, edge: WarmEdge, after: tuple[str, ...]) -> RestResource:
        assert self.hours is not None
        names, count = self.names, int(edge.warm)
        job_id = f"{names.name}-{'warm' if edge.warm else 'cool'}-{edge.time:%H%M}"
        job = scheduled_job(self.google, names.name, job_id, names.region)
        email = Ref(self._account.id, "email")
        call = {
            **least_instances_call(names.service, count, ""),
            "oauthToken": {"serviceAccountEmail": email},
        }
        body = {
            "name": job.address.path.partition("/")[2],
            "description": described(names.name, count),
            "schedule": edge.cron,
            "timeZone": self.hours.zone,
            "httpTarget": call,
            # A call that fails, such as while another change is under way, is made again for about ten minutes.
            "retryConfig": {
                "retryCount": 5,
                "minBackoffDuration": "20s",
                "maxBackoffDuration": "300s",
                "maxDoublings": 5,
            },
            "attemptDeadline": "60s",
        }
        return replace(job, wanted=body, after=after)

    async def _live_jobs(self) -> list[RestResource]:
        names = self.names
        path = JOBS.path.format(project=names.project, region=names.region)
        try:
            ids = [
                str(body["name"]).rpartition("/")[2]
                async for body in self.google.pages(SCHEDULER, path, JOBS.items)
                if scheduled_job(self.google, names.name, "", names.region).is_managed(body)
            ]
        except ApiDisabled:
            return []
        return [scheduled_job(self.google, names.name, job_id, names.region) for job_id in ids]


async def find_schedule(
    google: Google, name: str, inventory: Inventory
) -> tuple[Mapping[str, RestResource], tuple[Unread, ...]]:
    """
    Return, by id, the role and the jobs of an endpoint whose account carries its mark, and what could not be read.

    Nothing is asked of Cloud Scheduler where there is no such account: the account is made before them, and goes after them.
    """
    accounts = [
        thing for thing in inventory.of(name) if WORD in str(thing.body.get("description", "")).split()
    ]
    if not accounts:
        return {}, ()
    names = Names(name=name, project=google.project, region="")
    ids = tuple(f"service-account/{account.name}" for account in accounts)
    role = replace(custom_role(google, name, names.warm_role, "", ()), wanted={}, after=ids)
    regions = {thing.region for thing in inventory.of(name)}
    try:
        jobs = await take_inventory(google, regions=regions, kinds=(JOBS,))
    except NoCredentials:
        raise
    except HomeportError as error:
        return {}, (Unread(kind=JOBS.kind, region="", what=JOBS.plural, error=error),)
    schedule: dict[str, RestResource] = {role.id: role}
    for thing in jobs.of(name):
        job = _found_job(google, name, thing, (*ids, role.id, f"service/{name}"))
        schedule[job.id] = job
    return schedule, jobs.unread


def _found_job(google: Google, name: str, thing: Thing, after: tuple[str, ...]) -> RestResource:
    job = scheduled_job(google, name, thing.name, thing.region)
    return replace(job, id=f"{job.id} in {thing.region}", wanted={}, after=after)


__all__ = ["JOBS", "PERMISSIONS", "SCHEDULER", "WORD", "WarmSchedule", "find_schedule"]
