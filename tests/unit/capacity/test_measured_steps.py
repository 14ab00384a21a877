"""Steps that benches measured are found again, with a band; benches of something else are refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benches import bench_of
from homeport.bench.result import BenchResult
from homeport.capacity.answer import CapacityPlan
from homeport.capacity.closed_loop import closed_loop
from homeport.capacity.measured_steps import LEAST_BAND, least, measured_steps
from homeport.capacity.objectives import parsed
from homeport.capacity.plan import CapacityQuestion, plan_capacity
from homeport.capacity.replica import BatchLimits
from homeport.capacity.roofline import StepSpeed, batch_limits, step_time_at
from homeport.capacity.step_time import paced
from homeport.errors import SpecError
from homeport.fit import Fit, fit
from homeport.fit.devices import cloud
from homeport.fit.subject import subject
from homeport.spec import Engine
from homeport.traffic import Arrival, Lengths, Trace, poisson
from typist import Typist

REAL = StepSpeed(bandwidth=180e9, flops=30e12, overhead_s=0.009)
"""Other than what is likely of an L4: 225 GB/s, 54 TFLOPS, 5 ms."""


def on_l4(parallel: int = 4) -> Fit:
    served = subject("gemma-4-e4b", Path()).served("vllm", Engine(context=4096, parallel=parallel))
    return fit(served, cloud("europe-west4", "nvidia-l4")[0])


def benches(noise: float = 0.0, way_s: float = 0.0) -> list[BenchResult]:
    place = on_l4()
    times, limits = step_time_at(place, REAL), batch_limits(place)
    return [
        bench_of(times, limits, lengths=lengths, noise=noise, way_s=way_s)
        for lengths in ((128, 64), (2000, 16))
    ]


def test_users_who_wait_for_each_step_together_see_what_steps_come_to() -> None:
    found = closed_loop(4, (1, 20), paced(0.1), BatchLimits(sequences=4, step_tokens=64, cache_tokens=10**6))
    assert 20 * 0.1 <= found.e2e_s <= 21 * 0.1
    assert 0.1 <= found.ttft_s <= 0.2


def test_users_beyond_what_is_served_at_once_wait_for_the_others() -> None:
    """Two at once of four: Little's law, with twice the stay."""
    limits = BatchLimits(sequences=2, step_tokens=64, cache_tokens=10**6)
    assert closed_loop(4, (1, 20), paced(0.1), limits).e2e_s == pytest.approx(2 * 2.0, rel=0.15)


def test_the_speed_of_an_engine_is_found_again() -> None:
    found = measured_steps(benches(way_s=0.03), on_l4())
    assert found.way_s == pytest.approx(0.03, rel=0.15)
    assert found.speed.flops == pytest.approx(REAL.flops, rel=0.03)
    assert found.off < 0.01
    assert found.band == 1 + LEAST_BAND
    steps = [step_time_at(on_l4(), one).decode(4, 1000)[0] for one in (found.speed, REAL)]
    assert steps[0] == pytest.approx(steps[1], rel=0.01)


def test_noise_of_the_benches_is_in_the_band() -> None:
    found = measured_steps(benches(noise=0.1), on_l4())
    assert 0.03 < found.off < 0.15
    assert found.band >= 1 + found.off
    decode = {pace: found.of(on_l4(), pace).decode(4, 1000)[0] for pace in ("slow", "likely", "fast")}
    real = step_time_at(on_l4(), REAL).decode(4, 1000)[0]
    assert decode["fast"] < real < decode["slow"]
    assert decode["slow"] == pytest.approx(found.band * decode["likely"])


def test_a_load_beyond_the_concurrency_waited_before_the_engine_and_is_left_out() -> None:
    place = on_l4()
    times, limits = step_time_at(place, REAL), batch_limits(place)
    found = measured_steps([bench_of(times, limits, users=(1, 2, 4, 8, 16))], place)
    assert found.loads == 3


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"engine": "ollama"}, "is of ollama, not of vllm"),
        ({"model": "gemma-4-e2b"}, "is of gemma-4-e2b, not of gemma-4-e4b"),
        ({"model": "no-such"}, "is of no-such, not of gemma-4-e4b"),
        ({"max_instances": 3}, "more than one instance"),
        ({"rehearsed": True}, "of a rehearsal"),
        ({"rehearsed": None}, "did not write down whether it was rehearsed"),
        ({"max_instances": None}, "more than one instance"),
        ({"users": (1, 2)}, "steps want 3"),
        ({"users": (2, 3, 4)}, "one user among them"),
        ({"doubts": ("usage counts wrongly",)}, "no result"),
    ],
)
def test_a_bench_of_something_else_is_refused(changed: dict[str, object], says: str) -> None:
    place = on_l4()
    result = bench_of(step_time_at(place, REAL), batch_limits(place), **changed)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=says):
        measured_steps([result], place)


@pytest.mark.parametrize("model", ["gemma4:e4b", "google/gemma-4-E4B-it"])
def test_a_model_is_known_by_every_name_that_the_catalog_has_for_it(model: str) -> None:
    place = on_l4()
    assert (
        measured_steps([bench_of(step_time_at(place, REAL), batch_limits(place), model=model)], place).loads
        == 3
    )


