"""Warm hours on Cloud Run: the schedule is made, really changes the service, is no drift, is priced, and goes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloud import Raw, act, things
from deployers import Deployer
from deployment import google_for
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.faults import Fault
from homeport import spec
from homeport.errors import Incomplete
from homeport.export import export
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import ActionKind, Plan, make_plan
from homeport.reconcile.fact import labelled
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.teardown import take_down
from homeport.targets.cloudrun.unwanted import unwanted_of
from homeport.targets.cloudrun.warm_schedule import PERMISSIONS

WINDOW = "Mon-Fri 08:00-18:00 Europe/Berlin"
SATURDAY = datetime(2026, 11, 28, 11, 0, tzinfo=UTC)
MONDAY_AT_8 = datetime(2026, 11, 30, 7, 0, tzinfo=UTC)
"""By the clock in Berlin."""
WARMER = "home-warm@rehearsal.iam.gserviceaccount.com"


class AtTimes(Deployer):
    """Deploys with warm hours, to a cloud whose clock and ours agree."""

    def __init__(self, engine: str = "ollama") -> None:
        super().__init__(engine)
        self.cloud = Cloud(delays=AT_ONCE, clock=Clock(start=SATURDAY.timestamp()))

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.cloud.clock.now(), UTC)

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        return replace(super().target(google, chosen, wanted, canary=canary), moment=self.now)

    def warm(self, *windows: str, **scaling: Any) -> spec.Spec:  # Any: values of homeport.toml
        return spec.parse({**self.wanted().model_dump(), "scaling": {"warm": list(windows), **scaling}})

    @property
    def least(self) -> int:
        return int(self.service.get("scaling", {}).get("minInstanceCount") or 0)

    def wait_until(self, moment: datetime) -> None:
        async def work() -> None:
            clock = self.cloud.clock
            clock.jump(moment.timestamp() - clock.now())
            clock.settle()
            # A change of a service is an operation: it ends a little later.
            clock.jump(60)
            clock.settle()

        act(work())

    def pending(self, wanted: spec.Spec) -> list[str]:
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))

        async def work() -> Plan:
            target = self.target(google_for(self.cloud), chosen, wanted)
            return await make_plan("home", "cloudrun", target.resources(), await unwanted_of(target))

        return [f"{one.kind.value} {one.resource.id}" for one in act(work()).pending]

    @property
    def jobs(self) -> dict[str, str]:
        return {one.id: one.body["schedule"] for one in things(self.cloud) if one.api == "cloudscheduler"}


def test_at_the_edges_of_its_hours_an_instance_is_kept_and_let_go_and_neither_is_drift() -> None:
    deployer = AtTimes()
    wanted = deployer.warm(WINDOW)
    _, after = deployer.up(wanted)
    assert after.pending == ()
    assert deployer.least == 0, "it is Saturday"
    assert deployer.jobs == {"home-warm-0800": "0 8 * * 1,2,3,4,5", "home-cool-1800": "0 18 * * 1,2,3,4,5"}
    revision = deployer.service["latestCreatedRevision"]

    deployer.wait_until(MONDAY_AT_8)
    assert deployer.least == 1
    assert deployer.pending(wanted) == [], "what the hours want now is no drift"
    assert deployer.service["latestCreatedRevision"] == revision, "no revision came of it"
    called = [one for one in deployer.cloud.log if one.caller == WARMER]
    assert [(one.method, one.status) for one in called] == [("run.projects.locations.services.patch", 200)]

    deployer.wait_until(MONDAY_AT_8 + timedelta(hours=10))
    assert deployer.least == 0
    assert deployer.pending(wanted) == []


def test_another_value_than_the_hours_want_now_is_drift_and_up_sets_it_right() -> None:
    deployer = AtTimes()
    wanted = deployer.warm(WINDOW)
    deployer.up(wanted)

    async def meddle() -> None:
        google = google_for(deployer.cloud)
        path = "v2/" + str(deployer.service["name"])
        begun = await google.patch(
            "run", path, {"scaling": {"minInstanceCount": 1}}, updateMask="scaling.minInstanceCount"
        )
        await google.finish("run", begun, key="meddle", deadline=60)

    act(meddle())
    assert "update service/home" in deployer.pending(wanted)
    deployer.up(wanted)
    assert deployer.least == 0
    assert len(set(deployer.proven)) == 1, "no new revision came of it"


def test_other_hours_have_other_jobs_and_none_has_nothing() -> None:
    deployer = AtTimes()
    deployer.deployed(deployer.warm(WINDOW))
    _, after = deployer.up(deployer.warm("Sat-Sun 09:00-18:00 Europe/Berlin"))
    assert after.pending == ()
    assert deployer.jobs == {"home-warm-0900": "0 9 * * 0,6", "home-cool-1800": "0 18 * * 0,6"}
    assert deployer.least == 1, "it is Saturday noon in Berlin"
    plan, after = deployer.up(deployer.wanted())
    assert after.pending == ()
    first = [one.resource.id for one in plan.pending if one.kind is ActionKind.DELETE][:2]
    assert all(one.startswith("scheduled-job/") for one in first), "jobs go before what they would set again"
    assert deployer.jobs == {}
    assert deployer.least == 0
    assert not [one for one in things(deployer.cloud) if "warm" in one.name and not one.body.get("deleted")]


def test_the_account_may_change_this_service_and_no_other_and_holds_nothing_else() -> None:
    deployer = AtTimes()
    deployer.deployed(deployer.warm(WINDOW))
    held = {(api, name) for api, name, _, member in deployer.cloud.access.grants() if WARMER in member}
    run_as = "projects/rehearsal/serviceAccounts/home-run@rehearsal.iam.gserviceaccount.com"
    assert held == {("run", deployer.service["name"]), ("iam", run_as)}
    role = deployer.cloud.store.get("iam", "projects/rehearsal/roles/homeport.home.warm")
    assert role is not None
    assert tuple(role.body["includedPermissions"]) == PERMISSIONS

    async def lists() -> int:
        place = str(deployer.service["name"]).rpartition("/")[0]
        return (await Raw(deployer.cloud, WARMER).send("GET", f"run.googleapis.com/v2/{place}")).status

    assert act(lists()) == 403


@pytest.mark.parametrize("lacking", PERMISSIONS)
def test_each_permission_of_the_role_is_needed_by_the_call(lacking: str) -> None:
    deployer = AtTimes()
    deployer.deployed(deployer.warm(WINDOW))
    role = deployer.cloud.store.get("iam", "projects/rehearsal/roles/homeport.home.warm")
    assert role is not None
    role.body["includedPermissions"] = [one for one in PERMISSIONS if one != lacking]
    deployer.wait_until(MONDAY_AT_8)
    assert deployer.least == 0
    job = next(one for one in things(deployer.cloud) if one.id == "home-warm-0800")
    assert job.body["status"] == {"code": 7}


def take(deployer: AtTimes) -> tuple[str, ...]:
    async def work() -> tuple[str, ...]:
        google = google_for(deployer.cloud)
        return await take_down(google, "home", purge=True, approve=None, progress=Silent())

    return act(work())


def test_down_takes_the_schedule_away_and_the_next_up_brings_its_role_back() -> None:
    deployer = AtTimes()
    wanted = deployer.warm(WINDOW)
    deployer.deployed(wanted)
    gone = take(deployer)
    assert any("home-warm-0800" in one for one in gone)
    left = [one.name for one in things(deployer.cloud) if "home" in one.name and not one.body.get("deleted")]
    assert left == []
    _, after = deployer.up(wanted)
    assert after.pending == (), "Google keeps a deleted role for a week, and gives it back"
    assert len(deployer.jobs) == 2


def test_where_jobs_cannot_be_listed_the_account_by_which_they_are_found_stays() -> None:
    deployer = AtTimes()
    deployer.deployed(deployer.warm(WINDOW))
    deployer.cloud.faults.append(
        Fault(method="cloudscheduler.projects.locations.jobs.list", status=403, times=1000)
    )
    with pytest.raises(Incomplete):
        take(deployer)
    assert deployer.cloud.store.get("iam", f"projects/rehearsal/serviceAccounts/{WARMER}") is not None
    deployer.cloud.faults.clear()
    take(deployer)
    assert not [one for one in things(deployer.cloud) if "home" in one.name and not one.body.get("deleted")]


def test_a_plan_tells_the_hours_and_their_price() -> None:
    deployer = AtTimes()
    wanted = deployer.warm(WINDOW)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))

    async def work() -> Plan:
        return (await plan_of(deployer.target(google_for(deployer.cloud), chosen, wanted)))[0]

    told = dict(labelled(act(work()).facts))["warm hours"]
    assert told.startswith(f"{WINDOW}: one instance for 50 h a week, $")
    assert told.endswith("; now is none of them")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("terraform", 'resource "google_cloud_scheduler_job" "warm_0800"'),
        ("terraform", "scaling[0].min_instance_count"),
        ("gcloud", "gcloud scheduler jobs create http home-warm-0800"),
        ("gcloud", "gcloud iam roles undelete homeport.home.warm"),
    ],
)
def test_exports_say_the_schedule(kind: str, expected: str) -> None:
    deployer = AtTimes()
    wanted = deployer.warm(WINDOW)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    target = replace(deployer.target(google_for(deployer.cloud), chosen, wanted), moment=None)
    text = "\n".join(dict(export(kind, target.resources())).values())
    assert expected in text
