"""What people bring that is not as it should be ends, typed at a command line, with its cause and with what to do."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from brought import INDEX, adapter, checkpoint, gguf_parts, gguf_with, index_of, write_index
from homeport.free_ports import free_port
from hub import Hub
from places import ADAPTER_GGUF, TAUGHT, TAUGHT_FOLDER
from user import HOMEPORT, User

FILE = 'name = "brought"\nmodel = "file:./m.gguf"\n[engine]\ncontext = 512\nparallel = 1\n{more}[local]\nport = 0\n'
LORA = '[[engine.lora]]\nname = "tone"\nsource = "file:./tone{kind}"\n'
UNREADABLE = "cannot read the model's chat template"
UNFIT, NO_PART = "does not fit the model", "by its header (split.count)"


@dataclass(frozen=True)
class Brought:
    """What lies in the user's folder, what `up` ends with, and whether `plan` ends so, too."""

    make: Callable[[Path], object]
    code: int
    told: tuple[str, ...]
    do: str
    planned: bool = True
    """False where only the engine itself can tell."""
    more: str = ""


def template(text: str) -> Brought:
    return Brought(
        lambda at: gguf_with(at / "m.gguf", values={"tokenizer.chat_template": text}),
        15, (UNREADABLE,), 'engine.chat_template = "template.jinja"', planned=False,
    )  # fmt: skip


def other(told: str, **changed: object) -> Brought:
    return Brought(
        lambda at: gguf_with(at / "m.gguf", **changed),  # type: ignore[arg-type]
        15, (told,), "upgrade homeport and xllamacpp", planned=False,
    )  # fmt: skip


def part(make: Callable[[Path], object], told: str) -> Brought:
    return Brought(make, 12, (told,), "llama-gguf-split --merge")


def joined(at: Path, count: int, *, backwards: bool = False) -> None:
    (at / "parts").mkdir()
    parts = gguf_parts(at / "parts", count)
    (at / "m.gguf").write_bytes(b"".join(one.read_bytes() for one in (parts[::-1] if backwards else parts)))


def renamed(at: Path, number: int, count: int) -> None:
    (at / "parts").mkdir()
    shutil.move(gguf_parts(at / "parts", count)[number - 1], at / "m.gguf")


def with_adapter(at: Path, source: Path) -> None:
    shutil.copy(TAUGHT, at / "m.gguf")
    shutil.copy(source, at / "tone.gguf")


LOCAL: Mapping[str, Brought] = {
    "a template for translators": template("{% if not messages[0]['content'][0]['lang'] %}{{ raise_exception('a lang is needed') }}{% endif %}"),
    "a template that is not closed": template("{% for m in messages %}{{ m.content }}"),
    "a template with a filter that is none": template("{{ messages[0].content | no_such_filter }}"),
    "a template that calls what is not there": template("{{ nobody(messages) }}"),
    "two parts joined": part(lambda at: joined(at, 2), f"it is part 1 of 2 {NO_PART}"),
    "three parts joined": part(lambda at: joined(at, 3), f"it is part 1 of 3 {NO_PART}"),
    "parts joined backwards": part(lambda at: joined(at, 2, backwards=True), f"it is part 2 of 2 {NO_PART}"),
    "a first part under another name": part(lambda at: renamed(at, 1, 4), f"it is part 1 of 4 {NO_PART}"),
    "a last part under another name": part(lambda at: renamed(at, 3, 3), f"it is part 3 of 3 {NO_PART}"),
    "a GGUF that is cut short": Brought(
        lambda at: (at / "m.gguf").write_bytes(TAUGHT.read_bytes()[:-5000]), 12, ("is cut short",), "fetch it again"
    ),
    "a web page": Brought(lambda at: (at / "m.gguf").write_text("<!doctype html><p>404"), 12, ("is not a GGUF file",), "web page"),
    "an architecture of tomorrow": other("does not know gemma9", architecture="gemma9"),
    "a tokenizer of tomorrow": other("does not know gemma9", values={"tokenizer.ggml.model": "gemma9"}),
    "a tensor that is missing": other("blk.1.attn_q.weight", without=("blk.1.attn_q.weight",)),
    "a value that is missing": other("sliding_window_pattern", without=("gemma4.attention.sliding_window_pattern",)),
    "an adapter of another model": Brought(
        lambda at: with_adapter(at, ADAPTER_GGUF), 10, (UNFIT, "and the model's is"), "that it was trained on", more=LORA.format(kind=".gguf")
    ),
    "a model in the place of an adapter": Brought(
        lambda at: with_adapter(at, TAUGHT), 12, ("a LoRA adapter was expected",), "convert_lora_to_gguf", more=LORA.format(kind=".gguf")
    ),
    "an adapter as PEFT keeps it, for llama.cpp": Brought(
        lambda at: (shutil.copy(TAUGHT, at / "m.gguf"), adapter(at / "tone", {})), 12, ("has no GGUF file",), "engine.kind", more=LORA.format(kind="")
    ),
}  # fmt: skip


