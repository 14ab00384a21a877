"""The alert on uptime checks, before promtool: it fires where two places get no answer twice in a row, and on nothing less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from homeport.observe.uptime import UptimeWatch
from prometheus import promtool

pytestmark = pytest.mark.observe

ALERT = UptimeWatch("home", "us-central1").alert()
PLACES = ("eur-belgium", "apac-singapore", "usa-virginia")


def checks(place: str, *answers: int, service: str = "home", check: str = "ours") -> dict[str, str]:
    """What one place was answered, one check each five minutes, as Cloud Monitoring has it: a sample a check."""
    labels = (
        f'monitored_resource="cloud_run_revision",service_name="{service}",location="us-central1",check_id="{check}",'
        f'checker_location="{place}"'
    )
    values = " _ _ _ _ ".join(str(one) for one in answers)
    return {"series": f"monitoring_googleapis_com:uptime_check_check_passed{{{labels}}}", "values": values}


def fires(folder: Path, series: list[dict[str, str]], at: str) -> bool:
    """Whether promtool finds it firing at that time; it must find one of both."""
    rule = {"alert": ALERT.name, "expr": ALERT.query, "for": ALERT.lasts}
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "x", "rules": [rule]}]}))
    for expected in (True, False):
        told: list[dict[str, Any]] = [{"exp_labels": {}, "exp_annotations": {}}] if expected else []
        test = {"eval_time": at, "alertname": ALERT.name, "exp_alerts": told}
        case = {"interval": "1m", "input_series": series, "alert_rule_test": [test]}
        whole = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]}
        (folder / "tests.yml").write_text(yaml.safe_dump(whole))
        try:
            promtool("test", "rules", "tests.yml", folder=folder)
        except AssertionError:
            continue
        return expected
    raise AssertionError("promtool takes neither")


def test_two_places_without_an_answer_twice_in_a_row_are_told_within_a_quarter_of_an_hour(
    tmp_path: Path,
) -> None:
    gone = [checks(place, 1, 1, 0, 0, 0) for place in PLACES[:2]] + [checks(PLACES[2], 1, 1, 1, 1, 1)]
    assert not fires(tmp_path, gone, "10m"), "the first check without an answer"
    assert fires(tmp_path, gone, "19m")
    back = [checks(place, 1, 0, 0, 1, 1) for place in PLACES]
    assert fires(tmp_path, back, "14m")
    assert not fires(tmp_path, back, "16m"), "it ends with the first answer"


@pytest.mark.parametrize(
    "series",
    [
        [checks(place, 1, 1, 1, 1, 1) for place in PLACES],
        [checks(place, 1, 1, 0, 1, 1) for place in PLACES],
        [checks(PLACES[0], 0, 0, 0, 0, 0), *(checks(place, 1, 1, 1, 1, 1) for place in PLACES[1:])],
        [],
        [checks(place, 0, 0, 0, 0, 0, service="other") for place in PLACES],
        # Somebody's own check of the same service, of a path that there is not.
        [
            check
            for place in PLACES
            for check in (checks(place, 1, 1, 1, 1, 1), checks(place, 0, 0, 0, 0, 0, check="theirs"))
        ],
    ],
    ids=["all well", "one check lost", "one place", "nobody asks", "another service", "another's check"],
)
def test_nothing_less_is_told(tmp_path: Path, series: list[dict[str, str]]) -> None:
    assert not any(fires(tmp_path, series, f"{minute}m") for minute in range(0, 24, 2))
