"""Does it fit, where, and what would make it fit: laws, choices, and the command."""

from __future__ import annotations

import json
import re
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport import catalog
from homeport.catalog import cloudrun, prices
from homeport.console.reckoned import reckoned
from homeport.engines.footprint import Device
from homeport.engines.registry import module
from homeport.errors import SpecError
from homeport.fit import Fit, Serving, fit
from homeport.fit.choice import Choice, choose
from homeport.fit.cloud import estimate, quotas
from homeport.fit.devices import Place, cloud, of_shape
from homeport.home import Home
from homeport.spec import CloudRun, Engine, Scaling
from made_headers import header_of
from places import TAUGHT, TAUGHT_FOLDER
from typist import Typist

GIB = 2**30
MODELS = [model for model in catalog.models() if "vllm" in model.weights]
KNOWN_PRICES = prices.load()
a_model = st.sampled_from(MODELS)
an_engine = st.sampled_from(["vllm", "ollama", "llamacpp"])
a_context = st.integers(128, 262_144)
some_users = st.integers(1, 512)
a_kv_dtype = st.sampled_from(["auto", "fp8"])


def served(name: str, engine: str = "vllm", **wanted: object) -> Serving:
    model = catalog.find(name)
    assert model is not None
    weights = catalog.published(model, engine)[0]
    return Serving(model=model, weights=weights, engine=engine, settings=Engine.model_validate(wanted))


def on(memory: int) -> Place:
    device = Device(name="a GPU", memory=memory, gpu=True)
    return Place(name="a place", device=device, host_memory=96 * GIB)


def price(place: Place) -> float:
    assert place.shape is not None
    return KNOWN_PRICES.hourly(place.shape, "us-central1").total


def chosen(name: str, *, gpu: str = "auto", engine: str = "vllm", **wanted: object) -> Choice:
    return choose(served(name, engine=engine, **wanted), price=price, region="us-central1", gpu=gpu)


def sequences(result: Fit) -> int:
    assert result.footprint is not None
    return result.footprint.sequences


@settings(max_examples=200, deadline=None)
@given(a_model, an_engine, a_context, a_context, some_users, st.integers(8, 192))
def test_more_context_never_fits_more_users(
    model: catalog.Model, engine: str, one: int, other: int, users: int, gib: int
) -> None:
    offered = catalog.published(model, engine)
    if not offered:
        return
    short, long = (
        fit(Serving(model=model, weights=offered[0], engine=engine,
                    settings=Engine(context=context, parallel=users)), on(gib * GIB))
        for context in sorted((one, other))
    )  # fmt: skip
    assert sequences(short) >= sequences(long)
    assert short.concurrency >= long.concurrency


@settings(max_examples=200, deadline=None)
@given(a_model, an_engine, a_context, some_users, st.integers(8, 192), st.integers(8, 192))
def test_a_bigger_gpu_never_fits_less(
    model: catalog.Model, engine: str, context: int, users: int, one: int, other: int
) -> None:
    offered = catalog.published(model, engine)
    if not offered:
        return
    what = Serving(
        model=model, weights=offered[0], engine=engine, settings=Engine(context=context, parallel=users)
    )
    small, large = (fit(what, on(gib * GIB)) for gib in sorted((one, other)))
    assert sequences(small) <= sequences(large)
    assert small.concurrency <= large.concurrency


@settings(max_examples=100, deadline=None)
@given(a_model, an_engine, a_context, st.integers(8, 96))
def test_so_many_as_are_promised_at_once_do_fit_and_one_more_does_not(
    model: catalog.Model, engine: str, context: int, gib: int
) -> None:
    offered = catalog.published(model, engine)
    if not offered:
        return
    what = Serving(model=model, weights=offered[0], engine=engine, settings=Engine(context=context))
    count = fit(what, on(gib * GIB)).concurrency
    if count:
        assert sequences(fit(what.wanting(parallel=count), on(gib * GIB))) >= count
    if count != module(engine).MOST_SEQUENCES:
        assert sequences(fit(what.wanting(parallel=count + 1), on(gib * GIB))) < count + 1