@pytest.mark.parametrize("brought", LOCAL.values(), ids=LOCAL)
def test_it_ends_on_this_machine_as_it_should(user: User, brought: Brought) -> None:
    brought.make(user.folder)
    user.write(FILE.format(more=brought.more))
    for words in (("plan",), ("up", "--yes", "--no-verify")):
        if words == ("plan",) and not brought.planned:
            if UNREADABLE in brought.told:
                assert "so no chat works: " in " ".join(user.run("plan").out.split())
            continue
        ended = user.run(*words, code=brought.code)
        assert all(told in ended.err for told in brought.told), ended.err
        assert brought.do in ended.err
        assert "started: " not in ended.err
    assert user.run("status").out == ""


def test_half_a_model_is_not_sized(user: User) -> None:
    joined(user.folder, 2)
    sized = user.run("fit", "./m.gguf", code=12)
    assert NO_PART in sized.err
    assert "GiB" not in sized.out
    assert "it is part 1 of 2" in user.run("fit", "m.gguf", "--engine", "ollama", code=12).err


def test_parts_under_their_own_names_are_a_model_whichever_is_named(user: User) -> None:
    parts = gguf_parts(user.folder, 3)
    for one in parts:
        assert "fits        yes" in planned(user, f"file:./{one.name}")
    parts[2].unlink()
    user.write(f'name = "brought"\nmodel = "file:./{parts[0].name}"\n')
    assert "lacks m-00003-of-00003.gguf" in user.run("plan", code=12).err


def planned(user: User, source: str) -> str:
    user.write(f'name = "brought"\nmodel = "{source}"\n[engine]\ncontext = 512\n')
    return user.run("plan").out


def test_another_template_is_the_remedy_that_is_named(user: User) -> None:
    gguf_with(
        user.folder / "m.gguf", values={"tokenizer.chat_template": "{{ messages[0].content | nofilter }}"}
    )
    shutil.copy(TAUGHT_FOLDER / "chat_template.jinja", user.folder / "template.jinja")
    user.write(FILE.format(more='chat_template = "template.jinja"\n'))
    user.run("up", "--yes", "--no-verify")
    user.run("verify", "--only", "chat", "--only", "stream")


QUERY = "base_model.model.model.layers.{at}.self_attn.q_proj.lora_"


def lora(
    at: Path, *, layer: int = 0, shape: tuple[int, int] = (128, 256), rank: int = 8, **config: object
) -> Path:
    query = QUERY.format(at=layer)
    more = config.pop("more", {})
    assert isinstance(more, dict)
    return adapter(
        at / "tone", {f"{query}A.weight": (rank, shape[0]), f"{query}B.weight": (shape[1], rank), **more}, **config
    )  # fmt: skip


def moved(at: Path, before: str, after: str) -> Path:
    return (at / "m" / before).rename(at / "m" / after)


def stale(at: Path) -> None:
    checkpoint(at / "m", files=3)
    file_of = index_of(at / "m")
    write_index(at / "m", {name: file.replace("-of-00003", "-of-00007") for name, file in file_of.items()})


