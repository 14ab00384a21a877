"""What nobody here could find out about Google Cloud: homeport works in either case, and these ask which one it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from homeport.catalog.images import engine_image
from homeport.catalog.prebuilt import every_prebuilt_image
from homeport.contract.place import REGION, SEEN_S, ContractPlace, expect
from homeport.errors import Conflict, HomeportError, InvalidArgument
from homeport.google.registry import pinned_image
from homeport.progress import Silent

GPU_REGION = "europe-west4"


async def _try_out(work: Awaitable[Any]) -> str:  # Any: JSON
    """Return `taken`, or in which words it was refused. Raises what says nothing about it."""
    try:
        await work
    except (InvalidArgument, Conflict) as error:
        return f"refused: {error}"
    return "taken"


async def _whether_a_network_tells_a_routing_that_is_the_default(place: ContractPlace) -> str:
    networks = f"{place.compute}/global/networks"
    async with place.made("compute", networks, {"autoCreateSubnetworks": False}) as network:
        return f"routingConfig is {(await place.google.get('compute', network)).get('routingConfig')}"


async def _which_version_a_policy_with_a_condition_is_read_in(place: ContractPlace) -> str:
    async with place.account() as email, place.secret() as path:
        condition = {"title": "later", "expression": 'request.time < timestamp("2100-01-01T00:00:00Z")'}
        binding = {
            "role": "roles/secretmanager.secretAccessor",
            "members": [f"serviceAccount:{email}"],
            "condition": condition,
        }
        before = await place.google.get("secretmanager", f"{path}:getIamPolicy")
        policy = {"version": 3, "etag": before.get("etag"), "bindings": [binding]}
        patient = place.google.patient(accounts=SEEN_S)
        await patient.post("secretmanager", f"{path}:setIamPolicy", {"policy": policy})
        query: dict[str, Any] = {"options.requestedPolicyVersion": 3}  # Any: a query
        read = await place.google.get("secretmanager", f"{path}:getIamPolicy", **query)
        expect(bool(read["bindings"][0].get("condition")), "the condition is not read back")
        return f"version {read.get('version')}"


async def _whether_a_field_that_is_fixed_may_stand_in_a_mask(place: ContractPlace) -> str:
    async with place.repository() as path:
        body = {"format": "DOCKER", "labels": {"contract": place.name}}
        return await _try_out(place.google.patch("artifactregistry", path, body, updateMask="format,labels"))


async def _whether_a_bucket_may_be_called_g00g1e(place: ContractPlace) -> str:
    name = f"g00g1e-{place.name}"
    path = f"storage/v1/b/{name}"
    body = {"name": name, "location": REGION}
    create = partial(place.google.post, "storage", "storage/v1/b", body, project=place.google.project)

    async def make() -> None:
        async with place.removing("storage", path, create):
            pass

    return await _try_out(make())


async def _whether_a_backend_may_be_changed_without_its_fingerprint(place: ContractPlace) -> str:
    async with place.backend() as service:

        async def change() -> None:
            await place.finish("compute", await place.google.patch("compute", service, {"description": "b"}))

        return await _try_out(change())


async def _whether_a_backend_takes_back_the_timeout_that_it_tells(place: ContractPlace) -> str:
    async with place.backend() as service:
        read = await place.google.get("compute", service)
        if "timeoutSec" not in read:
            return "it tells none"

        async def change() -> None:
            await place.finish("compute", await place.google.put("compute", service, read))

        return f"{read['timeoutSec']} s is told; sent back it is {await _try_out(change())}"


async def _in_which_words_a_url_map_with_a_test_that_fails_is_refused(place: ContractPlace) -> str:
    async with place.backend() as service:
        own = service.removeprefix("compute/v1/")
        test = {"host": "a.example", "path": "/", "service": own, "expectedOutputUrl": "https://b.example/"}
        body = {"defaultService": own, "tests": [test]}

        async def make() -> None:
            async with place.made("compute", f"{place.compute}/global/urlMaps", body):
                pass

        return await _try_out(make())


async def _whether_an_l4_may_be_deployed_in_us_central1(place: ContractPlace) -> str:
    return await _try_out(_validated(place, "us-central1", "nvidia-l4", "GA", ("4", "16Gi")))


async def _whether_an_rtx_pro_6000_is_generally_available(place: ContractPlace) -> str:
    return await _try_out(_validated(place, GPU_REGION, "nvidia-rtx-pro-6000", "GA", ("20", "80Gi")))


async def _whether_a_startup_on_a_gpu_may_take_28_minutes(place: ContractPlace) -> str:
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 240, "failureThreshold": 7, "timeoutSeconds": 10}
    return await _try_out(_validated(place, GPU_REGION, "nvidia-l4", "GA", ("4", "16Gi"), startupProbe=probe))


async def _validated(
    place: ContractPlace,
    region: str,
    gpu: str,
    stage: str,
    size: tuple[str, str],
    **more: Any,  # Any: JSON
) -> None:
    """Have Cloud Run look at a service with a GPU, and make none."""
    limits = {"cpu": size[0], "memory": size[1], "nvidia.com/gpu": "1"}
    container = {
        "image": "us-docker.pkg.dev/cloudrun/container/hello",
        "resources": {"limits": limits, "cpuIdle": False},
        **more,
    }
    template = {
        "containers": [container],
        "nodeSelector": {"accelerator": gpu},
        "gpuZonalRedundancyDisabled": True,
        "scaling": {"maxInstanceCount": 1},
    }
    services = f"v2/projects/{place.google.project}/locations/{region}/services"
    body = {"launchStage": stage, "template": template}
    begun = await place.google.post("run", services, body, serviceId=place.name, validateOnly=True)
    await place.google.finish("run", begun, progress=Silent(), key=place.name)


async def _whether_google_s_images_are_there(place: ContractPlace) -> str:
    lines = []
    beside = (engine_image("metrics").reference, engine_image("traces").reference)
    for reference in (*(image.reference for image in every_prebuilt_image()), *beside):
        host, _, path_and_tag = reference.partition("/")
        path, _, tag = path_and_tag.partition(":")
        try:
            found = await pinned_image(place.google, host, path, tag)
        except HomeportError as error:
            lines.append(f"{path}: {error}")
        else:
            lines.append(
                f"{path}: {found.digest}{'' if found.tells_platform else ', for which platform its manifest does not say'}"
            )
    return "; ".join(lines)


QUESTIONS: tuple[Callable[[ContractPlace], Awaitable[str]], ...] = (
    _whether_a_network_tells_a_routing_that_is_the_default,
    _which_version_a_policy_with_a_condition_is_read_in,
    _whether_a_field_that_is_fixed_may_stand_in_a_mask,
    _whether_a_bucket_may_be_called_g00g1e,
    _whether_a_backend_may_be_changed_without_its_fingerprint,
    _whether_a_backend_takes_back_the_timeout_that_it_tells,
    _in_which_words_a_url_map_with_a_test_that_fails_is_refused,
    _whether_an_l4_may_be_deployed_in_us_central1,
    _whether_an_rtx_pro_6000_is_generally_available,
    _whether_a_startup_on_a_gpu_may_take_28_minutes,
    _whether_google_s_images_are_there,
)
"""What is asked, after all that is relied on. Each tells what it found, and none can break."""