@settings(max_examples=100, deadline=None)
@given(a_model, a_context, some_users, a_kv_dtype)
def test_the_chosen_shape_passes_every_rule_and_holds_what_is_wanted(
    model: catalog.Model, context: int, users: int, kv_dtype: str
) -> None:
    what = served(model.name, context=min(context, model.context), parallel=users, kv_dtype=kv_dtype)
    choice = choose(what, price=price, region="us-central1")
    if choice.best is None:
        assert all(not one.fits for one in choice.tried)
        return
    shape = choice.best.place.shape
    assert shape is not None
    assert cloudrun.problems(shape, "us-central1") == []
    assert choice.best.concurrency >= users
    assert choice.best.longest_context() >= what.settings.context - 255
    cheaper = [one for one in choice.tried if price(one.place) < price(choice.best.place)]
    assert not any(one.fits for one in cheaper), "the cheapest that fits is chosen"


@settings(max_examples=100, deadline=None)
@given(a_model, a_context, some_users, st.sampled_from(["auto", "nvidia-l4", "nvidia-rtx-pro-6000"]))
def test_every_remedy_does_make_it_fit_and_none_is_dearer_than_a_milder_one(
    model: catalog.Model, context: int, users: int, gpu: str
) -> None:
    choice = chosen(model.name, gpu=gpu, context=min(context, model.context), parallel=users)
    assert all(remedy.fit.fits for remedy in choice.remedies)
    costs = [remedy.price for remedy in choice.remedies]
    assert costs == sorted(costs)
    keys = [frozenset(remedy.settings.items()) for remedy in choice.remedies]
    assert len(keys) == len(set(keys))


@settings(max_examples=100, deadline=None)
@given(a_model, st.integers(1, 64), st.integers(16, 128))
def test_the_longest_context_is_the_longest(model: catalog.Model, users: int, gib: int) -> None:
    result = fit(served(model.name, parallel=users), on(gib * GIB))
    longest = result.longest_context()
    if longest:
        assert result.wanting(context=longest).concurrency >= users
    if longest + 256 <= result.what.most_context:
        assert result.wanting(context=longest + 256).concurrency < users


@pytest.mark.parametrize(
    "shape", [shape for gpu in cloudrun.gpus() for shape in gpu.shapes], ids=lambda s: s.text
)
def test_every_shape_keeps_the_rules_of_cloud_run(shape: cloudrun.Shape) -> None:
    """The rules of facts: CPU and memory at least, one GPU, regions."""
    gpu = cloudrun.gpu(shape.gpu)
    assert gpu is not None
    least = {"nvidia-l4": (4, 16), "nvidia-rtx-pro-6000": (20, 80)}[shape.gpu]
    assert (shape.cpu, shape.memory_gib) >= least
    assert shape.memory_gib <= 4 * shape.cpu
    assert all(cloudrun.problems(shape, region) == [] for region in gpu.regions)
    assert cloudrun.problems(replace(shape, cpu=shape.cpu - 1), gpu.regions[0])
    assert cloudrun.problems(shape, "us-west1")


def test_a_shape_of_an_unknown_gpu_is_a_problem_in_words() -> None:
    shape = cloudrun.Shape(gpu="h100", cpu=4, memory_gib=16)
    assert "Cloud Run has no GPU h100" in cloudrun.problems(shape, "us-central1")[0]


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("gemma-4-e2b", 10.2),
        ("gemma-4-e4b", 16.0),
        ("gemma-4-12b", 24.0),
        ("gemma-4-26b-a4b", 51.6),
        ("gemma-4-31b", 62.578670545),
    ],
)
def test_the_sum_of_the_tensors_is_the_size_that_the_hub_shows(name: str, gigabytes: float) -> None:
    model = catalog.find(name)
    assert model is not None
    assert model.parts is not None
    assert model.parts.total / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_what_the_gpu_holds_of_e2b_without_its_ear_is_what_was_measured() -> None:
    """8.97 GiB were reported on a GPU without the audio encoder."""
    model = catalog.find("gemma-4-e2b")
    assert model is not None
    assert model.parts is not None
    assert (model.parts.total - model.parts.audio) / GIB == pytest.approx(8.97, rel=0.01)


@pytest.mark.parametrize("model", [m for m in catalog.models() if m.variants], ids=lambda m: m.name)
def test_variants_are_smaller_than_the_weights_that_they_stand_in_for(model: catalog.Model) -> None:
    usual, *others = catalog.published(model, "vllm")
    assert others
    assert all(0 < other.size < usual.size for other in others)


