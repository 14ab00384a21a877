"""What an endpoint costs is what is deployed costs, and not what the file would by now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloud import act
from deployers import PATH, Deployer
from deployment import google_for
from homeport import spec
from homeport.cli.agent_options import price_of
from homeport.cost.answer import Question, answer
from homeport.endpoint import Endpoint
from homeport.errors import Unsupported
from homeport.targets.cloudrun.endpoints import list_endpoints
from on_cloudrun import lifecycle

SMALL, LARGE = "nvidia-l4", "nvidia-rtx-pro-6000"


def of(deployer: Deployer, gpu: str) -> spec.Spec:
    wanted = deployer.wanted()
    return wanted.model_copy(update={"cloudrun": spec.CloudRun(gpu=gpu)})


def reckoned(deployer: Deployer, gpu: str) -> float:
    """What an hour of the file costs by `homeport cost`, which asks no cloud."""
    wanted = deployer.wanted()
    file = Path("homeport.toml")
    file.write_text(
        f'name = "home"\nmodel = "{wanted.model}"\n[engine]\nkind = "{wanted.engine.kind}"\ncontext = 1024\n'
        f'[cloudrun]\ngpu = "{gpu}"\n'
    )
    asked = Question(
        wanted={}, engine=None, tokens_per_day=None, tokens_per_second=None, wakes=1, versus=None, input_share=None, prices=None
    )  # fmt: skip
    return round(answer(None, file, asked).hourly.total, 4)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(deployer: Deployer, file: spec.Spec) -> tuple[float | None, float | None]:
    """The price by the endpoint that a command with this file connects to, and by `homeport list`."""

    async def work() -> tuple[float | None, float | None]:
        google = google_for(deployer.cloud)
        endpoint = await lifecycle(google, file).endpoint()
        (listed,), _ = await list_endpoints(google)
        return endpoint.usd_per_hour, listed.usd_per_hour

    return act(work())


def test_it_is_that_of_what_serves_whatever_the_file_says_and_after_a_rollback_too() -> None:
    deployer = Deployer("ollama")
    deployer.cloud.quotas.update(CpuAllocPerProjectRegion=10**6, MemAllocPerProjectRegion=2**40)
    small, large = reckoned(deployer, SMALL), reckoned(deployer, LARGE)
    assert large > small > 0
    deployer.up(of(deployer, SMALL))
    assert told(deployer, of(deployer, LARGE)) == (small, small)
    deployer.up(of(deployer, LARGE))
    assert told(deployer, of(deployer, SMALL)) == (large, large)
    deployer.roll_back()
    assert told(deployer, of(deployer, LARGE)) == (small, small)


def test_where_it_is_not_known_a_bound_in_dollars_is_refused_and_no_price_of_another_is_taken() -> None:
    endpoint = Endpoint(name="home", base_url="http://127.0.0.1:1/v1", model="m")
    assert price_of(endpoint, {"max_usd": None}) is None
    with pytest.raises(Unsupported, match="not known"):
        price_of(endpoint, {"max_usd": 1.0})
    assert price_of(replace(endpoint, usd_per_hour=1.5), {"max_usd": 1.0}) == 1.5


def test_a_service_of_which_nothing_serves_yet_has_the_price_of_what_was_asked_for() -> None:
    deployer = Deployer("ollama")
    deployer.up(of(deployer, SMALL))
    kept = deployer.cloud.store.get("run", PATH.removeprefix("v2/"))
    assert kept is not None
    for key in ("traffic", "trafficStatuses"):
        kept.body.pop(key, None)
    assert told(deployer, of(deployer, LARGE))[0] == reckoned(deployer, SMALL)
