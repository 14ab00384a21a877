"""What serves is held to what the file says of it: in a rehearsal without processes, through the door of users."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import on_cloudrun
from cloud import act
from deployment import google_for
from gcp_rehearsal.apis.storage.objects import put_object
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.faults import parse
from gcp_rehearsal.state import StoredResource
from homeport import deployment, google, spec
from homeport.deployment import Deployment
from homeport.endpoint import Endpoint
from homeport.errors import SpecError, StateError, Unsupported
from homeport.google import Google
from homeport.home import Home
from homeport.progress import Silent
from homeport.reconcile import apply, make_plan
from homeport.resources.google.traffic import Body, Receipt, latest, shares, targets
from homeport.targets.base import OpenOptions, VerifyOptions
from homeport.targets.cloudrun.lifecycle import CloudRunLifecycle
from homeport.targets.cloudrun.verification.expected import promise_of
from homeport.targets.cloudrun.verification.revision import Verifier, endpoint_of
from homeport.verify import Outcome, Report, Result
from homeport.weights.transfer import MANIFEST
from places import TAUGHT_FOLDER
from vllm_adapters import tensors_of
from ways import Carrying, Wanted, wanted

SERVICE = "projects/rehearsal/locations/europe-west4/services/home"


class User:
    """A file, and what its user does with it. New revisions are taken to be proven."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cloud = Cloud(delays=AT_ONCE)
        self.model = self.copied("first")

    def copied(self, name: str) -> str:
        """A model of its own."""
        shutil.copytree(TAUGHT_FOLDER, self.folder / name)
        return f"file:{self.folder / name}"

    def adapter(self) -> dict[str, str]:
        folder = self.folder / "tone"
        folder.mkdir()
        (folder / "adapter_config.json").write_text(
            '{"peft_type": "LORA", "r": 4, "lora_alpha": 4, "target_modules": ["o_proj"]}'
        )
        (folder / "adapter_model.safetensors").write_bytes(tensors_of(4))
        return {"name": "tone", "source": f"file:{folder}"}

    def lifecycle(
        self, google: Google, cloudrun: Any = None, **engine: Any
    ) -> CloudRunLifecycle:  # Any: values of homeport.toml
        wish = spec.parse(
            {
                "name": "home",
                "model": self.model,
                "engine": {"kind": "vllm", "context": 1024, **engine},
                "cloudrun": cloudrun or {},
                "access": {"callers": ["user:friend@example.com"]},
            }
        )
        return on_cloudrun.lifecycle(google, wish, self.folder / "homeport.toml")

    def deployment(self, google: Google, cloudrun: Any = None, **engine: Any) -> Deployment:  # Any: as above
        return Deployment(target=self.lifecycle(google, cloudrun, **engine))

    def up(self, **engine: Any) -> str:  # Any: values of homeport.toml
        """The revision that serves then."""

        async def work() -> None:
            async with google_for(self.cloud) as google:
                target = await self.lifecycle(google, **engine).graph(Silent())
                target = replace(target, prove=self.prove)
                await apply(await make_plan("home", "cloudrun", target.resources()), Silent())

        act(work())
        (serving,) = shares(self.service)
        return serving

    async def prove(self, service: Body, revision: str, url: str) -> Receipt:
        return Receipt(at=f"2026-11-25 {revision}", passed=True, counts={"passed": 20})

    def connected(self) -> Endpoint:
        async def work() -> Endpoint:
            async with google_for(self.cloud) as google:
                return await self.deployment(google).connect()

        return act(work())

    def back(self) -> str:
        async def work() -> str:
            async with google_for(self.cloud) as google:
                return (await self.deployment(google).rollback()).serving

        return act(work())

    def verified(
        self, check: str = "weights", cloudrun: Any = None, **engine: Any
    ) -> Result:  # Any: values of homeport.toml
        async def work() -> Result:
            async with google_for(self.cloud) as google:
                only = VerifyOptions(only=(check,))
                (result,) = (await self.deployment(google, cloudrun, **engine).verify(only)).results
                return result

        return act(work())

    def objects(self, end: str) -> list[StoredResource]:
        """The objects whose names end so."""
        kept = self.cloud.store.of("storage", "storage.objects")
        return [one for one in kept if one.body["name"].endswith(end)]

    @property
    def service(self) -> Any:  # Any: JSON
        kept = self.cloud.store.get("run", SERVICE)
        assert kept is not None
        return kept.body


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


