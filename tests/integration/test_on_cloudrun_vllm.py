"""
One file, up on a rehearsed Cloud Run: with a real Gemma 3 270M in its image first, as in development, then by way B:
real vLLM on weights in a bucket. `make test-vllm` runs this.

vLLM sees the bucket at the container's own path and through FUSE where this machine can give it that, and the summary
of the tests says which it was.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commands_on_cloudrun import OnCloudRun
from gcloud import needs_gcloud, served
from gcp_rehearsal.runtime import fuse, mount_namespace
from homeport import catalog
from homeport.cli.rehearse_programs import vllm_python
from hub import Hub
from places import ROOT, TAUGHT_FOLDER
from user import User
from vllm_adapters import adapter

pytestmark = [pytest.mark.vllm, pytest.mark.lasts(200)]

GEMMA = ROOT / ".cache" / "models" / "gemma-3-270m-safetensors"
"""A real one, pretrained, to which the catalog's template for it is given."""
REPO = "homeport/gemma-3-270m"
COMPACT = '{"backend": "xgrammar", "disable_any_whitespace": true}'
"""So small a model fills its answers with the white space that JSON allows. An argument that is JSON, at that."""
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class WayB(OnCloudRun):
    """The same user, with weights for vLLM."""

    patience_s = 1500.0

    def ask(self, **body: Any) -> Any:  # Any: JSON
        """What vLLM answers to the caller, through the front."""
        host = self.status["url"].removeprefix("https://").removesuffix("/v1")
        with httpx2.Client(base_url=self.rehearsal.url, trust_env=False, verify=False, timeout=300) as client:
            headers = {"host": host, "authorization": f"Bearer {self.rehearsal.id_token()}"}
            came = client.post(
                "/v1/chat/completions", json={"model": "first", "temperature": 0, **body}, headers=headers
            )
        assert came.status_code == 200, came.text
        return came.json()["choices"][0]["message"]

    def edit(self, **values: str) -> None:
        """Give keys of the file, each of which is in it once, other values: TOML's."""
        file = self.user.folder / "homeport.toml"
        text = file.read_text()
        for key, value in values.items():
            text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
            assert count == 1, key
        self.user.write(text)

    @property
    def instances(self) -> Any:  # Any: JSON
        """What the rehearsal says of the processes that run."""
        headers = {"authorization": f"Bearer {self.rehearsal.token()}"}
        asked = httpx2.get(
            f"{self.rehearsal.url}/rehearsal/v1/instances", headers=headers, trust_env=False, verify=False
        )
        return asked.json()["instances"]

    @property
    def built(self) -> int:
        """How many images were built."""
        builds = self.rehearsal.gcloud("builds", "list", "--region=europe-west4", "--format=json").json
        return sum(step.get("id") == "build" for build in builds for step in build["steps"])


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def cloud(
    user: User, tmp_path: Path, rehearsed_vllm: None, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WayB]:
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    # Not so fast that an idle instance is gone before the next command: ten minutes there are a minute here.
    with served(tmp_path, "--speed", "10") as rehearsal:
        made = WayB(user, rehearsal)
        shutil.copytree(TAUGHT_FOLDER, user.folder / "first")
        (user.folder / "homeport.toml").unlink()
        yield made


@needs_gcloud
def test_the_whole_life_of_an_endpoint_with_its_weights_in_a_bucket(
    cloud: WayB,
    hub: Hub,
    real_weights: Mapping[str, Path],
    record_property: Callable[[str, object], None],
) -> None:
    cloud.run("init", "--name", "demo", "--model", "file:./gemma.gguf", "--project", "rehearsal")
    _a_real_gemma_is_served_from_its_image(cloud, real_weights["gemma-3-270m-pt"])
    cloud.edit(
        model='"file:./first"',
        kind='"vllm"',
        parallel="2",
        extra_args=f"['--structured-outputs-config', '{COMPACT}']",
    )
    tuned = adapter(cloud.user.folder / "tuned", 8.0)
    alone = (cloud.user.folder / "homeport.toml").read_text()
    cloud.user.write(f'{alone}\n[[engine.lora]]\nname = "tuned"\nsource = "file:{tuned}"\n')
    planned = cloud.run("plan", "--json").json
    assert planned["facts"]["weights"]["text"].startswith(
        "gcsfuse-buffered, from gs://rehearsal-demo-weights/models/own/first/"
    )

    came = cloud.run("up", "--yes", "--json").json
    outcomes = {result["name"]: result["outcome"] for result in came["report"]["results"]}
    wanted = (
        "identity",
        "chat",
        "stream",
        "json-schema",
        "tools",
        "tools-stream",
        "no-token",
        "mount",
        "image",
        "weights",
    )
    assert {name: outcomes[name] for name in wanted} == dict.fromkeys(wanted, "passed")
    assert came["report"]["passed"]
    assert cloud.run("plan", "--json").json["changes_pending"] is False

    record_property("seen", _what_vllm_sees(cloud))
    _tools_and_thoughts_come_back_apart(cloud)
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    assert "Paris" in cloud.ask(messages=asked)["content"]
    assert "Paris" not in (cloud.ask(model="tuned", messages=asked)["content"] or "")

    bucket = "gs://rehearsal-demo-weights"
    cloud.rehearsal.gcloud("storage", "buckets", "update", bucket, "--no-public-access-prevention")
    assert "inherited → enforced" in cloud.run("plan").out
    cloud.run("up", "--yes")
    assert cloud.run("plan", "--json").json["changes_pending"] is False

    before, built = cloud.status, cloud.built
    (first,) = before["traffic"]
    _publish_a_real_gemma(hub)
    cloud.user.write(alone)
    # Without bfloat16 in the processor, prompts are read four times as fast so.
    cloud.edit(delivery='"stream"', parallel="3", dtype='"float32"')
    cloud.run("swap", f"hf:{REPO}", "--yes")
    after = cloud.status
    assert (after["model"], after["image"]) == ("gemma-3-270m", before["image"])
    assert cloud.built == built, "no image is built for other weights"
    (second,) = after["traffic"]
    assert second != first
    _it_streams(cloud, hub.repos[REPO].refs["main"])

    _weights_that_vllm_refuses_get_no_traffic(cloud)
    assert cloud.status["traffic"] == {second: 100}
    assert "Paris" in cloud.ask(model="gemma-3-270m", messages=asked, max_tokens=8)["content"]

    assert f"{first} serves" in cloud.run("rollback").out
    assert (cloud.status["model"], cloud.status["weights"]) == ("first", before["weights"])
    assert cloud.ask(messages=asked)["content"]

    assert "left: nothing" in cloud.run("down", "--yes").err
    assert "removed bucket" in cloud.run("down", "--yes", "--purge").out


