"""A wait says what it is for and how long it lasts at most; to delete a thing nobody waits for it."""

from __future__ import annotations

from cloud import Raw, act, enable
from deployment import google_for
from gcp_rehearsal.cloud import Cloud, Delays
from homeport.progress import Silent
from homeport.reconcile import destroy
from homeport.reconcile.teardown import teardown
from homeport.resources.google.service import ServiceIdentity, service

REGION = "europe-west4"
PLACE = f"run.googleapis.com/v2/projects/rehearsal/locations/{REGION}/services?serviceId=home"
BODY = {"labels": {"homeport": "home"}, "template": {"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}]}}  # fmt: skip
GET, DELETE = (f"run.projects.locations.services.{verb}" for verb in ("get", "delete"))


def coming_up() -> Cloud:
    """A service that is being made, for two minutes."""
    cloud = Cloud(delays=Delays(grants=0, accounts=0, apis=0, operations=120))
    enable(cloud, "run")

    async def work() -> None:
        assert (await Raw(cloud).send("POST", PLACE, BODY)).status == 200

    act(work())
    return cloud


def test_who_waits_for_a_service_to_settle_is_told_once_and_for_how_long() -> None:
    cloud = coming_up()
    notes: list[str] = []

    async def work() -> bool:
        async with google_for(cloud) as google:
            live = await service(
                google.telling(notes.append), ServiceIdentity(endpoint="home", region=REGION), {}
            ).read()
            return bool(live and live.get("reconciling"))

    assert act(work()) is False
    assert notes == ["waiting for service/home to settle: a change of it is under way, 40 min at most"]


def test_a_service_that_is_coming_up_is_deleted_at_once() -> None:
    cloud = coming_up()

    async def work() -> tuple[str, ...]:
        async with google_for(cloud) as google:
            thing = service(google, ServiceIdentity(endpoint="home", region=REGION), {})
            assert (await teardown("home", "cloudrun", [thing])).things == (("service/home", ""),)
            return (await destroy([thing], Silent())).gone

    assert act(work()) == ("service home",)
    methods = [one.method for one in cloud.log]
    assert methods[: methods.index(DELETE)].count(GET) == 2, "one look by each, and no waiting"
