"""The hub's token: asked for where the hub wants one, kept once, and shown to nobody."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import on_cloudrun
from building import ACCOUNT, BUCKET, Place, place
from homeport import spec
from homeport.cli import hub_token as command
from homeport.deployment import Deployment
from homeport.errors import GatedModel, HomeportError, SpecError
from homeport.progress import Silent
from homeport.reconcile import Plan
from homeport.secret import Secret
from homeport.targets.cloudrun.lifecycle import CloudRunLifecycle
from places import TAUGHT_FOLDER
from user import HOMEPORT
from vllm_adapters import tensors_of

REPO = "google/gemma-4-taught"
LET_IN, LEFT_OUT = "hf_let_in_0123456789", "hf_left_out_0123456789"
FIRST_OF_ALL = ("secret/mine-hub-token", "secret-version/mine-hub-token")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path) as here:
        # What its library has made of HF_ENDPOINT when it was imported.
        template = f"{here.hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", here.hub.address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        here.hub.push(
            REPO, {path.name: path.read_bytes() for path in TAUGHT_FOLDER.iterdir()}, gated="manual"
        )
        here.hub.tokens = {LET_IN: {REPO}, LEFT_OUT: set()}
        yield here


Ask = Callable[[str], "Secret | None"]


def lifecycle(here: Place, google: Any, repo: str = REPO, **fields: Any) -> CloudRunLifecycle:
    wanted = spec.parse(
        {
            "name": "mine",  # The place has things called home.
            "model": "gemma-4-e2b",  # Known to the catalog, so that no header is asked for.
            "weights": f"hf:{repo}",
            "engine": {"kind": "vllm", "context": 1024},
            "cloudrun": {},
        }
    )
    return on_cloudrun.lifecycle(google, wanted, **fields)


def deployment(here: Place, google: Any, repo: str = REPO, **fields: Any) -> Deployment:
    return Deployment(target=lifecycle(here, google, repo, **fields))


def planned(here: Place, repo: str = REPO, **fields: Any) -> Plan:
    async def work() -> Plan:
        async with here.google() as google:
            return await deployment(here, google, repo, **fields).plan()

    return here.act(work())


def kept(here: Place, **fields: Any) -> Plan:
    """A plan, of which only the secret is made."""

    async def work() -> Plan:
        async with here.google() as google:
            plan = await deployment(here, google, **fields).plan()
            for action in plan.pending:
                if action.resource.id in FIRST_OF_ALL:
                    await action.resource.create({}, Silent())
            return plan

    return here.act(work())


def fact(plan: Plan) -> str:
    return next((one.text for one in plan.facts if one.key == "hub_token"), "")


def pending(plan: Plan) -> set[str]:
    return {action.resource.id for action in plan.pending}


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's headers as the folder here has them: to read a gated repository's wants a token at once."""
    from homeport.fit import subject as module

    def subject(
        name: str, base: Path, *, weights: str, token: Secret | None, engine: str
    ) -> module.ModelSubject:
        source = f"file:{TAUGHT_FOLDER}" if weights == f"hf:{REPO}" else weights
        return module.subject(name, base, weights=source, token=token, engine=engine)

    monkeypatch.setattr("homeport.targets.cloudrun.model_selection.subject", subject)


pytestmark = pytest.mark.usefixtures("described")


def test_a_hub_that_gives_to_everybody_is_shown_no_token_and_none_is_kept(here: Place) -> None:
    here.hub.repos[REPO].gated = False
    plan = planned(here, env_token=LET_IN, ask_token=pytest.fail)
    assert fact(plan) == ""
    assert pending(plan).isdisjoint(FIRST_OF_ALL)
    assert not any("authorization" in headers for _, _, headers in here.hub.requests)


def test_a_gate_is_opened_by_the_environments_token_which_is_kept_as_a_secret(here: Place) -> None:
    plan = planned(here, env_token=LET_IN, ask_token=pytest.fail)
    assert fact(plan) == "the environment (HF_TOKEN), as mine-hub-token"
    assert set(FIRST_OF_ALL) < pending(plan)
    assert not any("hub/" in warning for warning in plan.warnings)
    assert LET_IN not in str(plan.as_json())


