"""Prometheus' own programs judge what is written for it: promtool its files, and a Prometheus what an endpoint tells."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from homeport.engines.names import NAMES
from homeport.engines.registry import module
from homeport.free_ports import free_port
from homeport.observe import files as of_metrics
from homeport.observe.chart import Alert
from homeport.observe.files import Scraped
from homeport.observe.panels import Watched
from patience import until
from places import TAUGHT
from processes_of import spec
from prometheus import program, promtool
from user import User

pytestmark = pytest.mark.observe

TELLING = [name for name in NAMES if module(name).METRICS is not None]


def watched(engine: str) -> Watched:
    names = module(engine).METRICS
    assert names is not None
    return Watched("home", names)


def written(engine: str, folder: Path) -> Path:
    one = Scraped(
        name="home", address="127.0.0.1:8383", path="/metrics", key_file=folder / "key", names=watched(engine).names
    )  # fmt: skip
    (folder / "key").write_text("a-key\n")
    for name, text in of_metrics.files("prometheus", one).items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("engine", TELLING)
def test_promtool_takes_the_configuration_and_every_rule(engine: str, tmp_path: Path) -> None:
    folder = written(engine, tmp_path)
    said = promtool("check", "config", "prometheus.yml", folder=folder)
    rules = yaml.safe_load((folder / "homeport-home.rules.yml").read_text())
    count = sum(len(group["rules"]) for group in rules["groups"])
    assert f"SUCCESS: {count} rules found" in said


def _faults(one: Watched) -> dict[str, list[dict[str, str]]]:
    """Series by which each alert must fire, by its name: 40 minutes of one a minute."""

    def steady(name: str, values: str, more: str = "") -> dict[str, str]:
        return {"series": f'{name}{{namespace="home",instance="a"{more}}}', "values": values}

    names = one.names
    made: dict[str, list[dict[str, str]]] = {
        "HomeportDown": [steady("up", "0x40")],
        "HomeportStalled": [steady(names.running[0], "2x40"), steady(names.output_tokens[0], "500x40")],
        "HomeportQueue": [steady(names.waiting[0], "3x40")],
    }
    if names.preemptions:
        made["HomeportKvCacheFull"] = [steady(names.kv_cache[0], "0.99x40")]
        made["HomeportPreemptions"] = [steady(names.preemptions[0], "0+6x40")]
        slow = f"{names.ttft[0]}_bucket"
        made["HomeportSlowFirstToken"] = [
            steady(slow, "0+0x40", ',le="10"'), steady(slow, "0+9x40", ',le="20"'), steady(slow, "0+9x40", ',le="+Inf"'),
        ]  # fmt: skip
    return made


def _healthy(one: Watched) -> list[dict[str, str]]:
    names = one.names
    label = '{namespace="home",instance="a"}'
    return [
        {"series": f"up{label}", "values": "1x40"},
        {"series": f"{names.running[0]}{label}", "values": "2x40"},
        {"series": f"{names.waiting[0]}{label}", "values": "0x40"},
        {"series": f"{names.output_tokens[0]}{label}", "values": "0+600x40"},
    ]


def _expected(alert: Alert, fires: bool) -> dict[str, Any]:  # Any: YAML
    labels = {"severity": alert.severity, "namespace": "home"}
    notes = {"summary": alert.summary, "description": f"do: {alert.todo}"}
    exp = [{"exp_labels": labels, "exp_annotations": notes}] if fires else []
    return {"eval_time": "30m", "alertname": alert.name, "exp_alerts": exp}


@pytest.mark.parametrize("engine", TELLING)
def test_every_alert_fires_on_its_fault_and_on_no_other_and_not_at_zero_instances(
    engine: str, tmp_path: Path
) -> None:
    one, folder = watched(engine), written(engine, tmp_path)
    alerts, faults = {each.name: each for each in one.alerts()}, _faults(one)
    assert set(alerts) == set(faults)
    tests = [
        {"interval": "1m", "input_series": series, "alert_rule_test": [_expected(alert, alert.name == name) for alert in alerts.values()]}
        for name, series in faults.items()
    ]  # fmt: skip
    quiet = [_expected(alert, False) for alert in alerts.values()]
    tests.append({"interval": "1m", "input_series": _healthy(one), "alert_rule_test": quiet})
    tests.append({"interval": "1m", "input_series": [], "alert_rule_test": quiet})
    # A server of another endpoint that has every fault at once makes none of ours fire.
    others = [
        {**each, "series": each["series"].replace('"home"', '"other"')}
        for series in faults.values()
        for each in series
    ]
    tests.append({"interval": "1m", "input_series": others, "alert_rule_test": quiet})
    made = {"rule_files": ["homeport-home.rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "tests.yml").write_text(yaml.safe_dump(made))
    assert "SUCCESS" in promtool("test", "rules", "tests.yml", folder=folder)


def _ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/-/ready").is_success
    except httpx2.RequestError:
        return False


@contextmanager
def prometheus(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Prometheus that runs with the files of a folder, looking each second; yields its address, and its process."""
    config = folder / "prometheus.yml"
    text = config.read_text().replace("15s", "1s").replace("10s", "1s")
    config.write_text(text)
    port = free_port("127.0.0.1")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        until(lambda: _ready(port), told=(folder / "log").read_text)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(120)