@pytest.mark.parametrize("model", catalog.models(), ids=lambda model: model.name)
def test_no_weights_of_the_catalog_are_without_a_size(model: catalog.Model) -> None:
    engines = [engine for engine in model.weights if engine != "bucket"]
    assert all(one.size for engine in engines for one in catalog.published(model, engine))


def test_online_fp8_halves_the_matrices_and_leaves_the_rest() -> None:
    """25.26 GiB of 48.07 were worked out independently for this model from vLLM's source; tables and keys are 0.40 more."""
    result = fit(served("gemma-4-26b-a4b", quantization="fp8"), cloud("us-central1")[-1])
    assert result.footprint is not None
    assert result.footprint.fixed[0].size / GIB == pytest.approx(25.26 + 0.40, rel=0.01)


def test_the_smallest_gpu_is_taken_and_the_runner_up_is_named() -> None:
    choice = chosen("gemma-4-e2b", context=8192, parallel=16)
    assert choice.best is not None
    assert choice.best.place.shape == cloudrun.Shape(gpu="nvidia-l4", cpu=4, memory_gib=16)
    assert "next is nvidia-l4 8 CPU 32 GiB at $1.42" in choice.why


def test_a_model_too_large_for_the_gpu_asked_for_is_offered_the_next_one() -> None:
    choice = chosen("gemma-4-31b", gpu="nvidia-l4")
    assert choice.best is None
    assert [remedy.change for remedy in choice.remedies] == ["on nvidia-rtx-pro-6000 20 CPU 80 GiB"]


def test_a_cache_too_small_is_offered_fp8_and_lighter_weights() -> None:
    choice = chosen("gemma-4-31b", context=32_768, parallel=8)
    assert {next(iter(remedy.settings)) for remedy in choice.remedies} == {
        "engine.kv_dtype",
        "engine.quantization",
        "weights",
    }


def test_weights_for_blackwell_are_told_to_be_slower_elsewhere() -> None:
    model = catalog.find("gemma-4-26b-a4b")
    assert model is not None
    nvfp4 = next(one for one in catalog.published(model, "vllm") if one.quantization == "nvfp4")
    what = Serving(model=model, weights=nvfp4, engine="vllm", settings=Engine(context=1024, parallel=1))
    result = fit(what, cloud("us-central1", "nvidia-l4")[0])
    assert result.footprint is not None
    assert "slower" in result.footprint.unknown[0]


def test_what_gives_up_nearly_all_is_no_remedy() -> None:
    choice = chosen("gemma-4-26b-a4b", context=262_144, parallel=64)
    kept = [remedy.fit.what.settings for remedy in choice.remedies]
    assert all(one.context * one.parallel >= 262_144 * 64 / 4 for one in kept)


def test_a_gpu_of_another_region_is_a_remedy() -> None:
    choice = choose(served("gemma-3-27b"), price=price, region="europe-west1")
    assert [remedy.settings for remedy in choice.remedies if "cloudrun.region" in remedy.settings] == [
        {"cloudrun.region": "europe-west4"}
    ]


def test_memory_beside_the_gpu_counts() -> None:
    place = replace(cloud("us-central1")[0], host_memory=8 * GIB)
    result = fit(served("gemma-4-e2b"), place)
    assert not result.fits
    assert "beside the GPU" in result.problems[0]
    assert result.binds == "memory beside the GPU"


def test_a_model_of_unknown_architecture_is_not_guessed_at() -> None:
    what = served("gemma-4-e2b")
    result = fit(replace(what, model=replace(what.model, architecture=None)), cloud("us-central1")[0])
    assert not result.fits
    assert "cannot be sized" in result.problems[0]
    assert result.at(4096) == 0


def test_not_known_is_a_word_and_an_exit_code_of_its_own(typist: Typist) -> None:
    begin, size = header_of({"model.layers.0.mlp.up_proj.weight": ("BF16", (4, 4))})
    (typist.folder / "model.safetensors").write_bytes(begin + bytes(size - len(begin)))
    (typist.folder / "config.json").write_text(
        json.dumps({**LLAMA, "model_type": "mamba2", "num_hidden_layers": 1})
    )
    for more in ([], ["--gpu", "nvidia-l4"]):
        shown = typist.run("fit", ".", *more, code=42).out
        assert "nothing fits" not in shown
        assert "✗" not in shown
        assert "vllm on Cloud Run: not known: how" in shown
    answer = typist.run("fit", ".", "--json", code=42).json
    assert answer["rows"][0]["fits"] is None
    assert answer["cloudrun"]["vllm"]["fits"] is None
    assert "is not known: how . keeps its KV cache is new" in typist.run("cost", ".", code=42).err


