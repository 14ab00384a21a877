"""Files for somebody's own Prometheus and Grafana, made from one endpoint: what to scrape, rules, alerts, a dashboard."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from homeport.engines.metric_names import MetricNames
from homeport.engines.registry import module
from homeport.errors import NotRunning, SpecError, Unsupported
from homeport.export.text import head, to_yaml
from homeport.home import Home, find_home
from homeport.json_types import JsonObject
from homeport.naming import is_of
from homeport.observe.chart import LABEL, Panel
from homeport.observe.objectives import ServiceLevels, service_levels
from homeport.observe.panels import Watched
from homeport.resources.local import endpoint_key, endpoint_record
from homeport.spec import load, parse

_MOST_SERIES, _MOST_BYTES = 2000, "4MB"
"""Of one scrape: an engine with more does something that nobody reckoned with."""
_WIDTH, _HEIGHT = 12, 8
"""Of a panel, in Grafana's grid of 24."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraped:
    """An endpoint of this machine as Prometheus reaches it."""

    name: str
    address: str
    """Host and port."""
    path: str
    key_file: Path | None
    """Where the key is that it wants; None where it wants none."""
    names: MetricNames
    levels: ServiceLevels | None = None
    """The objectives that its file has for it."""

    @property
    def watched(self) -> Watched:
        """Return its panels and alerts."""
        return Watched(self.name, self.names, self.levels)


def scraped(name: str, file: Path, home: Home | None = None) -> Scraped:
    """
    Return the endpoint `name` of this machine, with the objectives of `file`, if that is its file; else those that it started with.

    Raises `NotRunning` where there is none, `Unsupported` for an engine that tells nothing, or not what they are about, `SpecError` for a key that is
    in no file.
    """
    folder = (home or find_home()).endpoint(name)
    started = endpoint_record.load(folder)
    if started is None:
        raise NotRunning(f"no endpoint called {name} runs here", hint="`homeport up` starts one")
    engine = module(started.launch["engine"])
    if engine.METRICS_PATH is None or engine.METRICS is None:
        raise Unsupported(
            f"{engine.TITLE} tells nothing for Prometheus", hint="set engine.kind to another engine"
        )
    observe = load(file).observe if is_of(file, name) else parse(started.spec).observe
    slo = observe.slo if observe else None
    key = endpoint_key.of_record(started, folder)
    if key.required and key.path is None:
        raise SpecError(
            f"the key of {name} is in {key.reference}, and Prometheus reads keys from files",
            hint="remove local.api_key: homeport keeps one in a file; or put yours into one: file:PATH",
        )
    return Scraped(
        name=name,
        address=urlsplit(started.url).netloc,
        path=engine.METRICS_PATH,
        key_file=key.path.absolute() if key.required and key.path else None,
        names=engine.METRICS,
        levels=service_levels(name, engine.TITLE, engine.METRICS, slo, front=False),
    )


def files(kind: str, one: Scraped) -> dict[str, str]:
    """Return the files of one kind by name: the same for the same endpoint, letter for letter. No key is in them."""
    if kind == "grafana":
        return {f"homeport-{one.name}.json": json.dumps(_dashboard(one.watched), indent=1) + "\n"}
    rules = f"homeport-{one.name}.rules.yml"
    return {"prometheus.yml": _config(one, rules), rules: _rules(one.watched)}


def _config(scraped: Scraped, rules: str) -> str:
    job: JsonObject = {
        "job_name": f"homeport-{scraped.name}",
        "metrics_path": scraped.path,
        "sample_limit": _MOST_SERIES,
        "body_size_limit": _MOST_BYTES,
        "static_configs": [{"targets": [scraped.address], "labels": {LABEL: scraped.name}}],
        "metric_relabel_configs": [
            {"source_labels": ["__name__"], "regex": scraped.watched.series_pattern, "action": "keep"}
        ],
    }
    notes = [
        f"Prometheus scrapes {scraped.name} on this machine: only the series that its panels and alerts use."
    ]
    if scraped.key_file is not None:
        job["authorization"] = {"type": "Bearer", "credentials_file": str(scraped.key_file)}
        notes.append(
            "The endpoint's key stays in the file that is named here; Prometheus' user must be able to read it."
        )
    config = {
        "global": {"scrape_interval": "15s", "scrape_timeout": "10s", "evaluation_interval": "15s"},
        "rule_files": [rules],
        "scrape_configs": [job],
    }
    return head("prometheus", *notes) + to_yaml(config)


def _rules(watched: Watched) -> str:
    recorded = [
        {"record": f"homeport:{_word(panel.title)}:{curve.name}", "expr": curve.query, "labels": {LABEL: watched.name}}
        for panel in watched.panels()
        for curve in panel.curves
    ]  # fmt: skip
    alerts = [
        {
            "alert": alert.name,
            "expr": alert.query,
            "for": alert.lasts,
            "labels": {"severity": alert.severity, LABEL: watched.name},
            "annotations": {"summary": alert.summary, "description": f"do: {alert.todo}"},
        }
        for alert in watched.alerts()
    ]
    groups = [
        {"name": f"homeport-{watched.name}", "rules": recorded},
        {"name": f"homeport-{watched.name}-alerts", "rules": alerts},
    ]
    objectives = (
        f"Objective: {objective}." for objective in (watched.levels.descriptions() if watched.levels else ())
    )
    notes = ("Rules for Prometheus: what is recorded, and what is warned of.", *objectives)
    return head("prometheus", *notes) + to_yaml({"groups": groups})


def _dashboard(watched: Watched) -> JsonObject:
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "title": f"homeport: {watched.name}",
        "uid": f"homeport-{watched.name}"[:40],
        "tags": ["homeport"],
        "schemaVersion": 39,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "15s",
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": [_chart(place, panel, source) for place, panel in enumerate(watched.panels())],
    }


def _chart(place: int, panel: Panel, source: JsonObject) -> JsonObject:
    where = {"x": place % 2 * _WIDTH, "y": place // 2 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": source,
        "gridPos": where,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": source, "expr": curve.query, "legendFormat": curve.name}
            for number, curve in enumerate(panel.curves)
        ],
    }  # fmt: skip


def _word(title: str) -> str:
    return title.lower().replace(" ", "_")