STALLED = "alert: HomeportStalled"
"""Its condition has an answer only while a request is under way, which is told as not known."""


def _not_ok(seen: dict[str, Any]) -> set[str]:  # Any: JSON
    return {what for what, one in seen.items() if one["verdict"] != "ok"}


def _failed(seen: dict[str, Any]) -> bool:  # Any: JSON
    return any(one["verdict"] == "failed" for one in seen.values())


@pytest.mark.lasts(19)
def test_a_real_prometheus_sees_a_real_endpoint_and_the_check_names_each_fault_made_to_it(
    user: User, tmp_path: Path
) -> None:
    folder = tmp_path / "watch"
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 512\n[observe]\nslo = {availability = 0.99}"))
    assert "homeport up" in user.run("export", "prometheus", code=20).err
    user.run("up", "--yes", "--no-verify")
    user.run("export", "prometheus", "-o", str(folder))
    user.run("export", "grafana", "-o", str(folder))
    key = user.run("env", "--json").json["OPENAI_API_KEY"]
    assert not any(key in path.read_text() for path in folder.iterdir())
    promtool("check", "config", "prometheus.yml", folder=folder)
    absent = user.run("observe", "check", "--prometheus", "http://127.0.0.1:9", code=19)
    assert "no Prometheus answers" in absent.err
    with prometheus(folder) as (url, process):

        def looked() -> dict[str, Any]:  # Any: JSON
            found = user.run("observe", "check", "--prometheus", url, "--json", code=None)
            assert isinstance(found.json, list), found.err
            seen = {one["what"]: one for one in found.json}
            assert found.code == (3 if _failed(seen) else 0)
            return seen

        def asked_and_looked() -> dict[str, Any]:
            user.run("chat", "What is the weather in Paris?", "--max-tokens", "8")
            return looked()

        good = until(asked_and_looked, lambda seen: _not_ok(seen) <= {STALLED})
        assert _not_ok(good) <= {STALLED}, good
        (dashboard,) = (json.loads(path.read_text()) for path in folder.glob("*.json"))
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                answer = httpx2.post(f"{url}/api/v1/query", data={"query": target["expr"]}).json()
                assert answer["data"]["result"], panel["title"]
        user.run("key", "rotate", "--yes", "--no-verify")  # The file is the same one: it is read again.
        still = until(looked, lambda seen: not _failed(seen))
        assert still["samples"]["verdict"] == "ok"
        (rules,) = folder.glob("*.rules.yml")
        rules.write_text(rules.read_text().replace("> 0\n", "> 1\n").replace("> 0'", "> 1'"))
        process.send_signal(signal.SIGHUP)
        said = "alert: HomeportQueue"
        changed = until(looked, lambda seen: seen[said]["verdict"] == "failed")
        assert "says something else" in changed[said]["text"]
        (config,) = folder.glob("prometheus.yml")
        config.write_text(config.read_text().replace("namespace: ", "namespace: not-"))
        process.send_signal(signal.SIGHUP)
        until(looked, lambda seen: seen["samples"]["verdict"] == "failed")
        config.write_text(config.read_text().replace("namespace: not-", "namespace: "))
        process.send_signal(signal.SIGHUP)
        until(looked, lambda seen: seen["samples"]["verdict"] == "ok")
        user.run("down", "--yes")

        def alerts() -> set[str]:
            found = httpx2.get(f"{url}/api/v1/alerts").json()["data"]["alerts"]
            return {one["labels"]["alertname"] for one in found}

        wanted = {"HomeportDown", "HomeportAvailabilityFastBurn", "HomeportAvailabilitySlowBurn"}
        assert wanted <= until(alerts, lambda seen: wanted <= seen), "and so they fire in a minute"