def test_a_model_of_embeddings_is_said_to_give_vectors(typist: Typist) -> None:
    assert "it gives vectors" in typist.run("fit", "embeddinggemma-300m").out
    assert "it gives vectors" not in typist.run("fit", "gemma-4-e2b").out


def test_quotas_say_what_a_new_project_lacks() -> None:
    rtx = of_shape(cloudrun.gpus()[1].shapes[0]).shape
    assert rtx is not None
    by_name = {quota.what: quota for quota in quotas(rtx, CloudRun(), Scaling(max=2))}
    gpu = by_name["NvidiaRtxPro6000GpuAllocNoZonalRedundancyPerProjectRegion"]
    assert (gpu.needs, gpu.default, gpu.suffices) == (2000, 3000, True)
    assert (
        by_name["MemAllocPerProjectRegion"].text
        == "MemAllocPerProjectRegion wants 160 GiB, a new project has 40"
    )
    assert not by_name["CpuAllocPerProjectRegion"].suffices


def test_a_region_without_the_gpu_is_an_error_that_names_those_with_it() -> None:
    with pytest.raises(SpecError, match="no nvidia-rtx-pro-6000 in us-east4") as refused:
        estimate(
            served("gemma-4-e2b"),
            CloudRun.model_construct(region="us-east4", gpu="nvidia-rtx-pro-6000"),
            KNOWN_PRICES,
        )
    assert "europe-west4" in refused.value.hint


def test_a_copy_for_the_cpu_takes_the_place_of_what_it_copies() -> None:
    """llama.cpp maps the file: pages of tensors that it has copied are dropped when memory is short."""
    what = served("gemma-4-31b", "llamacpp")
    place = Place(name="here", device=Device(name="here", memory=24 * GIB, gpu=False), host_memory=24 * GIB)
    result = fit(what, place)
    assert result.footprint is not None
    terms = {term.what: term.size for term in result.footprint.fixed}
    assert terms["weights"] + terms["repacked matrices"] == what.weights.size
    assert result.fits


# The command.

LLAMA = {
    "model_type": "llama",
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14_336,
    "vocab_size": 128_256,
    "max_position_embeddings": 131_072,
}


@pytest.mark.parametrize("model", catalog.models(), ids=lambda model: model.name)
def test_every_model_of_the_catalog_gets_a_table(typist: Typist, model: catalog.Model) -> None:
    shown = typist.run("fit", model.name).out
    assert "nvidia-l4 4 CPU 16 GiB" in shown
    assert "this machine" in shown
    assert re.search(r"[✓✗] +nvidia-rtx-pro-6000", shown)


def test_fit_of_a_catalog_model_opens_no_socket_at_all(
    typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "__init__", refused)
    assert "nvidia-rtx-pro-6000" in typist.run("--debug", "fit", "gemma-4-31b").out


def test_the_answer_as_json_has_what_the_table_shows(typist: Typist) -> None:
    answer = typist.run("fit", "gemma-4-31b", "--gpu", "nvidia-rtx-pro-6000", "--context", "32768",
                      "--quantization", "fp8", "--kv-dtype", "fp8", "--json").json  # fmt: skip
    assert answer["context"] == 32768
    assert [row["engine"] for row in answer["rows"]] == ["vllm"]
    row = answer["rows"][0]
    assert row["fits"]
    assert row["kv_cache"]["sequences"] == row["concurrency"] >= 4
    assert answer["cloudrun"]["vllm"]["flags"]["--kv-cache-dtype"] == "fp8"
    assert answer["cloudrun"]["vllm"]["cold_starts"]["stream"]["likely_s"] > 60


def test_explain_shows_how_each_number_came_about(typist: Typist) -> None:
    shown = typist.run("fit", "gemma-4-e4b", "--gpu", "nvidia-l4", "--engine", "vllm", "--explain").out
    for words in ("92% (--gpu-memory-utilization", "two bytes a number", "layers with a window of 512",
                  "global layers", "memory beside the GPU", "an allowance"):  # fmt: skip
        assert words in shown