def without_manifest(user: User) -> None:
    for kept in user.objects(f"/{MANIFEST}"):
        if kept.body["name"].startswith("models/"):
            user.cloud.store.remove(kept)


def with_another_object(user: User) -> None:
    (kept,) = user.objects("/model.safetensors")
    put_object(user.cloud, kept.body["bucket"], kept.body["name"], b"other weights")


def with_another_adapter(user: User) -> None:
    (kept,) = user.objects("/adapter_model.safetensors")
    put_object(user.cloud, kept.body["bucket"], kept.body["name"], b"another adapter")


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        (without_manifest, "/models/own/first/"),
        (with_another_object, "/models/own/first/"),
        (with_another_adapter, "/adapters/own/tone/"),
    ],
)
def test_weights_that_are_not_whole_in_the_bucket_fail_the_check_that_they_passed(
    user: User, damage: Callable[[User], None], where: str
) -> None:
    lora = [user.adapter()]
    user.up(lora=lora)
    before = user.verified(lora=lora)
    assert (before.outcome, before.evidence["planned"]) == (Outcome.PASSED, before.evidence["bucket"])
    damage(user)
    found = user.verified(lora=lora)
    assert found.outcome is Outcome.FAILED
    assert found.detail.startswith(f"not whole: gs://rehearsal-home-weights{where}")
    assert found.evidence["planned"] == before.evidence["planned"], "the file's own weights tell it"
    user.up(lora=lora)
    assert user.verified(lora=lora).outcome is Outcome.PASSED, "as the message says"


def test_after_a_rollback_it_is_said_what_serves_and_that_the_file_says_another(user: User) -> None:
    first, old = user.up(), user.model
    user.model = user.copied("second")
    assert user.up() != first
    assert user.back() == first
    with pytest.raises(StateError) as caught:
        user.verified()
    assert str(caught.value) == f"what serves is {first} with the model first, and the file says second"
    assert "`homeport up --on cloudrun`" in caught.value.hint
    user.model = old
    assert user.verified().outcome is Outcome.PASSED, "as the hint says"


def test_other_weights_under_the_same_name_are_told_by_their_digest(user: User) -> None:
    first = user.up()
    (user.folder / "first" / "generation_config.json").write_text("{}")
    with pytest.raises(
        StateError, match=f"what serves is {first} with the weights [0-9a-f]{{64}}, and the file"
    ):
        user.verified()
    second = user.up()
    assert (second != first, user.verified().outcome) == (True, Outcome.PASSED)


def test_a_file_with_another_image_is_not_what_serves(user: User) -> None:
    first = user.up()
    with pytest.raises(
        StateError, match=f"what serves is {first} with the image sha256:.*, and the file says sha256:"
    ):
        user.verified(cloudrun={"image": f"vllm/vllm-openai@sha256:{'0' * 64}"})


def test_what_is_verified_is_the_revision_with_the_most_traffic(user: User) -> None:
    first = user.up()
    second = user.up(parallel=2)

    async def split() -> None:
        async with google_for(user.cloud) as google:
            service = {
                **await google.get("run", f"v2/{SERVICE}"),
                "traffic": targets({first: 30, second: 70}),
            }
            await google.finish("run", await google.patch("run", f"v2/{SERVICE}", service))

    act(split())
    assert list(shares(user.service)) == [first, second]
    assert user.verified("size", parallel=2).outcome is Outcome.PASSED
    assert user.verified("size").outcome is Outcome.FAILED


def test_a_bucket_that_may_not_be_read_is_said_to_be_unread(user: User) -> None:
    user.up()
    user.cloud.faults.append(parse("storage.objects.list:403:times=9"))
    found = user.verified()
    assert found.outcome is Outcome.SKIPPED
    assert found.detail.startswith("the revision names them; the bucket was not read: ")


