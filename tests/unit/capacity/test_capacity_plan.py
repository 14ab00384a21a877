"""A plan of capacity adds up, finds what keeps the objectives, and says what it is not sure of."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path

import pytest

from homeport.capacity.answer import CapacityPlan, PlannedCapacity, settings_of
from homeport.capacity.day import CURVES, busiest_hour, curve, hourly
from homeport.capacity.objectives import Objectives, parsed
from homeport.capacity.plan import CapacityQuestion, plan_capacity
from homeport.capacity.roofline import step_time
from homeport.cli.capacity_text import text
from homeport.cost.usage import MONTH_HOURS
from homeport.errors import SpecError
from homeport.fit import fit
from homeport.fit.devices import cloud
from homeport.fit.subject import subject
from homeport.spec import Engine, load
from homeport.traffic import Arrival, Lengths, Trace, poisson
from places import ROOT
from typist import Typist

CLOUD = '[cloudrun]\ngpu = "nvidia-l4"\n'


def trace(rate: float, seconds: float) -> Trace:
    lengths = Lengths(input=300, output=60, spread=0.5).drawn()
    return Trace(
        name="drawn", arrivals=tuple(Arrival(at, *next(lengths)) for at in poisson(rate, seconds, seed=3))
    )


def planned(
    folder: Path,
    traffic: Trace,
    slo: str,
    *,
    search: bool = True,
    file: str = CLOUD,
    shares: tuple[float, ...] = (1.0, 0.1, *[0.0] * 22),
    share: float = 0.95,
) -> CapacityPlan:
    (folder / "homeport.toml").write_text(f'name = "x"\nmodel = "gemma-4-e4b"\n{file}')
    question = CapacityQuestion(
        wanted={},
        engine="vllm",
        objectives=parsed(slo, share),
        shares=shares,
        curve="drawn",
        search=search,
        prices=None,
    )
    return plan_capacity(None, folder / "homeport.toml", traffic, question, lambda _: None)


def test_the_cheapest_setting_keeps_the_objectives_and_costs_what_its_hours_cost(tmp_path: Path) -> None:
    plan = planned(tmp_path, trace(0.5, 300), "ttft=2s")
    best = plan.best
    assert best is not None
    assert best.keeps
    assert best.likely.kept >= 0.95
    assert best.likely.ttft.p95 is not None
    assert best.likely.ttft.p95 <= 2
    hours = best.likely.gpu_hours
    assert best.month_flat_usd == pytest.approx(hours * MONTH_HOURS * best.usd_per_hour)
    low, high = best.month_flat_band_usd
    assert low <= best.month_flat_usd <= high
    assert best.month_curve_usd < best.month_flat_usd / 2, "two hours of the day have traffic"
    keys = {f"{table}.{key}": value for table, key, value in settings_of(plan)}
    assert keys["engine.parallel"] == f"{best.concurrency}"
    assert best.fast.ttft.p50 is not None
    assert best.slow.ttft.p50 is not None
    assert best.fast.ttft.p50 < best.slow.ttft.p50


def test_at_one_price_more_is_let_in_at_once_so_that_slow_steps_keep_the_objectives_too(
    tmp_path: Path,
) -> None:
    plan = planned(tmp_path, trace(0.5, 300), "ttft=2s")
    best = plan.best
    assert best is not None
    assert best.slow.kept >= 0.95
    same_price = [one for one in plan.runners_up if one.endswith(f" ${best.month_flat_usd:,.0f} a month")]
    at_once = [int(found[1]) for one in same_price if (found := re.search(r" (\d+) at once", one))]
    assert all(one <= best.concurrency for one in at_once)


def test_starts_with_a_startup_cache_are_expected_to_be_shorter(tmp_path: Path) -> None:
    without, kept = (
        planned(
            tmp_path, trace(0.5, 60), "ttft=2s", search=False, file=f'{CLOUD}startup_cache = "{one}"\n'
        ).as_written
        for one in ("off", "auto")
    )
    assert without is not None
    assert kept is not None
    assert kept.cold_start_s[1] < without.cold_start_s[1]


def test_what_is_longer_than_the_context_is_not_served_and_not_forgotten(tmp_path: Path) -> None:
    traffic = trace(0.5, 200)
    long = Trace(name="long", arrivals=(*traffic.arrivals, Arrival(200.0, 5000, 10)))
    plan = planned(tmp_path, long, "", search=False)
    assert plan.as_written is not None
    assert plan.as_written.likely.too_long == 1
    assert plan.as_written.likely.requests == len(long.arrivals)
    assert any("5010" in note for note in plan.notes)


def test_an_objective_that_nothing_keeps_is_said_to_be_kept_by_nothing(tmp_path: Path) -> None:
    plan = planned(tmp_path, trace(0.3, 120), "itl=1ms")
    assert plan.best is None
    assert any(note.startswith("nothing that was tried keeps") for note in plan.notes)


def test_a_step_reads_what_a_step_reads_and_no_tables() -> None:
    """Gemma 4 E4B keeps 5.6 GB of embeddings for its layers, which are looked up, and encoders that text does not pass."""
    served = subject("gemma-4-e4b", Path()).served("vllm", Engine(context=4096, parallel=1))
    times = step_time(fit(served, cloud("us-central1", "nvidia-l4")[0]), "likely")
    read = (1_342_177_280 + 7_945_584_640 + 1_120_256) / (0.75 * 300e9)
    assert times.weights_s(1) == pytest.approx(read)
    fixed, per_token, _ = times.decode(1, 1000)
    assert 0.035 < fixed + 1000 * per_token < 0.055


def test_a_mixture_reads_more_experts_for_more_tokens_and_never_more_than_there_are() -> None:
    served = subject("gemma-4-26b-a4b", Path()).served("vllm", Engine(context=4096, parallel=1))
    times = step_time(fit(served, cloud("us-central1", "nvidia-rtx-pro-6000")[0]), "likely")
    by_batch = [times.weights_s(count) for count in (1, 4, 16, 1024)]
    assert all(fewer < more for fewer, more in itertools.pairwise(by_batch))
    assert by_batch[-1] < 52e9 / (0.75 * 1.6e12)


def test_a_day_has_the_trace_as_its_busiest_hour() -> None:
    traffic = trace(1.0, 600)
    day = list(hourly(busiest_hour(traffic.arrivals, 600), CURVES["office"]))
    by_hour = Counter(int(one.seconds // 3600) for one in day)
    assert by_hour[10] == max(by_hour.values()) == pytest.approx(6 * len(traffic.arrivals), rel=0.02)
    assert by_hour[2] < by_hour[10] / 10


@pytest.mark.parametrize(
    "text",
    [
        "night",
        "1,2",
        ",".join(["0"] * 24),
        ",".join(["-1"] * 24),
        ",".join(["nan"] * 24),
        ",".join(["1"] * 23 + ["inf"]),
    ],
)
def test_a_curve_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="no curve of a day"):
        curve(text)


@pytest.mark.parametrize("text", ["ttft", "ttft=2", "tbt=3s", "ttft=0s"])
def test_an_objective_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="is no objective"):
        parsed(text)


def test_objectives_have_units() -> None:
    assert parsed("ttft=2s, itl=60ms,e2e=1m") == Objectives({"ttft": 2.0, "itl": 0.06, "e2e": 60.0})


def test_the_pages_plans_are_of_steps_and_of_room_as_they_are_worked_out_now() -> None:
    """The traces are not in the repository: a plan that another size or another speed would change must not go unseen."""
    page = (ROOT / "docs" / "capacity.md").read_text("utf-8")
    found = re.findall(
        r"```text\n(gemma\S+) for .*?\n  vllm on (\S+).*?\n  concurrency (\d+).*?a step: (.*?)\n",
        page,
        re.DOTALL,
    )
    assert len(found) == 4
    for model, gpu, at_once, step in found:
        served = subject(model, Path()).served("vllm", Engine(context=16384))
        places = [one for one in cloud("europe-west4", gpu) if fit(served, one).fits]
        assert step == step_time(fit(served, places[0]), "likely").how
        assert int(at_once) <= max(fit(served, one).concurrency or 0 for one in places)


def traffic(typist: Typist) -> None:
    typist.write(f'name = "x"\nmodel = "gemma-4-e4b"\n[engine]\nparallel = 64  # mine\n{CLOUD}')
    rows = "\n".join(f"{number},300,60" for number in range(120))
    (typist.folder / "trace.csv").write_text(f"seconds,input,output\n{rows}\n")


def test_the_cheapest_setting_is_written_into_the_file_when_told_to(typist: Typist) -> None:
    traffic(typist)
    asked = ("capacity", "--trace", "trace.csv", "--engine", "vllm")
    before = (typist.folder / "homeport.toml").read_text()
    typist.run(*asked, "--slo", "ttft=2s")
    assert (typist.folder / "homeport.toml").read_text() == before
    best = typist.run(*asked, "--slo", "ttft=2s", "--write", "--json").json["best"]
    written = load(typist.folder / "homeport.toml")
    assert written.engine.parallel == best["concurrency"]
    assert (written.scaling.min, written.scaling.max) == (best["min_instances"], best["max_instances"])
    assert written.scaling.target_concurrency == best["target_concurrency"]
    assert written.cloudrun is not None
    assert written.cloudrun.gpu == "nvidia-l4"
    again = typist.run(*asked, "--json").json["as_written"]
    assert (again["concurrency"], again["likely"]) == (best["concurrency"], best["likely"])


def test_what_keeps_nothing_writes_nothing_and_writing_wants_objectives(typist: Typist) -> None:
    traffic(typist)
    before = (typist.folder / "homeport.toml").read_text()
    asked = ("capacity", "--trace", "trace.csv", "--engine", "vllm")
    said = typist.run(*asked, "--slo", "itl=1ms", "--write", code=1).out
    assert "note: as the file says, with 64 requests at once, it does not fit" in said
    assert "note: nothing that was tried keeps" in said
    assert "and 64 requests at once" in typist.run(*asked, code=18).err
    assert "--write wants --slo" in typist.run(*asked, "--write", code=64).err
    assert (typist.folder / "homeport.toml").read_text() == before


def test_what_is_written_is_all_that_was_planned(typist: Typist) -> None:
    """Each option of the file's keys is among them: a plan again, without any option, is the same one."""
    traffic(typist)
    asked = ("capacity", "--trace", "trace.csv", "--engine", "vllm", "--json")
    options = (
        "--context", "16k", "--kv-dtype", "fp8", "--quantization", "fp8", "--region", "us-central1", "--zonal", "--gpu", "nvidia-l4",
    )  # fmt: skip
    best = typist.run(*asked, *options, "--slo", "ttft=2s", "--write").json["best"]
    written = load(typist.folder / "homeport.toml")
    assert (written.engine.context, written.engine.kv_dtype, written.engine.quantization) == (
        16384,
        "fp8",
        "fp8",
    )
    assert written.cloudrun is not None
    assert (written.cloudrun.region, written.cloudrun.zonal_redundancy) == ("us-central1", True)
    assert typist.run(*asked).json["as_written"] == best