def test_what_an_engine_cannot_do_leaves_it_out_with_a_note(typist: Typist) -> None:
    shown = typist.run("fit", "gemma-4-e2b", "--kv-dtype", "q8_0").out
    assert "vllm on Cloud Run is left out: engine.kv_dtype q8_0 cannot be honoured by vllm" in shown
    assert "ollama" in shown


def test_a_model_of_ones_own_is_not_offered_its_own_weights_as_lighter_ones(typist: Typist) -> None:
    begin, size = header_of(
        {f"model.layers.{at}.mlp.up_proj.weight": ("BF16", (4096, 4096)) for at in range(32)}
    )
    with (typist.folder / "model.safetensors").open("wb") as file:
        file.write(begin)
        file.truncate(size)
    (typist.folder / "config.json").write_text(json.dumps(LLAMA))
    answer = typist.run("fit", ".", "--context", "32768", "--parallel", "30", "--json").json
    assert answer["cloudrun"]["vllm"]["remedies"]
    assert not any("weights" in remedy["settings"] for remedy in answer["cloudrun"]["vllm"]["remedies"])


def test_a_file_of_tensors_wants_its_folder_and_all_its_layers(typist: Typist) -> None:
    begin, size = header_of({"model.layers.0.mlp.up_proj.weight": ("BF16", (4, 4))})
    (typist.folder / "model.safetensors").write_bytes(begin + bytes(size - len(begin)))
    (typist.folder / "config.json").write_text(json.dumps(LLAMA))
    assert "name the folder" in typist.run("fit", "./model.safetensors", code=12).err
    assert "the tensors of 1 layers, and its config.json announces 32" in typist.run("fit", ".", code=12).err


def test_prices_of_nothing_and_redundancy_across_zones_are_no_mistake(typist: Typist) -> None:
    free = "[gpu_second.tier-1]\nnvidia-l4 = { no-zonal = 0, zonal = 0 }\n[cpu_second]\ntier-1 = 0\n[memory_gib_second]\ntier-1 = 0\n"
    (typist.folder / "free.toml").write_text(free)
    assert "0.00" in typist.run("fit", "gemma-4-e2b", "--gpu", "nvidia-l4", "--prices", "free.toml").out
    shown = typist.run("fit", "gemma-4-e2b", "--gpu", "nvidia-l4", "--zonal").out
    assert "1.42" in shown
    assert "quotas allow is not known" in shown
    assert "nobody says what a new project has" in shown


def test_a_quantization_that_nobody_here_knows_is_said_to_count_as_published(typist: Typist) -> None:
    shown = typist.run("fit", "gemma-4-e2b", "--quantization", "nonsense").out
    assert "what nonsense makes of the weights is not known" in shown


def test_no_more_requests_are_promised_than_cloud_run_sends(typist: Typist) -> None:
    shown = typist.run("fit", "gemma-4-e2b", "--context", "128", "--parallel", "1024").out
    assert "Cloud Run gives an instance 1,000 requests at once at most" in shown


def test_a_folder_with_two_ggufs_wants_to_be_told_which(typist: Typist) -> None:
    for name in ("a.gguf", "b.gguf"):
        (typist.folder / name).write_bytes(TAUGHT.read_bytes())
    assert "several GGUF files" in typist.run("fit", ".", code=12).err


def test_a_file_here_is_looked_at_with_its_own_settings(typist: Typist) -> None:
    typist.write(
        'model = "gemma-4-e4b"\n[engine]\ncontext = 16384\nparallel = 6\n[cloudrun]\nregion = "europe-west4"\n'
    )
    shown = typist.run("fit").out
    assert "6 × 16,384 tokens" in shown
    assert "europe-west4" in shown
    plan = typist.run("plan").out
    assert "on Cloud Run  vllm on nvidia-l4" in plan
    assert re.search(r"price +\$1.05", plan)
    assert "cold start" in plan
    assert re.search(r"fits +yes: about", plan)