def test_a_person_is_asked_where_nothing_else_opens_the_gate(here: Place) -> None:
    asked: list[str] = []

    def ask(page: str) -> Secret:
        asked.append(page)
        return Secret(LET_IN)

    plan = planned(here, env_token=LEFT_OUT, ask_token=ask)
    assert asked == [f"{here.hub.address}/{REPO}"]
    assert fact(plan) == "typed, as mine-hub-token"


def test_the_token_that_is_kept_is_used_again_and_no_other_version_is_made(here: Place) -> None:
    kept(here, token=Secret(LET_IN))
    plan = planned(here, env_token="hf_another", ask_token=pytest.fail)
    assert fact(plan) == "version 1 that is kept, as mine-hub-token"
    assert pending(plan).isdisjoint(FIRST_OF_ALL)


def test_a_kept_token_that_is_let_in_no_more_is_replaced_by_a_new_version(here: Place) -> None:
    kept(here, token=Secret(LEFT_OUT))
    plan = planned(here, env_token=LET_IN)
    (changed,) = (action for action in plan.pending if action.resource.id in FIRST_OF_ALL)
    assert (changed.kind, changed.resource.id) == ("update", "secret-version/mine-hub-token")
    assert LET_IN not in str(plan.as_json())
    assert LEFT_OUT not in str(plan.as_json())


@pytest.mark.parametrize(
    ("token", "says"), [("", "nobody without a token may fetch"), (LEFT_OUT, "this token may not fetch")]
)
def test_a_closed_gate_stops_everything_before_anything_is_made(here: Place, token: str, says: str) -> None:
    async def work() -> None:
        async with here.google() as google:
            await deployment(here, google, env_token=token).up()

    before = sorted(kept.name for kept in here.cloud.store.everything())
    with pytest.raises(HomeportError, match=says) as told:
        here.act(work())
    assert f"accept the licence on {here.hub.address}/{REPO}" in told.value.hint
    assert sorted(kept.name for kept in here.cloud.store.everything()) == before


def test_what_the_hub_does_not_even_describe_is_described_with_the_kept_token(here: Place) -> None:
    kept(here, token=Secret(LET_IN))
    here.hub.push(
        "org/mine", {path.name: path.read_bytes() for path in TAUGHT_FOLDER.iterdir()}, private=True
    )
    with pytest.raises(GatedModel):
        planned(here, "org/mine")
    here.hub.tokens[LET_IN].add("org/mine")
    assert fact(planned(here, "org/mine")) == "version 1 that is kept, as mine-hub-token"
    with pytest.raises(GatedModel):
        planned(here, "org/mine", token=Secret("hf_mistyped"))


def test_what_is_exported_makes_the_secret_too_and_holds_no_token(here: Place) -> None:
    async def work() -> dict[str, str]:
        async with here.google() as google:
            return await deployment(here, google, env_token=LET_IN).export("gcloud")

    files = here.act(work())
    text = "\n".join(files.values())
    assert "gcloud secrets create mine-hub-token" in text
    assert "projects/rehearsal/secrets/mine-hub-token/versions/" in text
    assert LET_IN not in text


def test_an_adapter_of_a_hub_is_pinned_to_its_commit_and_carried_by_a_build(here: Place) -> None:
    files = {
        "adapter_config.json": b'{"peft_type": "LORA", "r": 8, "lora_alpha": 8, "target_modules": ["o_proj"]}',
        "adapter_model.safetensors": tensors_of(8),
    }
    commit = here.hub.push("org/tone", files)

    async def work() -> Any:  # Any: JSON
        async with here.google() as google:
            one = lifecycle(here, google, token=Secret(LET_IN))
            tone = {"name": "tone", "source": "hf:org/tone"}
            wanted = spec.parse(
                {**one.spec.model_dump(), "engine": {**one.spec.engine.model_dump(), "lora": [tone]}}
            )
            target = await replace(one, spec=wanted).graph(Silent())
            adapter = replace(target.weights.adapters["tone"], account=ACCOUNT, bucket=BUCKET, token=None)
            assert await adapter.read() is None
            return await adapter.create({}, Silent())

    live = here.act(work())
    assert live["prefix"] == f"adapters/org/tone/{commit}"
    assert {path: here.object(f"{live['prefix']}/{path}") for path in files} == files
    assert here.object(f"{live['prefix']}/homeport-manifest.json") is not None


