"""A file with `[agent]` on a rehearsed Cloud Run: both services really run, and the agent calls its private model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_life import goes_up_is_asked_and_goes_down
from commands_on_cloudrun import FILE, OnCloudRun
from gcloud import needs_gcloud, served
from places import TAUGHT_FOLDER
from user import User

AGENT = '[agent]\ntools = ["calculator"]\nmax_steps = 2\nmax_tokens = 32\nregistry = true\n'


@pytest.fixture
def cloud(user: User, tmp_path: Path) -> Iterator[OnCloudRun]:
    with served(tmp_path) as rehearsal:
        yield OnCloudRun(user, rehearsal)


@needs_gcloud
@pytest.mark.long
def test_an_agent_goes_up_beside_its_model_asks_it_as_itself_and_goes_down_with_it(cloud: OnCloudRun) -> None:
    cloud.user.write(FILE + AGENT)
    goes_up_is_asked_and_goes_down(cloud)


@pytest.fixture
def by_vllm(user: User, tmp_path: Path, rehearsed_vllm: None) -> Iterator[OnCloudRun]:
    # Not so fast that an idle instance is gone before the next command: it takes more than a minute to start.
    with served(tmp_path, "--speed", "10") as rehearsal:
        made = OnCloudRun(user, rehearsal)
        made.patience_s = 1500.0
        shutil.copytree(TAUGHT_FOLDER, user.folder / "taught")
        yield made


@needs_gcloud
@pytest.mark.vllm
def test_beside_a_model_that_vllm_serves_from_a_bucket_it_lives_as_well(by_vllm: OnCloudRun) -> None:
    compact = '{"backend": "xgrammar", "disable_any_whitespace": true}'
    by_vllm.user.write(
        'name = "demo"\nmodel = "file:./taught"\n[engine]\nkind = "vllm"\ncontext = 1024\nparallel = 2\n'
        f"extra_args = ['--structured-outputs-config', '{compact}']\n{AGENT}"
    )
    goes_up_is_asked_and_goes_down(by_vllm)
