"""Cloud Quotas in the rehearsal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.apis.run import quota as run_quota
from gcp_rehearsal.apis.run.status import Wrong
from gcp_rehearsal.cloud import AT_ONCE, Cloud, Delays, Project
from gcp_rehearsal.facts import limits as quota_limits
from homeport.catalog import cloudrun

PLACE = "cloudquotas.googleapis.com/v1/projects/rehearsal/locations/global"
INFOS = f"{PLACE}/services/run.googleapis.com/quotaInfos"
PREFERENCES = f"{PLACE}/quotaPreferences"
CPU, MEMORY = "CpuAllocPerProjectRegion", "MemAllocPerProjectRegion"
L4 = "NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion"
RTX = "NvidiaRtxPro6000GpuAllocNoZonalRedundancyPerProjectRegion"
EMAIL = "you@example.com"


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=Delays(grants=0))
    enable(cloud, "cloudquotas", "run")
    return cloud


def wish(quota: str, value: int, **more: Any) -> dict[str, Any]:  # Any: JSON
    return {
        "service": "run.googleapis.com",
        "quotaId": quota,
        "dimensions": {"region": "us-central1"},
        "quotaConfig": {"preferredValue": value},
        "contactEmail": EMAIL,
        **more,
    }


async def ask(raw: Raw, quota: str, value: int, name: str = "more", **more: Any) -> Answer:  # Any: JSON
    return await raw.send("POST", f"{PREFERENCES}?quotaPreferenceId={name}", wish(quota, value, **more))


async def value_of(raw: Raw, quota: str, region: str) -> int:
    infos = (await raw.send("GET", f"{INFOS}/{quota}")).body["dimensionsInfos"]
    found = next(one for one in infos if region in one["applicableLocations"])
    return int(found["details"].get("value", 0))


def test_what_is_told_is_what_is_enforced(cloud: Cloud) -> None:
    cloud.quotas[f"{RTX}@us-central1"] = 1000

    async def work() -> None:
        raw = Raw(cloud)
        for quota in quota_limits.QUOTAS:
            for region in quota.regions or ("us-central1", "europe-west9"):
                assert await value_of(raw, quota.id, region) == quota_limits.limit(
                    cloud.quotas, quota.id, region
                )

    act(work())
    gpu = {"nodeSelector": {"accelerator": "nvidia-rtx-pro-6000"}, "gpuZonalRedundancyDisabled": True}
    wrong = Wrong()
    run_quota.check(cloud, "us-central1", {**gpu, "scaling": {"maxInstanceCount": 3}}, wrong)
    assert f"{RTX} requested: 3000 allowed: 1000" in wrong.found[0][1]


def test_a_quota_is_told_as_google_tells_it(cloud: Cloud) -> None:
    info = act(Raw(cloud).send("GET", f"{INFOS}/{L4}")).body
    first = info["dimensionsInfos"][0]
    assert info["name"] == (
        f"projects/481516234200/locations/global/services/run.googleapis.com/quotaInfos/{L4}"
    )
    assert info["metric"] == "run.googleapis.com/nvidia_l4_gpu_allocation_no_zonal_redundancy"
    assert (info["service"], info["containerType"], info["dimensions"]) == (
        "run.googleapis.com",
        "PROJECT",
        ["region"],
    )
    assert first == {
        "dimensions": {"region": "asia-south1"}, "details": {"value": "3"}, "applicableLocations": ["asia-south1"],
    }  # fmt: skip


def test_a_limit_of_nothing_has_no_value(cloud: Cloud) -> None:
    info = act(Raw(cloud).send("GET", f"{INFOS}/NvidiaL4GpuAllocPerProjectRegion")).body
    assert info["dimensionsInfos"][0]["details"] == {}


def test_every_quota_of_the_catalogue_is_listed(cloud: Cloud) -> None:
    listed = act(Raw(cloud).send("GET", INFOS)).body["quotaInfos"]
    ids = {one["quotaId"] for one in listed}
    assert ids == {CPU, MEMORY, *(name for gpu in cloudrun.gpus() for name in gpu.quota.values())}


def test_a_small_raise_is_granted_after_a_while(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        made = (await ask(raw, CPU, 60_000, justification="more homes")).body
        assert made["name"] == "projects/rehearsal/locations/global/quotaPreferences/more"
        assert (made["reconciling"], made["quotaConfig"]["grantedValue"]) == (True, "20000")
        assert (made["justification"], "contactEmail" in made) == ("more homes", False)
        assert await value_of(raw, CPU, "us-central1") == 20_000
        await asyncio.sleep(60)
        done = (await raw.send("GET", f"{PREFERENCES}/more")).body
        assert "reconciling" not in done
        assert done["quotaConfig"]["grantedValue"] == "60000"
        assert await value_of(raw, CPU, "us-central1") == 60_000
        assert await value_of(raw, CPU, "us-east4") == 20_000

    act(work())


@pytest.mark.parametrize(
    ("quota", "value", "kept"), [(L4, 4, "3"), (RTX, 8000, "3000"), (CPU, 10**6, "20000")]
)
def test_a_gpu_more_or_a_large_raise_is_not_granted_by_itself(
    cloud: Cloud, quota: str, value: int, kept: str
) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await ask(raw, quota, value)
        await asyncio.sleep(60)
        done = (await raw.send("GET", f"{PREFERENCES}/more")).body
        assert "reconciling" not in done
        assert done["quotaConfig"]["grantedValue"] == kept
        assert done["quotaConfig"]["stateDetail"] == (
            f"We cannot grant the preferred quota '{value}' for limit '{quota}' in service 'run.googleapis.com' at "
            f"this moment. '{kept}' was granted."
        )
        assert await value_of(raw, quota, "us-central1") == int(kept)

    act(work())


def test_a_newer_wish_takes_the_place_of_an_older(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        made = (await ask(raw, CPU, 30_000)).body
        stale = {"quotaConfig": {"preferredValue": 1}, "etag": '"old"'}
        conflict = await raw.send("PATCH", f"{PREFERENCES}/more", stale)
        assert (conflict.status, conflict.body["error"]["status"]) == (409, "ABORTED")
        change = {"quotaConfig": {"preferredValue": 40_000}, "contactEmail": EMAIL, "etag": made["etag"]}
        assert (await raw.send("PATCH", f"{PREFERENCES}/more", change)).status == 200
        await asyncio.sleep(60)
        assert await value_of(raw, CPU, "us-central1") == 40_000
        fixed = await raw.send("PATCH", f"{PREFERENCES}/more", {"quotaId": MEMORY})
        assert fixed.status == 400

    act(work())


def test_a_preference_may_be_made_by_a_patch_or_only_checked(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        body = wish(CPU, 30_000)
        assert (await raw.send("PATCH", f"{PREFERENCES}/more", body)).status == 404
        checked = await raw.send("PATCH", f"{PREFERENCES}/more?allowMissing=true&validateOnly=true", body)
        assert checked.status == 200
        assert (await raw.send("GET", PREFERENCES)).body == {}
        await raw.send("PATCH", f"{PREFERENCES}/more?allowMissing=true", body)
        found = (
            await raw.send("GET", f"{PREFERENCES}?filter=quota_id%3D{CPU}%20AND%20reconciling:true")
        ).body
        assert [one["quotaId"] for one in found["quotaPreferences"]] == [CPU]
        again = await ask(raw, CPU, 40_000, "another")
        assert (again.status, again.body["error"]["status"]) == (409, "ALREADY_EXISTS")

    act(work())


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (wish(CPU, 30_000, contactEmail=""), 400, "contact_email is required"),
        (wish(CPU, 30_000, quotaConfig={}), 400, "preferred_value is required"),
        (wish(CPU, 30_000, dimensions={"zone": "a"}), 400, "no other dimension than region"),
        (wish(CPU, 30_000, dimensions={"region": "mars"}), 400, "Region 'mars' is not known"),
        (wish("Nothing", 1), 404, "was not found"),
        (wish(CPU, 1, service=""), 400, "service is required"),
        (wish("CPUS", 1, service="compute.googleapis.com"), 501, "compute.googleapis.com"),
    ],
)
def test_a_wrong_wish_is_refused(cloud: Cloud, body: dict[str, Any], status: int, said: str) -> None:
    answer = act(Raw(cloud).send("POST", f"{PREFERENCES}?quotaPreferenceId=more", body))
    assert (answer.status, said in answer.error) == (status, True)


def test_a_fall_by_more_than_a_tenth_wants_a_word(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        refused = await ask(raw, CPU, 8_000)
        assert (refused.status, refused.body["error"]["status"]) == (400, "FAILED_PRECONDITION")
        url = f"{PREFERENCES}?quotaPreferenceId=more&ignoreSafetyChecks=QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"
        assert (await raw.send("POST", url, wish(CPU, 8_000, contactEmail=""))).status == 200
        await asyncio.sleep(60)
        assert await value_of(raw, CPU, "us-central1") == 8_000

    act(work())


def test_a_fall_below_what_is_used_wants_a_word(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        place = "run.googleapis.com/v2/projects/rehearsal/locations/us-central1/services?serviceId=home"
        image = {"image": "docker.io/library/hello", "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}
        scaling = {"minInstanceCount": 10, "maxInstanceCount": 10}
        made = await raw.send("POST", place, {"template": {"containers": [image], "scaling": scaling}})
        assert made.status == 200
        await asyncio.sleep(60)
        assert run_quota.used(cloud, CPU, "rehearsal", "us-central1") == 20_000
        refused = await ask(raw, CPU, 19_000)
        assert (refused.status, "below its usage, 20000" in refused.error) == (400, True)
        assert (await ask(raw, CPU, 19_000, dimensions={"region": "us-east4"})).status == 200

    act(work())


def test_without_a_billing_account_nothing_is_granted() -> None:
    cloud = Cloud(delays=AT_ONCE, projects=(Project(billing=False),))
    enable(cloud, "cloudquotas")

    async def work() -> None:
        raw = Raw(cloud)
        info = (await raw.send("GET", f"{INFOS}/{CPU}")).body
        assert info["quotaIncreaseEligibility"] == {"ineligibilityReason": "NO_VALID_BILLING_ACCOUNT"}
        assert (await ask(raw, CPU, 30_000)).body["quotaConfig"]["grantedValue"] == "20000"

    act(work())


def test_only_projects_at_the_global_location_are_acted_out(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        folder = INFOS.replace("projects/rehearsal", "folders/1")
        assert (await raw.send("GET", folder)).status == 501
        assert (await raw.send("GET", INFOS.replace("global", "us-central1"))).status == 400

    act(work())
