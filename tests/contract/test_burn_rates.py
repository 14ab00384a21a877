"""The alerts on error budgets, before promtool: each fires on its own fault, over both of its windows, and none on silence."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeport import spec
from homeport.engines.registry import module
from homeport.observe import files as of_metrics
from homeport.observe.chart import Alert
from homeport.observe.files import Scraped
from homeport.observe.objectives import WINDOWS, ServiceLevels, service_levels
from homeport.observe.panels import Watched
from places import VLLM_PYTHON
from prometheus import promtool

HOURS = 7
END = "7h"
FIRST, AVAILABLE = "HomeportFirstToken", "HomeportAvailability"
SECONDS, REQUESTS = "vllm:time_to_first_token_seconds", "run_googleapis_com:request_count"


def levels(*, front: bool, ttft: str | None = "2s") -> ServiceLevels:
    slo: dict[str, object] = {"availability": 0.99, **({"ttft": ttft} if ttft else {})}
    observe = spec.parse({"name": "home", "observe": {"slo": slo}}).observe
    assert observe is not None
    engine = module("vllm")
    assert engine.METRICS is not None
    made = service_levels("home", engine.TITLE, engine.METRICS, observe.slo, front=front)
    assert made is not None
    return made


def written(folder: Path, made: ServiceLevels) -> list[Alert]:
    """The rules as `homeport export prometheus` writes them; the alerts among them that are about budgets."""
    one = Scraped(
        name="home", address="127.0.0.1:8383", path="/metrics", key_file=None, names=made.names, levels=made
    )  # fmt: skip
    for name, text in of_metrics.files("prometheus", one).items():
        (folder / name).write_text(text)
    return [alert for alert in one.watched.alerts() if alert.name.endswith("Burn")]


def counted(*parts: tuple[int, float]) -> str:
    """A counter's values: so many minutes at so many a minute, one part after the other."""
    value, values = 0.0, []
    for minutes, each in parts:
        for _ in range(minutes):
            value += each
            values.append(f"{value:g}")
    return " ".join(values)


def first_tokens(*parts: tuple[int, float], le: str = "2.5", name: str = "home") -> list[dict[str, str]]:
    """A histogram of ten requests a minute, of which a share is late for so many minutes."""
    label = f'namespace="{name}",instance="a"'
    in_time = counted(*((minutes, 10 * (1 - late)) for minutes, late in parts))
    of_all = counted(*((minutes, 10) for minutes, _ in parts))
    return [
        {"series": f'{SECONDS}_bucket{{{label},le="1.0"}}', "values": counted(*((minutes, 0) for minutes, _ in parts))},
        {"series": f'{SECONDS}_bucket{{{label},le="{le}"}}', "values": in_time},
        {"series": f'{SECONDS}_bucket{{{label},le="+Inf"}}', "values": of_all},
        {"series": f"{SECONDS}_count{{{label}}}", "values": of_all},
    ]  # fmt: skip


def answers(*parts: tuple[int, float], code: str = "503", name: str = "home") -> list[dict[str, str]]:
    """Cloud Run's count of ten requests a minute, of which a share fails for so many minutes."""
    label = f'monitored_resource="cloud_run_revision",service_name="{name}",response_code='
    return [
        {"series": f'{REQUESTS}{{{label}"200"}}', "values": counted(*((minutes, 10 * (1 - bad)) for minutes, bad in parts))},
        {"series": f'{REQUESTS}{{{label}"{code}"}}', "values": counted(*((minutes, 10 * bad) for minutes, bad in parts))},
    ]  # fmt: skip


def scrapes(*parts: tuple[int, float]) -> list[dict[str, str]]:
    """Whether the engine answers, minute by minute: 1 for a share of 0."""
    values = " ".join("1" if bad == 0 else "0" for minutes, bad in parts for _ in range(minutes))
    return [{"series": 'up{namespace="home",instance="a"}', "values": values}]


def judged(
    folder: Path, made: ServiceLevels, series: list[dict[str, str]], firing: set[str], at: str = END
) -> None:
    """Raises where promtool finds another set of budget alerts firing than this."""
    tests = []
    for alert in written(folder, made):
        labels = {"severity": alert.severity, "namespace": "home"}
        notes = {"summary": alert.summary, "description": f"do: {alert.todo}"}
        expected: list[dict[str, Any]] = []
        if alert.name in firing:
            expected = [{"exp_labels": labels, "exp_annotations": notes}]
        tests.append({"eval_time": at, "alertname": alert.name, "exp_alerts": expected})
    assert len(tests) == 4, "two for each objective"
    case = {"interval": "1m", "input_series": series, "alert_rule_test": tests}
    whole = {"rule_files": ["homeport-home.rules.yml"], "evaluation_interval": "1m", "tests": [case]}
    (folder / "tests.yml").write_text(yaml.safe_dump(whole))
    assert "SUCCESS" in promtool("test", "rules", "tests.yml", folder=folder)