def _a_real_gemma_is_served_from_its_image(cloud: WayB, gguf: Path) -> None:
    shutil.copyfile(gguf, cloud.user.folder / "gemma.gguf")
    cloud.edit(kind='"ollama"', context="1024", parallel="4")
    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"]
    outcomes = {result["name"]: result["outcome"] for result in report["results"]}
    assert {outcomes[name] for name in ("identity", "chat", "stream", "json-schema", "context", "image")} == {
        "passed"
    }
    assert cloud.status["model"] == "gemma"


def _publish_a_real_gemma(hub: Hub) -> None:
    model = catalog.find("gemma-3-270m-pt")
    assert model is not None
    assert model.chat_template is not None
    files = {path.name: path.read_bytes() for path in GEMMA.iterdir()}
    hub.push(REPO, {**files, "chat_template.jinja": model.chat_template.read_bytes()})


def _what_vllm_sees(cloud: WayB) -> str:
    """Its command is the deployed one except for the table's rows, and nothing can be written to the weights."""
    (instance,) = cloud.instances
    path = "/models"
    if mount_namespace.works() == "":
        assert instance["command"][:3] == ["vllm", "serve", path]
        assert not any(row["what"] == "path" for row in instance["changes"])
        path = f"/proc/{instance['pid']}/root/models"
        mounts = Path(f"/proc/{instance['pid']}/mounts").read_text()
        assert (" /models fuse.rclone ro," in mounts) is (fuse.works((Path(vllm_python()).parent,)) == "")
        with pytest.raises(OSError, match="Read-only file system"):
            Path(path, "more").touch()
        with pytest.raises(OSError, match="Read-only file system"):
            Path(path, "config.json").unlink()
        assert Path(path, "config.json").read_bytes() == (TAUGHT_FOLDER / "config.json").read_bytes()
    assert instance["command"][instance["command"].index("--structured-outputs-config") + 1] == COMPACT
    assert {row["what"] for row in instance["changes"]} >= {
        "program",
        "--gpu-memory-utilization",
        "--host",
        "--port",
    }
    assert instance["buckets"].startswith(
        "mounted through FUSE" if fuse.works((Path(vllm_python()).parent,)) == "" else "a read-only folder"
    )
    return f"way B: the bucket is {instance['buckets']}; files are seen {instance['files']}"


def _it_streams(cloud: WayB, commit: str) -> None:
    """What was swapped to comes from the hub, was carried into the bucket in the cloud, and is streamed from there."""
    running = [one for one in cloud.instances if "runai_streamer" in one["command"]]
    assert [one["command"][2] for one in running] == [f"gs://rehearsal-demo-weights/models/{REPO}/{commit}"]
    assert running[0]["buckets"] == "", "nothing is mounted"
    assert "CLOUD_STORAGE_EMULATOR_ENDPOINT" in {row["what"] for row in running[0]["changes"]}


def _tools_and_thoughts_come_back_apart(cloud: WayB) -> None:
    called = cloud.ask(messages=[{"role": "user", "content": "What is the weather in Paris?"}], tools=[TOOL])
    (call,) = called["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (
        "get_weather",
        {"city": "Paris"},
    )
    thought = cloud.ask(
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        chat_template_kwargs={"enable_thinking": True},
    )
    assert "capital of France" in thought["reasoning"]
    assert thought["content"] == "The capital of France is Paris."


def _weights_that_vllm_refuses_get_no_traffic(cloud: WayB) -> None:
    broken = cloud.user.folder / "broken"
    shutil.copytree(TAUGHT_FOLDER, broken)
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "architectures": ["Gemma9ForCausalLM"]}))
    refused = cloud.run("swap", "file:./broken", "--yes", code=None)
    assert refused.code not in {0, 1}
    assert "the engine in its image does not know this model" in refused.err
    assert "Gemma9ForCausalLM" in refused.err.partition("its last lines:")[2]
    assert "   do: " in refused.err
    assert f'model = "hf:{REPO}"' in (cloud.user.folder / "homeport.toml").read_text(), (
        "the file stays as it was"
    )
