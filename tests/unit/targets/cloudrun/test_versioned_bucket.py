"""`down --purge` takes a bucket away with its earlier generations, where somebody has switched versioning on."""

from __future__ import annotations

from cloud import Raw, act
from deployment import google_for
from gcp_rehearsal.apis.storage.objects import put_object
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport.progress import Silent
from homeport.reconcile import apply, destroy, make_plan
from homeport.resources.google.bucket import bucket


def test_earlier_generations_go_with_the_bucket() -> None:
    cloud = Cloud(delays=AT_ONCE)

    async def work() -> tuple[str, ...]:
        async with google_for(cloud) as google:
            things = [bucket(google, "home", "home-weights", "us-central1")]
            await apply(await make_plan("home", "cloudrun", things), Silent())
            versioned = {"versioning": {"enabled": True}}
            await Raw(cloud).send("PATCH", "storage.googleapis.com/storage/v1/b/home-weights", versioned)
            for content in (b"one", b"two"):
                put_object(cloud, "home-weights", "a/model", content)
            put_object(cloud, "home-weights", "gone", b"x")
            await google.delete("storage", "storage/v1/b/home-weights/o/gone")
            ended = await destroy(things, Silent())
            assert ended.left == ()
            return ended.gone

    assert act(work()) == ("bucket home-weights with 2 objects",)
    assert cloud.store.get("storage", "b/home-weights") is None