def test_a_plan_for_another_model_is_not_written_into_a_file(typist: Typist) -> None:
    traffic(typist)
    before = (typist.folder / "homeport.toml").read_text()
    asked = ("capacity", "gemma-4-e2b", "--trace", "trace.csv", "--slo", "ttft=2s", "--write")
    said = " ".join(typist.run(*asked, code=64).err.split())
    assert "a plan for gemma-4-e2b into homeport.toml, which serves gemma-4-e4b" in said
    assert (typist.folder / "homeport.toml").read_text() == before


def hours(*gaps: float) -> Trace:
    """An hour for each gap, with a request after each so many seconds."""
    return Trace(
        name="hours",
        arrivals=tuple(
            Arrival(3600 * number + gap * count, 300, 60)
            for number, gap in enumerate(gaps)
            for count in range(int(3600 / gap))
        ),
    )


def test_a_flat_day_of_an_even_trace_costs_what_every_hour_as_the_trace_does(tmp_path: Path) -> None:
    plan = planned(tmp_path, hours(15, 15), "", search=False, shares=CURVES["flat"]).as_written
    assert plan is not None
    assert plan.month_curve_usd == pytest.approx(plan.month_flat_usd, rel=0.01)


def test_the_curve_is_of_the_traces_busiest_hour_wherever_that_is_and_says_which(tmp_path: Path) -> None:
    def day(*gaps: float) -> PlannedCapacity:
        plan = planned(tmp_path, hours(*gaps), "", search=False, shares=CURVES["flat"]).as_written
        assert plan is not None
        return plan

    late, early = day(300, 10), day(10, 300)
    assert late.month_curve_usd == pytest.approx(early.month_curve_usd, rel=0.01)
    assert "a day of 8,640 requests" in late.day_how
    assert late.day_how.endswith("drawn from the trace's busiest hour, from 3,600 s on")
    assert early.day_how.endswith("busiest hour, from 0 s on")