def test_weights_in_the_image_are_no_question_of_the_bucket(tmp_path: Path) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    assert _checked(cloud, wanted("ollama", tmp_path)).detail.startswith("the weights come with the image")


def test_weights_whose_digest_no_hub_tells_are_not_taken_to_be_in_the_image(tmp_path: Path) -> None:
    cloud, wish = Cloud(delays=AT_ONCE, steps=Carrying()), wanted("vllm", tmp_path)
    assert _checked(cloud, wish).outcome is Outcome.PASSED
    for kept in list(cloud.store.of("storage", "storage.objects")):
        cloud.store.remove(kept)
    found = _checked(cloud, wish, up=False)
    assert (found.outcome, found.evidence["planned"]) == (Outcome.FAILED, "")
    assert found.detail.startswith("not whole: gs://")


def _checked(cloud: Cloud, wish: Wanted, *, up: bool = True) -> Result:
    """What the check of the weights finds of the revision that serves."""

    async def prove(service: Body, revision: str, url: str) -> Receipt:
        return Receipt(at="2026-11-25", passed=True, counts={"passed": 20})

    async def work() -> Result:
        async with google_for(cloud) as google:
            target = wish.target(google, prove)
            if up:
                await apply(await make_plan("home", "cloudrun", target.resources()), Silent())
            service = await google.get("run", f"v2/{SERVICE}")
            promise = await promise_of(target, endpoint_of(google, service, "small"))
            verifier = Verifier(
                google=google,
                stranger=target.names.email(target.names.builder),
                network="",
                only=("weights",),
            )
            (result,) = (await verifier.report(promise, service, latest(service))).results
            return result

    return act(work())


def test_a_copy_with_another_address_is_not_proven_by_what_is_deployed(tmp_path: Path) -> None:
    user = User(tmp_path)
    user.up()
    endpoint = user.connected()
    for copy, field in (
        (replace(endpoint, base_url="http://127.0.0.1:1/v1"), "base_url"),
        (replace(endpoint, identity=None), "identity"),
        (replace(endpoint, model="other"), "model"),
    ):
        with pytest.raises(Unsupported, match=f"is not quite that: it differs in {field}$"):
            copy.verify()


@pytest.fixture
def at_home(user: User, monkeypatch: pytest.MonkeyPatch) -> User:
    """The user, whose environment leads to the cloud of the test."""

    async def from_env(*_: object, **__: object) -> Google:
        return google_for(user.cloud)

    monkeypatch.setattr(google, "from_env", from_env)
    return user


def test_the_endpoint_that_was_found_is_verified_as_the_deployment_is(at_home: User) -> None:
    at_home.up()
    endpoint = at_home.connected()
    report = endpoint.verify()
    assert isinstance(report, Report)
    outcomes = {one.name: one.outcome for one in report.results}
    assert outcomes["weights"] is at_home.verified().outcome is Outcome.PASSED


def test_an_endpoint_is_not_proven_by_what_has_taken_its_place(at_home: User) -> None:
    at_home.up()
    before = at_home.connected()
    at_home.model = at_home.copied("second")
    at_home.up()
    with pytest.raises(Unsupported, match=r"is not quite that: it differs in .*model"):
        before.verify()
    assert at_home.connected() != before


def test_without_its_file_an_endpoint_is_held_against_nothing_that_was_never_served(at_home: User) -> None:
    at_home.up()
    known = at_home.connected().model

    async def work() -> None:
        nowhere = at_home.folder / "nowhere" / "homeport.toml"
        options = OpenOptions(env={}, home=Home(at_home.folder / "kept"), project="rehearsal")
        async with deployment.selected("home", nowhere, on="cloudrun", options=options) as found:
            endpoint = await found.connect()
            assert endpoint.model == known
            assert await found.expected_cold_start() == ""
            with pytest.raises(SpecError, match="home can be held against its file alone") as refused:
                await found.verify()
            assert "-f" in refused.value.hint
            assert endpoint.verifier is not None
            with pytest.raises(SpecError, match="home can be held against its file alone"):
                await endpoint.verifier(endpoint)

    act(work())