def test_the_build_is_given_the_very_version_that_was_made(here: Place) -> None:
    async def work() -> Any:  # Any: JSON
        async with here.google() as google:
            target = await lifecycle(here, google, token=Secret(LET_IN)).graph(Silent(), asking=True)
            return target.weights.model.build if target.weights.model else None

    body = here.act(work())
    (secret,) = body["availableSecrets"]["secretManager"]
    assert (secret["versionName"].id, secret["versionName"].path) == ("secret-version/mine-hub-token", "name")
    assert LET_IN not in str(body)


def test_a_token_comes_through_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{LET_IN}\nmore\n"))
    assert command.from_stdin("cloudrun", wanted=False) is None
    assert command.from_stdin("cloudrun", wanted=True) == Secret(LET_IN)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(SpecError, match="nothing came through standard input"):
        command.from_stdin("cloudrun", wanted=True)


def test_what_is_typed_is_not_shown_and_nothing_is_made_without_a_yes(here: Place, tmp_path: Path) -> None:
    """A person at a terminal: the token is typed unseen, the plan is shown, and the answer is no."""
    folder = tmp_path / "typing"
    folder.mkdir()
    (folder / "homeport.toml").write_text(
        f'name = "mine"\nmodel = "gemma-4-e2b"\nweights = "file:{TAUGHT_FOLDER}"\n[engine]\nkind = "vllm"\ncontext = 1024\n'
        f'[[engine.lora]]\nname = "tone"\nsource = "hf:{REPO}-tone"\n[cloudrun]\nproject = "rehearsal"\n'
    )
    config = b'{"peft_type": "LORA", "r": 8, "lora_alpha": 8, "target_modules": ["o_proj"]}'
    here.hub.push(
        f"{REPO}-tone", {"adapter_config.json": config, "adapter_model.safetensors": tensors_of(8)}, gated="manual"
    )  # fmt: skip
    here.hub.tokens[LET_IN].add(f"{REPO}-tone")
    env = {
        **os.environ, "HOMEPORT_GOOGLE_URL": here.url, "HF_ENDPOINT": here.hub.address,
        "CLOUDSDK_AUTH_ACCESS_TOKEN": here.cloud.token("you@example.com")
    }  # fmt: skip
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*HOMEPORT, "up", "--on", "cloudrun"], cwd=folder, env=env, stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    seen = b""
    for prompt, answer in ((b"kept in Secret Manager): ", f"{LET_IN}\n"), (b"do it?", "n\n"), (b"\0", "")):
        while prompt not in seen and (block := _read(master)):
            seen += block
        if answer:
            os.write(master, answer.encode())
    os.close(master)
    process.kill()
    process.wait()
    assert b"nothing was changed" in seen, seen.decode()
    assert b"typed, as mine-hub-token" in seen
    assert LET_IN.encode() not in seen


def _read(master: int) -> bytes:
    """What comes next; nothing once the other end is closed, or says nothing for long."""
    if not select.select([master], [], [], 120)[0]:
        return b""
    try:
        return os.read(master, 4096)
    except OSError:
        return b""


def test_a_plan_applied_leaves_the_token_in_secret_manager_alone(here: Place) -> None:
    kept(here, env_token=LET_IN)
    assert LET_IN not in here.told()
    secrets = [kept.body for kept in here.cloud.store.of("secretmanager")]
    assert LET_IN not in str(secrets), "its payload is read by those who may alone"