def test_a_burst_after_silence_is_the_busiest_hour_also_where_the_trace_ends_with_it(tmp_path: Path) -> None:
    burst = [0.6 * number for number in range(1000)]
    after_silence = [Arrival(at, 300, 60) for at in (0.0, *(7200 + at for at in burst))]
    traffic = Trace(name="late", arrivals=tuple(after_silence))
    plan = planned(tmp_path, traffic, "", search=False, shares=CURVES["flat"]).as_written
    assert plan is not None
    assert "a day of 24,000 requests" in plan.day_how
    late = busiest_hour(after_silence, 7800)
    early = busiest_hour([Arrival(at, 1, 1) for at in (*burst, 7800.0)], 7801)
    assert (len(late.arrivals), late.begin, late.arrivals[0].seconds) == (1000, 4200, 3000)
    assert (len(early.arrivals), early.begin, early.arrivals[0].seconds) == (1000, 0, 0)


def test_requests_that_are_too_long_for_the_objectives_share_are_refused_before_the_search(
    tmp_path: Path,
) -> None:
    usual = trace(0.5, 200).arrivals
    long = (*usual, *(Arrival(200.0 + number, 5000 + number, 10) for number in range(len(usual) // 6)))
    with pytest.raises(SpecError, match=r"longer than the context of 4,096 tokens, and 95%") as caught:
        planned(tmp_path, Trace(name="long", arrivals=long), "ttft=2s")
    would_do = re.search(r"--context (\d+)", caught.value.hint)
    assert would_do is not None
    kept = sum(one.input + one.output <= int(would_do[1]) for one in long)
    assert 0.95 <= kept / len(long) < 1
    assert f"or more: {long[-1].input + 10} has room for all" in caught.value.hint
    with pytest.raises(SpecError) as caught:
        planned(tmp_path, Trace(name="long", arrivals=(Arrival(0, 999_999, 1),)), "ttft=2s")
    assert "gemma-4-e4b was made for" in caught.value.hint


def test_one_request_of_thousands_that_is_too_long_is_told_as_one_and_with_the_share_as_it_was_said(
    tmp_path: Path,
) -> None:
    arrivals = (*(Arrival(float(at), 300, 60) for at in range(2999)), Arrival(2999.0, 60_000, 50))
    with pytest.raises(SpecError) as caught:
        planned(tmp_path, Trace(name="long", arrivals=arrivals), "ttft=2s", share=0.9999)
    assert str(caught.value) == (
        "1 of 3,000 requests is longer than the context of 4,096 tokens, and 99.99% of all are to keep the objectives"
    )
    assert caught.value.hint == "say --context 60050, which has room for all"


@pytest.mark.parametrize("percent", [14, 55])
def test_a_search_that_can_keep_exactly_the_share_is_not_refused(percent: int, tmp_path: Path) -> None:
    def of(fitting: int) -> Trace:
        lengths = (*[300] * fitting, *[60_000] * (100 - fitting))
        return Trace(
            name="long", arrivals=tuple(Arrival(float(at), one, 60) for at, one in enumerate(lengths))
        )

    share = percent / 100
    assert planned(tmp_path, of(percent), "", share=share).best is not None
    with pytest.raises(SpecError) as caught:
        planned(tmp_path, of(percent - 1), "", share=share)
    assert caught.value.hint == "say --context 60060, which has room for all"


def test_a_request_that_is_too_long_starts_an_instance_all_the_same(tmp_path: Path) -> None:
    only = Trace(name="long", arrivals=tuple(Arrival(900.0 * number, 5000, 10) for number in range(4)))
    plan = planned(tmp_path, only, "", search=False).as_written
    assert plan is not None
    assert (plan.likely.too_long, plan.likely.requests, plan.likely.ttft.p50) == (4, 4, None)
    assert plan.likely.gpu_hours > 0.5
    assert min(plan.month_flat_usd, plan.month_curve_usd) > 0


@pytest.mark.parametrize(("rate", "slo"), [(1.0, "ttft=2s"), (2.0, "itl=150ms,e2e=30s")])
def test_where_the_files_max_is_too_small_the_smallest_that_would_do_is_named(
    rate: float, slo: str, tmp_path: Path
) -> None:
    def with_max(most: int) -> PlannedCapacity:
        file = f"{CLOUD}[engine]\nparallel = 4\n[scaling]\nmin = 1\nmax = {most}\n"
        written = planned(tmp_path, trace(rate, 300), slo, search=False, file=file).as_written
        assert written is not None
        return written

    written = with_max(1)
    assert not written.keeps
    assert written.enough is not None
    enough = written.enough.max_instances
    assert enough is not None
    assert enough > 1
    there = with_max(enough)
    assert there.keeps
    assert there.enough is None
    assert there.likely.kept == written.enough.kept
    assert there.month_flat_usd == written.enough.month_flat_usd
    assert there.quotas == written.enough.quotas
    assert not with_max(enough - 1).keeps


def test_where_no_number_of_instances_would_do_that_is_said_with_what_they_keep(
    tmp_path: Path,
) -> None:
    drawn = trace(1.0, 300)
    file = f"{CLOUD}[scaling]\nmin = 1\nmax = 1\n"
    plan = planned(tmp_path, drawn, "itl=1ms", search=False, file=file)
    assert plan.as_written is not None
    enough = plan.as_written.enough
    assert enough is not None
    assert (enough.max_instances, enough.quotas) == (None, ())
    assert enough.kept < 0.95
    assert (
        f"no scaling.max would do, all else as it is: with as many as there may be {enough.kept:.1%}"
        in text(plan)
    )


def test_without_objectives_nothing_is_said_of_more_instances_whatever_is_turned_away(tmp_path: Path) -> None:
    file = f"{CLOUD}[engine]\nparallel = 4\n[scaling]\nmin = 1\nmax = 1\n"
    written = planned(tmp_path, trace(6.0, 100), "", search=False, file=file).as_written
    assert written is not None
    assert written.likely.refused
    assert not written.keeps
    assert written.enough is None


def test_a_plan_says_what_max_would_do_with_its_price_and_its_quotas(tmp_path: Path) -> None:
    file = f"{CLOUD}[engine]\nparallel = 4\n[scaling]\nmin = 1\nmax = 1\n"
    plan = planned(tmp_path, trace(6.0, 200), "ttft=2s", search=False, file=file)
    assert plan.as_written is not None
    enough = plan.as_written.enough
    assert enough is not None
    assert enough.quotas
    said = text(plan)
    assert f"  scaling.max = {enough.max_instances} would do, all else as it is: " in said
    assert f"${enough.month_flat_usd:,.0f} a month" in said
    assert f"    quota: {enough.quotas[0]}\n" in said