MINUTES = HOURS * 60
ALL_AT_ONCE = ((MINUTES - 55, 0.0), (55, 1.0))
"""A total failure since 55 minutes: 92 % of the last hour, 15 % of the last six."""
SMOULDERING = {"first": ((MINUTES, 0.4),), "front": ((MINUTES, 0.1),)}
"""For hours more than six times the budget, and less than 14.4 times."""
OVER = ((MINUTES - 65, 0.0), (55, 1.0), (10, 0.0))
"""As the first, and good again for ten minutes."""


@pytest.mark.observe
def test_a_total_failure_fires_the_fast_alert_within_the_hour_and_not_the_other_objectives(
    tmp_path: Path,
) -> None:
    cloud = levels(front=True)
    judged(tmp_path, cloud, [*first_tokens(*ALL_AT_ONCE), *answers((MINUTES, 0))], {f"{FIRST}FastBurn"})
    both = {
        f"{AVAILABLE}FastBurn",
        f"{AVAILABLE}SlowBurn",
    }  # 15 % of six hours is more than 6 % of the budget's.
    judged(tmp_path, cloud, [*first_tokens((MINUTES, 0)), *answers(*ALL_AT_ONCE)], both)
    judged(tmp_path, levels(front=False), [*first_tokens((MINUTES, 0)), *scrapes(*ALL_AT_ONCE)], both)


@pytest.mark.observe
def test_a_slow_leak_fires_the_slow_alert_alone(tmp_path: Path) -> None:
    series = [*first_tokens(*SMOULDERING["first"]), *answers(*SMOULDERING["front"])]
    judged(tmp_path, levels(front=True), series, {f"{FIRST}SlowBurn", f"{AVAILABLE}SlowBurn"})


@pytest.mark.observe
def test_an_alert_ends_minutes_after_its_cause_though_the_hour_is_not_over(tmp_path: Path) -> None:
    series = [*first_tokens(*OVER), *answers((MINUTES, 0))]
    judged(tmp_path, levels(front=True), series, {f"{FIRST}FastBurn"}, at="6h50m")
    judged(tmp_path, levels(front=True), series, set())


@pytest.mark.observe
def test_within_the_objectives_nothing_fires(tmp_path: Path) -> None:
    series = [*first_tokens((MINUTES, 0.05)), *answers((MINUTES, 0.01))]
    judged(tmp_path, levels(front=True), series, set())


@pytest.mark.observe
@pytest.mark.parametrize("code", ["500", "503", "429"])
def test_what_cloud_run_refuses_or_fails_counts_though_nothing_else_was_ever_answered(
    tmp_path: Path, code: str
) -> None:
    _, failed = answers((MINUTES, 1.0), code=code)
    judged(tmp_path, levels(front=True), [failed], {f"{AVAILABLE}FastBurn", f"{AVAILABLE}SlowBurn"})
    _, other = answers((MINUTES, 1.0), code="404")
    judged(tmp_path, levels(front=True), [other], set())


@pytest.mark.observe
@pytest.mark.parametrize("front", [True, False])
def test_none_fires_on_silence_nor_at_zero_instances_nor_for_another_endpoint(
    tmp_path: Path, front: bool
) -> None:
    made = levels(front=front)
    judged(tmp_path, made, [], set())
    idle = [*first_tokens((MINUTES, 0.0)), *answers((MINUTES, 0.0))]
    for one in idle:
        one["values"] = f"7x{MINUTES}"  # The engine is there, and nobody asks.
    judged(tmp_path, made, idle, set())
    gone = [*first_tokens((60, 1.0)), *answers((60, 1.0))]  # Its instances went six hours ago.
    judged(tmp_path, made, gone, set())
    others = [*first_tokens((MINUTES, 1.0), name="other"), *answers((MINUTES, 1.0), name="other")]
    judged(tmp_path, made, others, set())


@pytest.mark.observe
@pytest.mark.parametrize(("ttft", "le"), [("1s", "1"), ("1s", "1.0"), ("500ms", "0.5"), ("20s", "20.0")])
def test_a_bucket_is_found_however_a_server_writes_its_bound(tmp_path: Path, ttft: str, le: str) -> None:
    series = first_tokens((MINUTES, 1.0), le=le)[1:]
    judged(tmp_path, levels(front=True, ttft=ttft), series, {f"{FIRST}FastBurn", f"{FIRST}SlowBurn"})


@pytest.mark.vllm
def test_the_bounds_are_those_of_the_pinned_vllm() -> None:
    (path,) = VLLM_PYTHON.parent.parent.glob("lib/python3*/site-packages/vllm/v1/metrics/buckets.py")
    made = importlib.util.spec_from_file_location("vllm_buckets", path)
    assert made is not None
    assert made.loader is not None
    buckets = importlib.util.module_from_spec(made)
    made.loader.exec_module(buckets)
    names = module("vllm").METRICS
    assert names is not None
    assert names.ttft_bounds == buckets.TIME_TO_FIRST_TOKEN_BUCKETS


def test_the_windows_are_the_workbooks() -> None:
    assert [(one.long, one.short, one.rate) for one in WINDOWS] == [("1h", "5m", 14.4), ("6h", "30m", 6.0)]
    watched = Watched("home", levels(front=True).names, levels(front=True))
    assert len(list(watched.alerts())) == 10