def test_a_model_of_a_hub_is_known_by_the_name_that_its_clients_use() -> None:
    place = on_l4()
    place = replace(
        place, what=replace(place.what, model=replace(place.what.model, name="hf:somebody/its-tune:Q8_0"))
    )
    steps, limits = step_time_at(place, REAL), batch_limits(place)
    assert measured_steps([bench_of(steps, limits, model="its-tune")], place).loads == 3
    with pytest.raises(SpecError, match="is of gemma-4-e4b, not of hf:somebody/its-tune"):
        measured_steps([bench_of(steps, limits)], place)


@pytest.mark.parametrize("times", [0.1, 60])
def test_a_bench_that_no_such_gpu_can_have_given_is_refused(times: float) -> None:
    place = on_l4()
    result = bench_of(step_time_at(place, REAL.slower(times)), batch_limits(place))
    with pytest.raises(SpecError, match="another GPU or model"):
        measured_steps([result], place)


def test_a_valley_that_lies_across_all_axes_is_followed() -> None:
    def cost(at: Sequence[float]) -> float:
        return (at[0] + at[1] - 1) ** 2 + 0.01 * (at[0] - at[1]) ** 2

    assert least(cost, [0.0, 0.0]) == pytest.approx([0.5, 0.5], abs=0.02)


def trace(rate: float, seconds: float, tokens: int) -> Trace:
    lengths = Lengths(input=tokens, output=60).drawn()
    return Trace(
        name="drawn", arrivals=tuple(Arrival(at, *next(lengths)) for at in poisson(rate, seconds, seed=3))
    )


def planned(
    folder: Path, *, tokens: int = 300, gpu: str = 'gpu = "nvidia-l4"', found: list[BenchResult]
) -> CapacityPlan:
    file = folder / "homeport.toml"
    file.write_text(
        f'name = "x"\nmodel = "gemma-4-e4b"\n[engine]\ncontext = 8192\nparallel = 4\n[cloudrun]\n{gpu}\n'
    )
    question = CapacityQuestion(
        wanted={}, engine=None, objectives=parsed("ttft=2s"), shares=(1.0,), curve="flat", search=True,
        prices=None, benches=tuple(found),
    )  # fmt: skip
    return plan_capacity(None, file, trace(0.5, 300, tokens), question, lambda _: None)


def test_a_plan_of_measured_steps_has_a_narrow_band_and_says_what_it_rests_on(tmp_path: Path) -> None:
    plan = planned(tmp_path, found=benches(way_s=0.03))
    best = plan.best
    assert best is not None
    assert best.engine == "vllm"
    assert "(measured; 5% either way)" in best.step
    assert any(note.startswith("steps are those of 6 measured loads") for note in plan.notes)
    assert not any("not measured" in note for note in plan.notes)
    likely, slow, fast = (one.itl.p50 or 0.0 for one in (best.likely, best.slow, best.fast))
    assert fast <= likely <= slow <= 1.2 * likely
    assert best.likely.ttft.p50 is not None
    assert best.likely.ttft.p50 > 0.03


def test_prompts_longer_than_those_that_were_measured_are_told(tmp_path: Path) -> None:
    plan = planned(tmp_path, tokens=5000, found=benches())
    assert any("5,000 tokens, the benches of 2,000 at most" in note for note in plan.notes)


def test_a_bench_wants_the_gpu_that_was_measured(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="which GPU was measured"):
        planned(tmp_path, gpu="", found=benches())


def test_the_command_takes_the_files_of_benches(typist: Typist) -> None:
    typist.write(
        'name = "x"\nmodel = "gemma-4-e4b"\n[engine]\ncontext = 8192\nparallel = 4\n[cloudrun]\ngpu = "nvidia-l4"\n'
    )
    rows = "\n".join(f"{number},300,60" for number in range(60))
    (typist.folder / "trace.csv").write_text(f"seconds,input,output\n{rows}\n")
    names = []
    for number, one in enumerate(benches()):
        (typist.folder / f"{number}.json").write_text(json.dumps(one.as_json()))
        names += ["--bench", f"{number}.json"]
    ran = typist.run("capacity", "--trace", "trace.csv", *names)
    assert "(measured; 5% either way)" in ran.out
    (typist.folder / "no.json").write_text("{}")
    assert (
        "is no result of a bench"
        in typist.run("capacity", "--trace", "trace.csv", "--bench", "no.json", code=10).err
    )


def test_a_bench_that_tells_another_gpu_is_refused_and_one_of_the_same_is_not() -> None:
    def told(gpu: str) -> list[BenchResult]:
        return [replace(one, setting=replace(one.setting, gpu=gpu)) for one in benches()]

    measured_steps(told("nvidia-l4"), on_l4())
    with pytest.raises(SpecError, match="is of nvidia-rtx-pro-6000, not of nvidia-l4"):
        measured_steps(told("nvidia-rtx-pro-6000"), on_l4())
