"""The file the user writes."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from homeport import path_rules, spec
from homeport.errors import SpecError


def parse(text: str) -> spec.Spec:
    return spec.parse(tomllib.loads(text))


def problem(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse(text)
    return str(caught.value)


def test_an_empty_file_is_a_whole_spec() -> None:
    assert parse("") == spec.Spec()


def test_the_template_says_exactly_the_defaults() -> None:
    assert parse(spec.template()) == spec.Spec()


def test_the_template_shows_every_key() -> None:
    text = spec.template()
    models: list[type[BaseModel]] = [spec.Spec, *spec.TABLES.values(), spec.Adapter]
    for model in models:
        for key in model.model_fields:
            assert f"{key} = " in text or f"[{key}]" in text or f"[[engine.{key}]]" in text, key


def test_the_template_is_valid_with_every_optional_key_switched_on() -> None:
    switched_on = parse(re.sub(r"^# (\w+ = |\[)", r"\1", spec.template(), flags=re.MULTILINE))
    assert switched_on.engine.quantization == "fp8"
    assert switched_on.engine.lora[0].name == "support-tone"
    assert switched_on.cloudrun is not None
    assert switched_on.cloudrun.region == spec.CloudRun().region
    assert switched_on.access == spec.Access(
        audience="https://models.example.com",
        encryption_key="projects/my-project/locations/us-central1/keyRings/my-ring/cryptoKeys/my-key",
    )


@given(
    name=st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True),
    model=st.text(min_size=1, max_size=40),
)
@settings(deadline=None)  # The first template reads the texts of all keys.
def test_whatever_name_and_model_are_chosen_come_back_from_the_template(name: str, model: str) -> None:
    if path_rules.unprintable(model):
        return
    parsed = parse(spec.template(name=name, model=model))
    assert (parsed.name, parsed.model) == (name, model)


def test_the_first_line_names_the_schema_for_editors() -> None:
    assert spec.template().splitlines()[0] == "#:schema ./.homeport.schema.json"


def test_the_shipped_schema_is_the_model() -> None:
    shipped = Path(spec.__file__).with_name("homeport.schema.json")
    assert json.loads(shipped.read_text()) == spec.json_schema(), "run `make schema`"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("contxt = 1", "contxt: unknown key here; did you mean `engine.context`?"),
        ("[engine]\ncontxt = 1", "engine.contxt: unknown key; did you mean `context`?"),
        ("[local]\nprot = 1", "local.prot: unknown key; did you mean `port`?"),
        (
            "[engine]\nkind = 'vlm'",
            "engine.kind: should be 'auto', 'llamacpp', 'vllm' or 'ollama', but is 'vlm'",
        ),
        ("[engine]\nparallel = '4'", "engine.parallel: should be a valid integer, but is '4'"),
        ("[engine]\nparallel = true", "engine.parallel: should be a valid integer, but is True"),
        ("[engine]\ncontext = 1", "engine.context: should be greater than or equal to 128, but is 1"),
        ("[local]\nport = 70000", "local.port: should be less than or equal to 65535, but is 70000"),
        ("engine = 3", "engine: should be a table: [engine], but is 3"),
        ("name = 'Not Good'", "name: should be lower-case letters, digits and dashes"),
        ("model = ''", "model: "),
        ("[[engine.lora]]\nname = 'a'", "engine.lora.0.source: is missing"),
        ("[cloudrun]\nregion = 'x'", "region 'x' has no GPU; there is one in asia-south1"),
        ("[cloudrun]\ngpu = 'h100'", "Cloud Run has no GPU 'h100'; it has nvidia-l4"),
        ("[cloudrun]\ngpu = 'nvidia-rtx-pro-6000'\nregion = 'us-east4'", "has no nvidia-rtx-pro-6000"),
        ("[scaling]\nmin = 3", "scaling: min is 3, more than max, 1"),
        (
            "[scaling]\ntarget_concurrency = 0.96",
            "target_concurrency should be from 0.1 to 0.95, or 0, but is 0.96",
        ),
        ("[scaling]\ntarget_cpu = 0.95", "target_cpu should be from 0.1 to 0.9, or 0, but is 0.95"),
        ("[scaling]\ntarget_cpu = 0.0\ntarget_concurrency = 0.0", "nothing would scale"),
        (
            "[cloudrun]\nmax_instances = 4",
            "cloudrun.max_instances: is called `scaling.max` now: write max = 4 under [scaling]",
        ),
        ("[cloudrun]\nmin_instances = 1", "cloudrun.min_instances: is called `scaling.min` now"),
        ("[cloudrun]\nregoin = 'x'", "did you mean `region`"),
        ("[access]\npublic = true", "anyone_may_spend_my_money = true"),
        (
            "[access]\npublic = true\nanyone_may_spend_my_money = true\nisolated = true",
            "both public and isolated",
        ),
        ("[access]\ncallers = ['me']", "access.callers.0: "),
        ("[cloudrun]\nnetwork = 'default'", "network and subnetwork go together"),
    ],
)
def test_a_wrong_key_is_named_with_what_was_expected(text: str, said: str) -> None:
    assert said in problem(text)


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = problem("nam = 'a'\n[engine]\nkind = 'x'\ncontext = 'y'")
    assert "3 things are wrong" in text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.internal"])
def test_a_host_that_others_can_reach_is_refused_without_a_key(host: str) -> None:
    assert "no api_key is set" in problem(f"[local]\nhost = '{host}'")
    assert parse(f"[local]\nhost = '{host}'\napi_key = 'env:KEY'").local.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    assert parse(f"[local]\nhost = '{host}'").local.api_key is None


def test_a_key_pasted_into_the_file_is_refused_and_not_repeated() -> None:
    text = problem("[local]\napi_key = 'sk-very-secret'")
    assert "does not belong in this file" in text
    assert "sk-very-secret" not in text


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no") as caught:
        spec.load(tmp_path / "homeport.toml")
    assert "homeport init" in caught.value.hint


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"[engine"])
def test_a_file_that_is_not_toml_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "homeport.toml"
    file.write_bytes(content)
    with pytest.raises(SpecError, match=r"homeport\.toml"):
        spec.load(file)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stream", "stream"),
        ("fuse-buffered", "gcsfuse-buffered"),
        ("fuse-cache", "gcsfuse-cached"),
        ("auto", "auto"),
    ],
)
def test_an_old_key_is_answered_with_the_new_one_and_its_value(old: str, new: str) -> None:
    said = problem(f'[cloudrun]\nway = "{old}"\n')
    assert f'cloudrun.way: is called `delivery` now: write delivery = "{new}"' in said
    assert parse(f'[cloudrun]\ndelivery = "{new}"\n').cloudrun == spec.CloudRun.model_validate(
        {"delivery": new}
    )


@pytest.mark.parametrize(
    ("old", "said"),
    [
        ('way = "mount"', "cloudrun.way: is called `delivery` now, which should be 'auto', 'stream'"),
        ("min_instances = -1", "is called `scaling.min` now, which should be greater than or equal to 0, but is -1"),
        ('max_instances = "x"', "is called `scaling.max` now, which should be a valid integer"),
    ],
)  # fmt: skip
def test_an_old_key_with_a_value_that_the_new_one_does_not_take_is_answered_with_what_that_takes(
    old: str, said: str
) -> None:
    assert said in problem(f"[cloudrun]\n{old}\n")


def test_a_delivery_that_no_engine_has_is_refused() -> None:
    assert "should be 'auto', 'stream'" in problem('[cloudrun]\ndelivery = "carrier-pigeon"\n')