def swapped(at: Path) -> None:
    checkpoint(at / "m", files=2)
    first, second = sorted((at / "m").glob("model-*.safetensors"))
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


def dangling(at: Path, name: str) -> None:
    checkpoint(at / "m")
    (at / "m" / name).unlink()
    (at / "m" / name).symlink_to("../../blobs/0123")


def whole_but(at: Path, **files: str | None) -> None:
    checkpoint(at / "m")
    for name, content in files.items():
        path = at / "m" / name.replace("__", ".")
        path.unlink() if content is None else path.write_text(content)


CLOUD: Mapping[str, Brought] = {
    "an index of another split": Brought(stale, 12, ("lacks 'model-00001-of-00007.safetensors'", INDEX), "put the index of that split there"),
    "a shard that is missing": Brought(
        lambda at: (checkpoint(at / "m", files=2) / "model-00002-of-00002.safetensors").unlink(), 12,
        ("lacks 'model-00002-of-00002.safetensors'",), "fetch the model's files again",
    ),
    "a shard under another name": Brought(
        lambda at: (checkpoint(at / "m", files=2), moved(at, "model-00002-of-00002.safetensors", "model.safetensors")), 12,
        ("lacks 'model-00002-of-00002.safetensors'",), "if model.safetensors belongs to another split",
    ),
    "shards that changed names": Brought(swapped, 12, ("is not whole", INDEX), "fetch the model's files again"),
    "an index that is none": Brought(
        lambda at: (checkpoint(at / "m", files=2) / INDEX).write_text("{}"), 12, (INDEX, "no weight_map"), "fetch"
    ),
    "no tokenizer": Brought(lambda at: whole_but(at, tokenizer__json=None), 12, ("has no tokenizer",), "copy it from the model"),
    "a tokenizer that is empty": Brought(lambda at: whole_but(at, tokenizer__json=""), 12, ("tokenizer.json is empty",), "fetch"),
    "no config": Brought(lambda at: whole_but(at, config__json=None), 12, ("config.json",), ""),
    "a link that leads nowhere": Brought(lambda at: dangling(at, "tokenizer.json"), 12, ("tokenizer.json is a link that leads nowhere",), "fetch the model again"),
    "weights that are a link to nowhere": Brought(lambda at: dangling(at, "model.safetensors"), 12, ("model.safetensors is a link that leads nowhere",), "fetch"),
    "an adapter of another base": Brought(
        lambda at: (checkpoint(at / "m"), lora(at, shape=(4096, 4096))), 10, (UNFIT, "4096 × 4096"), "base_model_name_or_path"
    ),
    "an adapter of a deeper model": Brought(
        lambda at: (checkpoint(at / "m"), lora(at, layer=40)), 10, (UNFIT, "which the model does not have"), "base_model_name_or_path"
    ),
    "an adapter with a whole head": Brought(
        lambda at: (checkpoint(at / "m"), lora(at, more={"base_model.model.lm_head.weight": (2048, 128)})), 10,
        ("lm_head.weight", "vllm does not serve"), "merge it",
    ),
    "an adapter by DoRA": Brought(lambda at: (checkpoint(at / "m"), lora(at, use_dora=True)), 10, ("trained with DoRA",), "merge it"),
    "an adapter with biases": Brought(lambda at: (checkpoint(at / "m"), lora(at, bias="all")), 10, ("trained with biases",), "merge it"),
    "an adapter of a wider rank than it says": Brought(
        lambda at: (checkpoint(at / "m"), lora(at, rank=64)), 10, (UNFIT, "has the rank 64", "makes room for 8"), ""
    ),
    "an adapter of a rank that nobody serves": Brought(
        lambda at: (checkpoint(at / "m"), lora(at, rank=1024, r=1024)), 10, ("has the rank 1024",), "smaller rank"
    ),
    "an adapter of another kind": Brought(
        lambda at: (checkpoint(at / "m"), lora(at, peft_type="IA3")), 12, ("is no LoRA adapter", "IA3"), ""
    ),
    "an adapter without tensors": Brought(
        lambda at: (checkpoint(at / "m"), lora(at), (at / "tone" / "adapter_model.safetensors").rename(at / "tone" / "adapter_model.bin")),
        12, ("safetensors",), "",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Google Cloud on this machine, one for all of these tests: its port, and the home that it lies in."""
    home = tmp_path_factory.mktemp("rehearsed")
    found = {"port": str(free_port("127.0.0.1")), "home": str(home)}
    yield found
    subprocess.run([*HOMEPORT, "rehearse", "stop"], env={"HOMEPORT_HOME": str(home)}, check=False)


@pytest.mark.parametrize("brought", CLOUD.values(), ids=CLOUD)
def test_it_ends_on_cloud_run_before_anything_is_made(
    user: User, rehearsal: Mapping[str, str], brought: Brought
) -> None:
    brought.make(user.folder)
    adapters = LORA.format(kind="") if (user.folder / "tone").is_dir() else ""
    user.write(on_cloudrun("brought", adapters))
    ended = rehearsed(user, rehearsal, "plan", code=brought.code)
    assert all(told in ended for told in brought.told), ended
    assert brought.do in ended


def on_cloudrun(name: str, more: str = "") -> str:
    return f'name = "{name}"\nmodel = "file:./m"\n[engine]\nkind = "vllm"\n{more}[cloudrun]\nproject = "my-proj"\n'


def rehearsed(user: User, rehearsal: Mapping[str, str], *words: str, code: int = 0) -> str:
    ran = user.run(
        "rehearse", "--port", rehearsal["port"], *words, code=code, HOMEPORT_HOME=rehearsal["home"]
    )
    return ran.err + ran.out


def test_what_is_doubtful_of_an_adapter_is_told_and_does_not_stop_it(
    user: User, rehearsal: Mapping[str, str]
) -> None:
    checkpoint(user.folder / "m")
    query = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_"
    adapter(user.folder / "tone", {f"{query}A.weight": (8, 128), f"{query}B.weight": (256, 8)})
    user.write(on_cloudrun("brought", LORA.format(kind="")))
    told = rehearsed(user, rehearsal, "plan")
    assert "may leave the adapter out without a word" in " ".join(told.split())
    shutil.rmtree(user.folder / "tone")
    lora(user.folder)
    assert "may leave the adapter out" not in rehearsed(user, rehearsal, "plan")


@pytest.mark.parametrize("name", ["google-gemma", "my-g00gle-llm", "not-google"])
def test_a_name_that_no_bucket_may_have_is_refused_before_anything_is_made(
    user: User, rehearsal: Mapping[str, str], name: str
) -> None:
    checkpoint(user.folder / "m")
    user.write(on_cloudrun(name))
    for words in (("plan",), ("up", "--yes")):
        told = rehearsed(user, rehearsal, *words, code=10)
        assert (
            f"the bucket would be my-proj-{name}-weights, and must not contain google, or what looks like it"
            in told
        )
        assert "give the endpoint another `name`" in told


HELPERS = ("m-mmproj-f16.gguf", "m-imatrix.gguf", "mtp-m.gguf", "ggml-vocab-m.gguf", "m-lora-f16.gguf")


@pytest.mark.parametrize(
    ("files", "source", "code", "told"),
    [
        (("m-Q8_0.gguf",), "", 0, "BF16"),
        (("m-Q8_0.gguf", *HELPERS), "", 0, "BF16"),
        (("m-Q8_0.gguf", *HELPERS), ":Q8_0", 0, "BF16"),
        (("m-Q8_0.gguf", "m-Q4_0.gguf"), ":q4_0", 0, "BF16"),
        (("Q8_0/m-Q8_0.gguf", "BF16/m-BF16.gguf"), ":BF16", 0, "BF16"),
        (("m-Q8_0.gguf", "m-Q4_0.gguf"), "", 12, "name one behind a colon: m-Q4_0.gguf, m-Q8_0.gguf"),
        (("m-Q8_0.gguf",), ":Q5_K_M", 12, "its GGUF files are m-Q8_0.gguf"),
        (HELPERS[:3], "", 12, "has no GGUF file"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_of_a_repository_of_ggufs_the_model_is_taken(
    user: User, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...], source: str, code: int, told: str
) -> None:
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        hub.push("some-org/ggufs", dict.fromkeys(files, TAUGHT.read_bytes()))
        fits = user.run("fit", f"hf:some-org/ggufs{source}", "--engine", "llamacpp", code=code)
        assert told in fits.out + fits.err
        user.write(f'name = "brought"\nmodel = "hf:some-org/ggufs{source}"\n[engine]\ncontext = 512\n')
        plan = user.run("plan", code=code)
        assert ("fits        yes" if code == 0 else told) in plan.out + plan.err


@pytest.mark.parametrize(
    ("status", "sentence", "do"),
    [
        (403, "Please enable access to public gated repositories in your fine-grained token settings.", "/settings/tokens"),
        (403, "Access to model some-org/gated is restricted and you are not in the authorized list.", "accept its licence"),
        (403, "Your request to access model some-org/gated is awaiting a review from the repo authors.", "some-org/gated"),
        (401, "Invalid credentials in Authorization header", "unset HF_TOKEN"),
        pytest.param(429, "We had to rate limit your IP.", "try again", marks=pytest.mark.long),
        pytest.param(503, "Internal Error - We're working hard to fix this as soon as possible!", "try again", marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_a_hubs_own_sentence_is_shown_with_what_to_do(
    user: User, monkeypatch: pytest.MonkeyPatch, status: int, sentence: str, do: str
) -> None:
    from hub import Answer

    def refuse(answer: Answer, name: str, *, files: bool) -> bool:
        if files:
            answer.error(status, "", sentence)
        return not files

    with Hub() as hub:
        hub.push("some-org/gated", {"m.gguf": TAUGHT.read_bytes()}, gated="manual")
        monkeypatch.setattr(hub, "_may", refuse)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_TOKEN", "hf_some")
        told = user.run("weights", "fetch", "hf:some-org/gated", code=None)
        assert told.code != 0
        assert f"the hub says: {sentence}" in told.err
        assert do in told.err
        assert "hf_some" not in told.err + told.out


def test_a_running_endpoint_is_asked_for_what_clients_stumble_over(user: User) -> None:
    shutil.copy(TAUGHT, user.folder / "m.gguf")
    user.write(FILE.format(more=""))
    user.run("up", "--yes", "--no-verify")
    only = [
        w
        for name in ("tools", "tool-choice", "mistakes", "unknown-model", "images")
        for w in ("--only", name)
    ]
    results = {one["name"]: one for one in user.run("verify", "--json", *only).json["results"]}
    assert results.pop("tools")["outcome"] == "passed"
    assert {one["outcome"] for one in results.values()} == {"noted"}
    assert "named: get_weather is called in place of get_time" in results["tool-choice"]["detail"]
    assert "a call without arguments in the history gets 500" in results["mistakes"]["detail"]
    assert "answers with 200" in results["unknown-model"]["detail"]
    assert "gets 500, not 4xx" in results["images"]["detail"]


def test_tokens_that_were_meant_for_the_engine_fail_the_verification(user: User) -> None:
    bare = (
        "{{ bos_token }}{% for m in messages %}{{ '<|turn>' + m['role'] + '\\n' + m['content'] + '<turn|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|turn>model\\n' }}{% endif %}"
    )
    gguf_with(user.folder / "m.gguf", values={"tokenizer.chat_template": bare})
    user.write(FILE.format(more=""))
    user.run("up", "--yes", "--no-verify")
    report = user.run("verify", "--json", "--only", "chat", "--only", "stream", code=3).json
    assert [one["outcome"] for one in report["results"]] == ["failed", "failed"]
    assert "control tokens are left in the text: <|channel>" in json.dumps(report)
