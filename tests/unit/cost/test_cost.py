"""What an endpoint costs: arithmetic, properties, break-even, the picture, the command."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.catalog import cloudrun, prices
from homeport.cli import cost_text
from homeport.cost import Api, Bill, BreakEven, Usage, compare, cost, plot, usage
from homeport.cost.answer import CostAnswer, Question, answer
from homeport.cost.versus import load
from homeport.errors import ExtraMissing, SpecError
from pages import pattern, steps
from places import ROOT
from typist import Typist

PRICES = prices.load()
HOURLY = PRICES.hourly(cloudrun.gpus()[0].shapes[-1], "us-central1")
USAGE = Usage(
    cold_start_s=(20, 60, 180),
    idle_s=600,
    billed_minimum_s=60,
    tokens_per_day=2e6,
    tokens_per_second=800,
    weights_gib=8,
    image_gib=10,
    build_minutes=10,
)
DEAR = Api(name="frontier-api", input=3, output=15)
CHEAP = Api(name="small-api", input=0.10, output=0.40)


def bill(known: Usage = USAGE) -> Bill:
    return cost(PRICES, HOURLY, known).bill


def changed(**values: float | tuple[float, float, float] | None) -> Usage:
    return dataclasses.replace(USAGE, **values)  # type: ignore[arg-type] # by name


@st.composite
def usages(draw: st.DrawFn, *, speed: bool = True) -> Usage:
    low, likely, high = sorted(draw(st.tuples(*[st.floats(0, 900)] * 3)))
    instances = draw(st.integers(1, 5))
    return Usage(
        cold_start_s=(low, likely, high),
        idle_s=draw(st.floats(0, 900)),
        billed_minimum_s=draw(st.floats(0, 120)),
        min_instances=draw(st.integers(0, instances)),
        instances=instances,
        tokens_per_second=draw(st.floats(1, 10_000)) if speed else None,
        wakes_per_day=draw(st.integers(1, 200)),
        weights_gib=draw(st.floats(0, 100)),
        image_gib=draw(st.floats(0, 30)),
        build_minutes=draw(st.floats(0, 60)),
    )


def test_states_cost_what_their_instances_and_storage_cost() -> None:
    idle, busy, steady = cost(PRICES, HOURLY, changed(min_instances=0, instances=3)).states
    storage = 8 * 0.020 + 10 * 0.10
    assert (idle.name, busy.name, steady.name) == (
        "idle, scaled to zero",
        "busy, 3 instances",
        "always on, 1 instance",
    )
    assert idle.month.value == pytest.approx(storage)
    assert idle.hour.value == pytest.approx(storage / 730)
    assert busy.hour.value == pytest.approx(3 * 1.42092 + storage / 730)
    assert steady.month.value == pytest.approx(730 * 1.42092 + storage)


def test_instances_that_always_run_cost_while_idle() -> None:
    idle, _, steady = cost(PRICES, HOURLY, changed(min_instances=2, instances=2)).states
    assert idle.name == "idle, 2 instances"
    assert idle.month == steady.month


def test_a_wake_bills_its_cold_start_its_work_and_the_idle_tail() -> None:
    found = cost(PRICES, HOURLY, USAGE)
    work = 2e6 / 800 / 12
    seconds = found.wake_seconds
    assert (seconds.low, seconds.value, seconds.high) == pytest.approx((620 + work, 660 + work, 780 + work))
    assert found.wake.value == pytest.approx((660 + work) / 3600 * 1.42092)
    shortest = changed(cold_start_s=(1, 2, 3), idle_s=0, tokens_per_day=None, billed_minimum_s=60)
    assert cost(PRICES, HOURLY, shortest).wake_seconds.value == 60


def test_the_month_at_a_traffic_adds_up() -> None:
    found = cost(PRICES, HOURLY, USAGE)
    fixed = 8 * 0.020 + 10 * 0.10 + 10 * 0.0156
    day = 12 * 660 + 2e6 / 800
    assert found.scaling is not None
    assert found.scaling.value == pytest.approx(day * 730 / 24 / 3600 * 1.42092 + fixed)
    assert found.always_on is not None
    assert found.always_on.value == pytest.approx(730 * 1.42092 + fixed)
    assert found.bill.scaling(2e6) == pytest.approx(found.scaling.value)
    assert found.bill.always_on(2e6) == pytest.approx(found.always_on.value)


def test_more_tokens_than_one_instance_does_want_another() -> None:
    capacity = 800 * 86_400
    two = bill(changed(instances=2))
    one_month, two_months = two.always_on(capacity), two.always_on(capacity + 1000)
    assert one_month is not None
    assert two_months is not None
    assert two_months - one_month == pytest.approx(730 * 1.42092)
    assert bill().always_on(capacity) == pytest.approx(one_month)
    assert bill().always_on(capacity + 1000) is None
    beyond = cost(PRICES, HOURLY, changed(tokens_per_day=capacity + 1000))
    assert (beyond.scaling, beyond.always_on) == (None, None)


def test_a_million_tokens_at_a_duty() -> None:
    tokens = cost(PRICES, HOURLY, USAGE).tokens
    assert tokens is not None
    full = 1.42092 / (800 * 3600) * 1e6
    assert {duty: at.value / full for duty, at in tokens.reserved.items()} == pytest.approx(
        {0.5: 2, 0.25: 4, 0.1: 10}
    )
    assert tokens.used.value == pytest.approx(full)
    assert tokens.traffic is not None
    assert tokens.traffic.value > tokens.used.value


def test_without_a_throughput_there_is_no_figure_for_tokens() -> None:
    found = cost(PRICES, HOURLY, changed(tokens_per_second=None))
    assert (found.tokens, found.scaling) == (None, None)
    assert found.always_on is not None


def test_every_figure_tells_how_it_came_about() -> None:
    def figures(value: object) -> list[dict[str, object]]:
        if isinstance(value, dict):
            return (
                [value]
                if "how" in value and "unit" in value
                else [f for each in value.values() for f in figures(each)]
            )
        return [f for each in value for f in figures(each)] if isinstance(value, list | tuple) else []

    found = figures(cost(PRICES, HOURLY, USAGE).as_json())
    assert len(found) > 15
    assert all(figure["how"] and figure["unit"] for figure in found)


def test_only_unconfirmed_prices_that_matter_mark_a_figure() -> None:
    found = cost(PRICES, HOURLY, USAGE)
    assert found.storage.unconfirmed == ("storage_gib_month",)
    assert found.always_on is not None
    assert found.always_on.unconfirmed == (), "storage is a thousandth of it"
    doubtful = cost(PRICES, PRICES.hourly(cloudrun.gpus()[0].shapes[0], "us-east4"), USAGE)
    assert doubtful.scaling is not None
    assert "region.us-east4" in doubtful.scaling.unconfirmed


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"tokens_per_day": -1}, "tokens_per_day: should be a number, not negative"),
        ({"tokens_per_second": math.nan}, "tokens_per_second: should be"),
        ({"tokens_per_second": 0}, "tokens_per_second: should be more than 0"),
        ({"wakes_per_day": 0}, "wakes_per_day: should be 1 or more"),
        ({"cold_start_s": (3, 2, 1)}, "cold_start_s: should rise"),
        ({"min_instances": 2}, "instances: should be at least 2"),
        ({"instances": 0}, "instances: should be at least 1"),
    ],
)
def test_an_impossible_usage_is_refused(values: dict[str, float], expected: str) -> None:
    with pytest.raises(SpecError, match=expected):
        changed(**values)


@given(usages(), st.floats(0, 1), st.floats(0, 1))
def test_more_tokens_never_cost_less(known: Usage, first: float, second: float) -> None:
    less, more = sorted((first * known.capacity, second * known.capacity))
    for mode in (bill(known).scaling, bill(known).always_on):
        low, high = mode(less), mode(more)
        assert low is not None
        assert high is not None
        assert 0 <= low <= high * (1 + 1e-9)


@given(usages(), st.floats(0, 1))
def test_scaling_never_costs_more_than_always_on(known: Usage, part: float) -> None:
    tokens = part * known.capacity
    scaling, steady = bill(known).scaling(tokens), bill(known).always_on(tokens)
    assert scaling is not None
    assert steady is not None
    assert scaling <= steady * (1 + 1e-9)


@given(usages(), st.floats(0, 1))
def test_a_longer_cold_start_never_costs_less(known: Usage, part: float) -> None:
    months = [bill(known).scaling(part * known.capacity, cold) or 0 for cold in known.cold_start_s]
    assert months == sorted(months)
    seconds = [known.wake_seconds(cold) for cold in known.cold_start_s]
    assert seconds == sorted(seconds)
    assert seconds[0] >= known.billed_minimum_s


@given(usages(), st.floats(0.001, 30))
def test_at_break_even_both_cost_the_same_and_before_it_the_api_is_cheaper(
    known: Usage, price: float
) -> None:
    own, api = bill(known), Api(name="api", input=price, output=price)
    for point in compare(own, (api,)).break_evens:
        month = own.scaling if point.mode == "scaling" else own.always_on
        end = known.capacity if point.tokens is None else point.tokens
        for part in (0.001, 0.1, 0.5, 0.9, 0.99):
            assert (month(part * end) or 0) >= api.month(part * end, 0.75) * (1 - 1e-6)
        if point.tokens is not None:
            assert month(point.tokens) == pytest.approx(api.month(point.tokens, 0.75), rel=1e-3)


@given(usages(), st.floats(0.001, 30))
def test_until_the_api_is_cheaper_again_the_endpoint_is_cheaper(known: Usage, price: float) -> None:
    own, api = bill(known), Api(name="api", input=price, output=price)
    for point in compare(own, (api,)).break_evens:
        if point.tokens is None:
            continue
        month = own.scaling if point.mode == "scaling" else own.always_on
        end = known.capacity if point.until is None else point.until
        for part in (0.1, 0.5, 0.9):
            tokens = point.tokens + part * (end - point.tokens)
            assert (month(tokens) or math.inf) <= api.month(tokens, 0.75) * (1 + 1e-6)
        if point.until is not None and end < known.capacity * (1 - 1e-6):
            later = end * (1 + 1e-7)
            assert (month(later) or 0) >= api.month(later, 0.75) * (1 - 1e-6)


@given(usages(speed=False), st.floats(0.001, 30))
def test_without_a_throughput_one_instance_is_compared(known: Usage, price: float) -> None:
    own, api = bill(known), Api(name="api", input=price, output=price)
    (point,) = compare(own, (api,)).break_evens
    assert point.mode == "always on"
    assert point.tokens is not None
    assert own.always_on(point.tokens) == pytest.approx(api.month(point.tokens, 0.75), rel=1e-3)
    assert "tokens/s" in point.how


def by_api(points: tuple[BreakEven, ...]) -> dict[tuple[str, str], BreakEven]:
    return {(point.api, point.mode): point for point in points}


def test_break_evens_of_the_example() -> None:
    found = by_api(compare(bill(), (DEAR, CHEAP)).break_evens)
    dear = found["frontier-api", "scaling"]
    assert dear.tokens == pytest.approx(575_541, rel=1e-4)
    assert dear.month == pytest.approx(105.04, rel=1e-3)
    assert found["frontier-api", "always on"].tokens == pytest.approx(5_690_891, rel=1e-4)
    for mode in ("scaling", "always on"):
        never = found["small-api", mode]
        assert never.tokens is None
        assert never.how == (
            "small-api at $0.175 a million is cheaper up to all that 1 instance can do: 69,120,000 tokens a day"
        )


def test_a_second_instance_may_make_the_api_cheaper_again() -> None:
    capacity = 800 * 86_400
    two = bill(changed(instances=2))
    month = two.always_on(1)
    assert month is not None
    price = month / (capacity * 0.9 * 730 / 24 / 1e6)
    found = by_api(compare(two, (Api(name="api", input=price, output=price),)).break_evens)[
        "api", "always on"
    ]
    assert found.tokens == pytest.approx(0.9 * capacity)
    assert found.until == pytest.approx(capacity)


def test_a_free_api_is_never_beaten() -> None:
    free = Api(name="free", input=0, output=0)
    for known in (USAGE, changed(tokens_per_second=None)):
        assert all(point.tokens is None for point in compare(bill(known), (free,)).break_evens)


def test_the_table_goes_from_ten_thousand_to_a_billion_tokens_a_day() -> None:
    found = compare(bill(), (DEAR, CHEAP))
    assert (found.rows[0].tokens, found.rows[-1].tokens) == (10_000, 1_000_000_000)
    assert found.rows[-1].scaling is None, "more than one instance can do"
    assert found.rows[-1].apis == pytest.approx((6 * 1000 * 730 / 24, 0.175 * 1000 * 730 / 24))
    blind = compare(bill(changed(tokens_per_second=None)), (DEAR,))
    assert all(row.scaling is None and row.always_on is not None for row in blind.rows)


APIS = """input_share = 0.5
[[api]]
name = "small-api"
input = 0.10
output = 0.40
source = "its page"
dated = 2026-11-01
[[api]]
name = "frontier-api"
input = 3
output = 15
"""


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "apis.toml"
    path.write_text(text)
    return path


def test_a_file_of_apis_is_read(tmp_path: Path) -> None:
    apis, share = load(file(tmp_path, APIS))
    assert share == 0.5
    assert apis[0] == Api(name="small-api", input=0.1, output=0.4, source="its page", dated="2026-11-01")
    assert apis[1].million(0.5) == 9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "there is no API in it"),
        ("api = 1", "there is no API in it"),
        ("apis = 1", "apis: unknown key; known: api, input_share"),
        ("[[api]]\ninput = 1\noutput = 1", "api 1: name: should be a text"),
        (
            '[[api]]\nname = "a"\noutput = 1',
            "api 1: input: should be USD per million tokens, 0 or more, but is None",
        ),
        ('[[api]]\nname = "a"\ninput = 1\noutput = -1', "api 1: output: should be USD"),
        ('[[api]]\nname = "a"\ninput = 1\noutput = "1"', "api 1: output: should be USD"),
        ('[[api]]\nname = "a"\ninput = 1\noutput = 1\nprice = 1', "api 1: price: unknown key"),
        ('[[api]]\nname = "a"\ninput = 1\noutput = 1\nsource = 1', "api 1: source"),
        ('[[api]]\nname = "a"\ninput = 1\noutput = 1\ndated = 1', "api 1: dated"),
        (APIS.replace("frontier-api", "small-api"), "two APIs are called 'small-api'"),
        (APIS.replace("0.5", "1.5"), "input_share: should be a number from 0 to 1, but is 1.5"),
        (APIS.replace("0.5", '"half"'), "input_share: should be a number from 0 to 1"),
        ("[[api", "is not TOML"),
    ],
)
def test_a_wrong_file_of_apis_is_an_error_that_names_the_key(
    tmp_path: Path, text: str, expected: str
) -> None:
    with pytest.raises(SpecError, match=expected):
        load(file(tmp_path, text))


@pytest.mark.parametrize(
    ("number", "text"), [(7, "7"), (10_000, "10k"), (575_541, "576k"), (999_900, "1M"), (1.5e9, "1.5B")]
)
def test_numbers_are_said_shortly(number: float, text: str) -> None:
    assert usage.short(number) == text


def test_the_picture_is_xml_whose_text_is_text_and_the_same_each_time() -> None:
    comparison = compare(bill(), (DEAR, CHEAP))
    picture = plot.svg(comparison, "about <this> & that")
    assert picture == plot.svg(comparison, "about <this> & that")
    root = ET.fromstring(picture)  # noqa: S314 - our own
    told = {"".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {
        "From 576k tokens a day, your own endpoint beats frontier-api",
        "about <this> & that",
        "your endpoint, scaling to zero",
        "your endpoint, always on",
        "frontier-api",
        "$6 a million",
        "small-api",
        "576k",
        "5.69M",
        "your 2M a day",
        "10k",
        "$1k",
    } <= told
    assert "<dc:date>" not in picture


@pytest.mark.parametrize(
    "known",
    [
        changed(tokens_per_second=None, tokens_per_day=None),
        changed(instances=4, min_instances=1, tokens_per_second=3000),
        changed(instances=4, wakes_per_day=150, tokens_per_second=20_000),
        changed(tokens_per_second=0.05),
    ],
)
def test_every_picture_can_be_drawn(known: Usage) -> None:
    apis = (DEAR, CHEAP, Api(name="free", input=0, output=0), Api(name="$x_{$ <&>", input=3, output=15))
    ET.fromstring(plot.svg(compare(bill(known), apis), "about"))  # noqa: S314 - our own


def test_the_headline_claims_no_more_than_is_known() -> None:
    blind = bill(changed(tokens_per_second=None))
    told = "From 5.69M tokens a day, an endpoint that does 66 a second beats frontier-api"
    assert plot.headline(compare(blind, (DEAR,))) == told
    never = "Every API here is cheaper than your endpoint, whatever it serves"
    assert plot.headline(compare(bill(), (CHEAP,))) == never


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ExtraMissing) as caught:
        plot.svg(compare(bill(), (DEAR,)), "about")
    assert "pip install 'homeport[plot]'" in caught.value.hint


MODEL = "gemma-3-270m-pt"


def test_the_command_tells_prices_date_and_source(typist: Typist) -> None:
    text = typist.run("cost", MODEL, "--tokens-per-day", "2M", "--tokens-per-second", "800").out
    assert "list prices of 2026-10-08 in USD" in text
    assert "https://cloud.google.com/run/pricing" in text
    assert "at 800 tokens/s (your figure)" in text
    assert "scaling, 12 wakes a day" in text
    assert re.search(r"idle, scaled to zero +[\d.]+\? ", text), "the price of storage is not confirmed"
    assert re.search(r"busy, 1 instance +[\d.]+ ", text), "that of an instance is"


def test_the_command_marks_what_is_unconfirmed(typist: Typist) -> None:
    text = typist.run("cost", MODEL, "--region", "us-east4").out
    assert re.search(r"always on, 1 instance +[\d.]+\? ", text)
    assert "? region.us-east4 is unconfirmed: " in text


def test_the_command_says_what_it_lacks_for_tokens(typist: Typist) -> None:
    text = typist.run("cost", "gemma-3-270m-pt", "--tokens-per-day", "2M").out
    assert "gemma-3-270m-pt on Cloud Run" in text
    assert "`homeport bench --on cloudrun`" in text
    assert "--tokens-per-second" in text


def test_the_command_compares_explains_and_draws(typist: Typist) -> None:
    (typist.folder / "apis.toml").write_text(APIS)
    options = ("--tokens-per-day", "2M", "--tokens-per-second", "800", "--versus", "apis.toml")
    ran = typist.run("cost", MODEL, *options, "--explain", "--plot", "out.svg", "--input-share", "0.75")
    assert "cheaper than an API, 75% prompts" in ran.out
    assert "an instance, $1.0465/h = (4 CPU × $0.000018" in ran.out
    assert "drawn: out.svg" in ran.err
    ET.parse(typist.folder / "out.svg")  # noqa: S314 - our own
    found = typist.run("cost", MODEL, *options, "--json").json
    assert found["versus"]["input_share"] == 0.5, "as the file says"
    assert found["scaling"]["value"] == pytest.approx(101.48, rel=1e-2)
    assert found["hourly"]["how"]


def test_the_command_reads_the_spec_and_prices_of_ones_own(typist: Typist) -> None:
    typist.write('model = "gemma-4-e2b"')
    (typist.folder / "mine.toml").write_text("[cpu_second]\ntier-1 = 0.0001\n")
    found = typist.run("cost", "--prices", "mine.toml", "--json").json
    assert found["what"]["title"] == "gemma-4-e2b"
    assert found["hourly"]["cpu"] == pytest.approx(4 * 0.0001 * 3600)
    assert typist.run("cost", "--json", HOMEPORT_PRICES="mine.toml").json["hourly"] == found["hourly"]


@pytest.mark.parametrize("text", ["many", "-1", "2G", "inf", "nan", "M"])
def test_a_wrong_number_of_tokens_is_wrong_usage(typist: Typist, text: str) -> None:
    assert "say 500k, 2M, 1B or 1500000" in typist.run("cost", MODEL, f"--tokens-per-day={text}", code=64).err


@pytest.mark.parametrize(
    ("options", "code", "expected"),
    [
        (["--plot", "a.svg"], 64, "--versus FILE"),
        (["--wakes", "0"], 64, "--wakes"),
        (["--gpu", "nvidia-l44"], 10, "it has nvidia-l4, nvidia-rtx-pro-6000"),
        (["--region", "mars"], 10, "there is one in asia-south1"),
        (["--versus", "none.toml"], 10, "there is no none.toml"),
        (["--prices", "none.toml"], 10, "there is no none.toml"),
        (["--tokens-per-second", "nan"], 64, "--tokens-per-second"),
    ],
)
def test_wrong_options_are_clear_errors(typist: Typist, options: list[str], code: int, expected: str) -> None:
    assert expected in typist.run("cost", MODEL, *options, code=code).err


def test_without_a_model_and_a_file_it_says_how_to_get_one(typist: Typist) -> None:
    assert "homeport init" in typist.run("cost", code=10).err
    assert "there is no " in typist.run("cost", "-f", "other.toml", code=10).err


@pytest.mark.parametrize(
    ("text", "number"), [("500k", 5e5), ("2M", 2e6), ("1B", 1e9), ("1.5m", 1.5e6), ("1,500,000", 1.5e6)]
)
def test_numbers_of_tokens_are_understood(typist: Typist, text: str, number: float) -> None:
    assert (
        typist.run("cost", MODEL, "--tokens-per-day", text, "--json").json["usage"]["tokens_per_day"]
        == number
    )


def test_the_page_is_true(typist: Typist) -> None:
    page = ROOT / "docs" / "cost.md"
    apis = re.search(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    assert apis is not None
    (typist.folder / "apis.toml").write_text(apis[1])
    for command, expected in steps(page):
        ran = typist.run(*command.split()[1:])
        assert re.fullmatch(pattern(expected), re.sub(r"\n+", "\n", ran.out)), ran.out


def test_starts_that_use_a_startup_cache_are_shorter_and_so_cheaper(tmp_path: Path) -> None:
    def asked(engine: str, cache: str) -> CostAnswer:
        file = tmp_path / "homeport.toml"
        file.write_text(
            f'name = "home"\nmodel = "gemma-4-e4b"\n[engine]\nkind = "{engine}"\n[cloudrun]\nstartup_cache = "{cache}"\n'
        )
        question = Question(
            wanted={}, engine=None, tokens_per_day=2e6, tokens_per_second=800, wakes=12, versus=None, input_share=None, prices=None
        )  # fmt: skip
        return answer(None, file, question)

    without, kept = asked("vllm", "off"), asked("vllm", "auto")
    assert kept.what.cold_start_s[1] < without.what.cold_start_s[1]
    assert kept.cost.scaling is not None
    assert without.cost.scaling is not None
    assert kept.cost.scaling.value < without.cost.scaling.value
    assert asked("ollama", "auto").what.cold_start_s == asked("ollama", "off").what.cold_start_s, (
        "it keeps nothing"
    )


def test_the_load_balancer_of_the_file_is_in_every_month_and_its_traffic_is_told(tmp_path: Path) -> None:
    file, own = tmp_path / "homeport.toml", tmp_path / "prices.toml"
    own.write_text("load_balancer_gib = 0.012\n")

    def asked(more: str) -> CostAnswer:
        file.write_text(f'name = "home"\nmodel = "{MODEL}"\n[cloudrun]\n{more}')
        question = Question(
            wanted={}, engine=None, tokens_per_day=2e6, tokens_per_second=800, wakes=12, versus=None, input_share=None, prices=own
        )  # fmt: skip
        return answer(None, file, question)

    without, edge = asked(""), asked('[edge]\ndomain = "llm.example.com"\n')
    limited = asked('[edge]\ndomain = "llm.example.com"\nrequests_per_minute = 60\n')
    assert without.cost.edge is None
    for found, month, traffic in (
        (edge, 0.025 * 730, "$0.012 a GiB each way"),
        (limited, 0.025 * 730 + 5 + 1, "$0.012 a GiB each way and $0.75 a million requests"),
    ):
        for before, after in zip(without.cost.states, found.cost.states, strict=True):
            assert after.month.value - before.month.value == pytest.approx(month)
            assert after.hour.value - before.hour.value == pytest.approx(month / 730)
        for one in ("scaling", "always_on"):
            assert getattr(found.cost, one).value - getattr(without.cost, one).value == pytest.approx(month)
        assert found.cost.bill.scaling(1e6) == pytest.approx((without.cost.bill.scaling(1e6) or 0) + month)
        text = cost_text.text(found, explain=True)
        assert f"With traffic the load balancer costs more: {traffic}." in text
        assert "forwarding rules, 730 h × $0.025" in text
    assert "? armor_policy_month is unconfirmed" in cost_text.text(limited, explain=False)
    keyed = asked('[edge]\nkind = "api-gateway"\nclients = ["alice"]\n')
    assert keyed.cost.edge is None, "it costs by the call alone"
    assert (
        "$3 a million calls beyond the first two million a month (api_gateway_million_calls not confirmed)"
        in keyed.edge_with_traffic
    )
    regional = asked('[edge]\ndomain = "llm.example.com"\nkind = "regional"\n')
    assert "; not counted: what Google may charge for the instances of its proxies" in cost_text.text(
        regional, explain=False
    )
    assert "load balancer" not in cost_text.text(without, explain=True)


def test_the_way_to_model_armor_is_in_every_month_and_its_price_by_the_token_is_told(tmp_path: Path) -> None:
    file = tmp_path / "homeport.toml"

    def asked(more: str) -> CostAnswer:
        file.write_text(f'name = "home"\nmodel = "{MODEL}"\n[cloudrun]\n{more}')
        question = Question(
            wanted={}, engine=None, tokens_per_day=2e6, tokens_per_second=800, wakes=12, versus=None, input_share=None, prices=None
        )  # fmt: skip
        return answer(None, file, question)

    without, guarded = asked(""), asked("[guard]\n")
    for before, after in zip(without.cost.states, guarded.cost.states, strict=True):
        assert after.month.value - before.month.value == pytest.approx(0.01 * 730)
    both = asked('[guard]\n[edge]\ndomain = "llm.example.com"\n').cost.bill.standing
    assert both.value - without.cost.bill.standing.value == pytest.approx(0.01 * 730 + 0.025 * 730)
    text = cost_text.text(guarded, explain=True)
    assert "With traffic the screen costs at least $0.1 a million tokens (not confirmed) more." in text
    assert "the way to Model Armor, 730 h × $0.01" in text
    for free in ("", '[guard]\nscreen = "local"\n'):
        assert "screen" not in cost_text.text(asked(free), explain=True)
    own = asked('network = "n"\nsubnetwork = "s"\n[guard]\n')
    assert own.cost.guard is None
    assert own.guard_with_traffic


def test_a_further_region_costs_its_own_screen_and_its_own_warm_hours(tmp_path: Path) -> None:
    file = tmp_path / "homeport.toml"

    def month_there(more: str) -> tuple[float, float]:
        file.write_text(
            f'name = "home"\nmodel = "{MODEL}"\n[cloudrun]\nregion = "europe-west4"\n'
            f'[edge]\ndomain = "llm.example.com"\nregions = ["us-central1"]\n{more}'
        )
        question = Question(
            wanted={}, engine=None, tokens_per_day=None, tokens_per_second=None, wakes=12, versus=None, input_share=None, prices=None
        )  # fmt: skip
        (there,) = answer(None, file, question).regions
        return there.usd_per_month, there.usd_per_hour

    plain, hour = month_there("")
    assert month_there("[guard]\n")[0] - plain == pytest.approx(0.01 * 730, abs=0.011)
    warm, _ = month_there('[scaling]\nwarm = ["Mon-Fri 08:00-18:00 Europe/Berlin"]\n')
    assert warm - plain == pytest.approx(50 * 730 / 168 * hour, abs=0.011)