def test_what_will_not_work_with_a_chat_template_is_told_of_files_that_are_here(typist: Typist) -> None:
    told = "note: chat template: it ignores the tools of a request"
    shutil.copytree(TAUGHT_FOLDER, typist.folder / "m")
    assert "chat template" not in typist.run("fit", "./m").out
    (typist.folder / "m" / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    assert told in typist.run("fit", "./m").out
    assert "engine.chat_template" in " ".join(typist.run("fit", "./m", "--json").json["notes"])
    (typist.folder / "m" / "chat_template.jinja").unlink()
    assert "note: chat template: the model has none" in typist.run("fit", "./m", "--engine", "vllm").out
    shutil.copy(TAUGHT_FOLDER / "chat_template.jinja", typist.folder / "own.jinja")
    typist.write('name = "m"\nmodel = "./m"\n[engine]\nchat_template = "own.jinja"\n')
    assert "chat template" not in typist.run("fit").out
    assert "chat template" not in typist.run("fit", "gemma-4-e2b").out


def test_the_template_is_judged_for_the_engine_of_the_file_and_by_name_where_engines_differ(
    typist: Typist,
) -> None:
    shutil.copy(TAUGHT, typist.folder / "m.gguf")
    own = "note: not checked: chat template: Ollama makes one of its own"
    typist.write('name = "m"\nmodel = "./m.gguf"\n[engine]\nkind = "ollama"\n')
    assert own in typist.run("fit").out
    assert "chat template" not in typist.run("fit", "--engine", "llamacpp").out
    typist.write('name = "m"\nmodel = "./m.gguf"\n')
    shown = typist.run("fit").out
    assert own.replace("note: ", "note: ollama: ") in shown
    assert "llamacpp: " not in shown
    page = reckoned(None, None, None, file=typist.folder / "homeport.toml", home=Home(typist.home))
    assert page["fit"]["notes"] == typist.run("fit", "--json").json["notes"]


def test_a_gguf_file_is_sized_by_its_header(typist: Typist) -> None:
    (typist.folder / "mine.gguf").write_bytes(TAUGHT.read_bytes())
    answer = typist.run("fit", "mine.gguf", "--json").json
    here = next(row for row in answer["rows"] if row["place"] == "this machine")
    assert here["fits"]
    assert here["weights"]["bytes"] == pytest.approx(TAUGHT.stat().st_size, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fit", "gema-4-e2b"], 11, "did you mean gemma-4-e2b"),
        (["fit", "gemma-4-e2b", "--gpu", "h100"], 10, "it has nvidia-l4, nvidia-rtx-pro-6000"),
        (["fit", "gemma-4-e2b", "--region", "mars"], 10, "there is one in asia-south1"),
        (["fit", ""], 11, "the catalog knows no model ''"),
        (["fit", "gemma-4-e2b", "--context", "262144"], 10, "made for 131,072 tokens"),
        (["fit", "."], 12, "holds no safetensors"),
        (["fit", "./nowhere.gguf"], 12, "nowhere.gguf"),
        (["fit"], 10, "homeport init"),
        (["fit", "gemma-3-270m-pt", "--engine", "ollama"], 10, "nothing to look at"),
        (["cost", "gemma-4-31b", "--gpu", "nvidia-l4"], 18, "nvidia-rtx-pro-6000 20 CPU 80 GiB"),
    ],
)
def test_bad_questions_get_one_clear_answer(
    typist: Typist, arguments: list[str], code: int, said: str
) -> None:
    refused = typist.run(*arguments, code=code)
    assert said in refused.err
    assert "Traceback" not in refused.err


def test_up_refuses_what_cannot_fit_before_anything_is_fetched(typist: Typist) -> None:
    typist.write('model = "gemma-4-e2b"\n[engine]\ncontext = 131072\nparallel = 256\n')
    refused = typist.run("up", "--yes", code=18)
    assert "does not fit this machine" in refused.err
    assert "set engine.context to at most" in refused.err
    assert not list(Path(typist.home).rglob("*.gguf"))


def test_up_refuses_settings_before_anything_is_fetched(typist: Typist) -> None:
    typist.write('model = "gemma-4-e2b"\n[engine]\nquantization = "fp8"\n')
    assert "cannot be honoured by llamacpp" in typist.run("up", "--yes", code=10).err
    typist.write('model = "gemma-4-e2b"\n[engine]\ncontext = 9000000\n')
    assert "was made for" in typist.run("plan", code=10).err
