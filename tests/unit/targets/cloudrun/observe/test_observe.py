"""The metrics of an endpoint on Cloud Run: what takes them away, what it may do, what is seen from outside, and its end."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cloud import act, things
from deployment import google_for
from gcp_rehearsal.iam.permissions import required
from homeport import spec
from homeport.catalog.prices import load
from homeport.errors import SpecError, Unsupported
from homeport.gateway.apis import APIS
from homeport.gateway.metrics import GatewayMetrics
from homeport.gateway.usage import TokenUsage
from homeport.home import find_home
from homeport.observe.panels import Watched
from homeport.progress import Silent
from homeport.targets.cloudrun.front import spans_of
from homeport.targets.cloudrun.managed import find_managed
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.observe.collector import SPANS_TO
from homeport.targets.cloudrun.preflight.permissions import needs
from homeport.targets.cloudrun.target import CloudRunTarget
from observed import WithObserve

RUNNER = "serviceAccount:home-run@rehearsal.iam.gserviceaccount.com"
PROJECT_ROLES = {"roles/monitoring.metricWriter", "roles/logging.logWriter"}
SECRET = "projects/rehearsal/secrets/home-observe"


@pytest.fixture
def deployer() -> WithObserve:
    return WithObserve("vllm")


def target(deployer: WithObserve, **observe: object) -> CloudRunTarget:
    wanted = deployer.observed(**observe)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    return deployer.target(google_for(deployer.cloud), chosen, wanted)


def granted(deployer: WithObserve) -> set[str]:
    """The roles of the service's account on the project."""
    policy = deployer.cloud.access.policy("cloudresourcemanager", "projects/rehearsal")
    return {one["role"] for one in policy.get("bindings", ()) if RUNNER in one["members"]}


def settings(deployer: WithObserve) -> Any:  # Any: JSON
    """What the newest version of the sidecar's settings says."""
    (version,) = [one for one in things(deployer.cloud) if one.name.startswith(f"{SECRET}/versions/")]
    return json.loads(next(iter(one for one in version.hidden.values() if isinstance(one, bytes))))


def test_the_sidecar_comes_after_the_engine_and_reads_its_settings_from_a_secret(
    deployer: WithObserve,
) -> None:
    plan, after = deployer.up(deployer.observed())
    order = [action.resource.id for action in plan.pending]
    for first in ("secret-version/home-observe", "grant/secretmanager.secretAccessor/home-run/secret/home-observe",
                  "grant/monitoring.metricWriter/home-run/project/rehearsal"):  # fmt: skip
        assert order.index(first) < order.index("service/home"), first
    assert after.pending == (), after.pending
    template = deployer.service["template"]
    serving, sidecar = template["containers"]
    assert (sidecar["name"], sidecar["dependsOn"]) == ("metrics", ["serving"])
    assert re.search(r"/cloud-run-gmp-sidecar@sha256:[0-9a-f]{64}$", sidecar["image"]), "by its digest"
    assert "ports" not in sidecar, "requests go to the engine alone"
    assert sidecar["resources"]["limits"] == {"cpu": "1", "memory": "512Mi"}
    assert sidecar["volumeMounts"] == [{"name": "rungmp", "mountPath": "/etc/rungmp"}]
    (volume,) = [one["secret"] for one in template["volumes"] if one["name"] == "rungmp"]
    assert [one["path"] for one in volume["items"]] == ["config.yaml"]
    assert granted(deployer) == PROJECT_ROLES
    assert serving["args"][serving["args"].index("--middleware") + 1] == "homeport_inside.OnlyInside"
    environment = {one["name"]: one.get("value") for one in serving["env"]}
    assert (environment["HOMEPORT_METRICS_PORT"], environment["PYTHONPATH"]) == ("9464", "/homeport")
    assert any(name.endswith("/homeport_inside.py") for name in deployer.objects)
    assert deployer.service["labels"]["homeport-observe"] == "metrics"


def test_a_file_without_it_deploys_what_it_did_and_asks_nothing_of_monitoring(deployer: WithObserve) -> None:
    deployer.deployed(deployer.wanted())
    (serving,) = deployer.service["template"]["containers"]
    assert "--middleware" not in serving["args"]
    assert deployer.service["labels"] == {"homeport": "home"}
    assert not granted(deployer)
    assert not [one for one in deployer.cloud.log if one.method.startswith("monitoring")]


def test_the_settings_keep_what_panels_and_alerts_use_and_no_other_series(deployer: WithObserve) -> None:
    slo = {"ttft": "2s", "availability": 0.99}
    made = target(deployer, slo=slo)
    deployer.deployed(deployer.observed(slo=slo))
    found = settings(deployer)
    assert (found["apiVersion"], found["kind"]) == ("monitoring.googleapis.com/v1beta", "RunMonitoring")
    (endpoint,) = found["spec"]["endpoints"]
    keep, drop = endpoint["metricRelabeling"]
    assert made.observing is not None
    watched = made.observing.watched
    queries = [curve.query for panel in watched.panels() for curve in panel.curves]
    queries += [alert.query for alert in watched.alerts()]
    used = {name for query in queries for name in re.findall(r"vllm:[a-z_]+", query)}
    assert {f"vllm:time_to_first_token_seconds_{part}" for part in ("bucket", "count")} <= used
    assert all(re.fullmatch(keep["regex"], name) for name in used)
    assert not re.fullmatch(keep["regex"], "vllm:e2e_request_latency_seconds_bucket")
    # The sidecar's own reader drops a histogram that has neither count nor last bucket.
    for part in ("sum", "count", "bucket"):
        assert re.fullmatch(keep["regex"], f"vllm:request_decode_time_seconds_{part}")
    assert re.fullmatch(drop["regex"], "vllm:request_decode_time_seconds_bucket;0.3")
    assert not re.fullmatch(drop["regex"], "vllm:request_decode_time_seconds_bucket;+Inf")
    assert not re.fullmatch(drop["regex"], "vllm:time_to_first_token_seconds_bucket;0.25")


def test_settings_that_somebody_changed_are_mended_without_a_new_revision(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed())
    revision = deployer.service["latestReadyRevision"]

    async def meddle() -> None:
        google = google_for(deployer.cloud)
        await google.post("secretmanager", f"v1/{SECRET}:addVersion", {"payload": {"data": "e30="}})

    act(meddle())
    plan, after = deployer.up(deployer.observed())
    assert [one.resource.id for one in plan.pending] == ["secret-version/home-observe"]
    assert after.pending == ()
    assert deployer.service["latestReadyRevision"] == revision


def test_without_it_sidecar_settings_and_rights_are_gone_after_the_new_revision_serves(
    deployer: WithObserve,
) -> None:
    deployer.deployed(deployer.observed())
    deployer.cloud.log.clear()
    _, after = deployer.up(deployer.wanted())
    assert after.pending == (), after.pending
    assert [one["name"] for one in deployer.service["template"]["containers"]] == ["serving"]
    assert not granted(deployer)
    assert deployer.cloud.store.get("secretmanager", SECRET) is None
    methods = [one.method for one in deployer.cloud.log]
    assert methods.index("run.projects.locations.services.patch") < methods.index(
        "secretmanager.projects.secrets.delete"
    )


def test_down_leaves_nothing_of_it_though_the_hubs_token_would_stay(deployer: WithObserve) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    deployer.deployed(deployer.observed())
    gone = deployer.down(deployer.observed(), purge=False)
    assert deployer.cloud.store.get("secretmanager", SECRET) is None
    assert gone.index("service home") < gone.index("configuration home-observe")
    assert not granted(deployer)
    deployer.down(deployer.observed(), purge=True)
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before
    asked_for = {one for call in deployer.cloud.log for one in required(call.method)}
    listed = {one for need in needs().values() for one in need.permissions}
    assert asked_for - listed - {"cloudquotas.quotas.get", "orgpolicy.policy.get"} == set()


def test_settings_without_our_mark_are_not_taken_away(deployer: WithObserve) -> None:
    deployer.deployed(deployer.observed())
    kept = deployer.cloud.store.get("secretmanager", SECRET)
    assert kept is not None
    kept.body["labels"] = {}
    found = act(find_managed(google_for(deployer.cloud), "home"))
    assert "secret/home-observe" not in {one.id for one in found.resources}


def test_a_plan_tells_the_samples_of_a_day_and_their_price(deployer: WithObserve) -> None:
    made = target(deployer)
    assert made.observing is not None
    (fact,) = made.observing.facts(load())
    data = fact.as_json()
    assert data["samples_per_day"] == data["series"] * 2880
    assert data["usd_per_day"] == pytest.approx(data["samples_per_day"] / 1e6 * 0.06, abs=1e-4)
    assert "million samples a day of each instance that runs" in fact.text
    assert made.estimate.size.cpu == made.shape.cpu + 1, "the sidecar counts in price and quotas"


@pytest.mark.parametrize(
    ("ttft", "told"),
    [
        ("2s", "within 2.5 s (2 s is asked for, and the engine counts at 1 s and at 2.5 s)"),
        ("2.5s", "within 2.5 s"),
        ("100ms", "within 0.1 s"),
        ("1ms", "within 0.001 s"),
        ("0.5ms", "within 0.001 s (0.0005 s is asked for, and the engine counts at 0 s and at 0.001 s)"),
        ("1m", "within 80 s (60 s is asked for, and the engine counts at 40 s and at 80 s)"),
        ("2560s", "within 2560 s"),
    ],
)
def test_a_plan_tells_by_which_bound_of_the_engines_an_objective_is_judged(
    deployer: WithObserve, ttft: str, told: str
) -> None:
    made = target(deployer, slo={"ttft": ttft, "availability": 0.99})
    assert made.observing is not None
    (fact,) = made.observing.facts(load())
    assert fact.as_json()["objectives"] == [
        f"0.95 of requests have their first token {told}",
        "0.99 of requests are answered without 5xx and 429",
    ]
    assert told in fact.text
    found = re.findall(r'le=~"([^"]+)"', " ".join(one.query for one in made.observing.watched.alerts()))
    bound = told.split()[1]
    assert found
    assert all(re.fullmatch(one, bound) and not re.fullmatch(one, f"{bound}1") for one in found)


def test_an_objective_that_is_beyond_the_last_bucket_is_refused(deployer: WithObserve) -> None:
    with pytest.raises(SpecError, match="up to 2560 s"):
        target(deployer, slo={"ttft": "2561s"})


def test_before_an_engine_that_tells_nothing_stands_the_gateway_and_counts() -> None:
    deployer = WithObserve("ollama")
    plan, after = deployer.up(deployer.observed())
    assert after.pending == (), after.pending
    order = [action.resource.id for action in plan.pending]
    assert order.index("image/gateway") < order.index("service/home")
    serving, sidecar, gateway = deployer.service["template"]["containers"]
    assert [one["name"] for one in (serving, sidecar, gateway)] == ["serving", "metrics", "gateway"]
    assert "ports" not in serving, "requests go to the gateway alone"
    assert gateway["ports"] == [{"name": "http1", "containerPort": 8080}]
    assert {"--unscreened", "--metrics-inside"} <= set(gateway["args"])
    assert gateway["env"] == [{"name": "HOMEPORT_METRICS_PORT", "value": "9464"}], "nothing is screened"
    assert (gateway["dependsOn"], sidecar["dependsOn"]) == (["serving"], ["gateway"])
    (endpoint,) = settings(deployer)["spec"]["endpoints"]
    keep, drop = endpoint["metricRelabeling"]
    made = target(deployer)
    assert made.observing is not None
    watched = made.observing.watched
    queries = [curve.query for panel in watched.panels() for curve in panel.curves]
    queries += [alert.query for alert in watched.alerts()]
    used = {
        name for query in queries for name in re.findall(r"(?:gen_ai|homeport_gateway)_[a-z_]+(?=[{])", query)
    }
    assert len(used) == 5
    assert all(re.fullmatch(keep["regex"], name) for name in used)
    assert re.fullmatch(drop["regex"], "gen_ai_client_token_usage_bucket;64.0")
    assert not re.fullmatch(drop["regex"], "gen_ai_server_time_to_first_token_seconds_bucket;0.5")


def test_a_plan_tells_every_series_that_is_kept_of_a_busy_gateway() -> None:
    deployer = WithObserve("ollama")
    deployer.deployed(deployer.observed())
    made = target(deployer).observing
    assert made is not None
    counted = GatewayMetrics("m")
    for operation in {api.operation for api in APIS.values()}:
        for error in ("", "engine", "client_gone", "400", "404", "500"):
            counted.begun()
            counted.ended(operation, 1.0, error, TokenUsage(1, None if operation == "embeddings" else 1))
        if operation != "embeddings":
            counted.first_text(operation, 1.0)
    (endpoint,) = settings(deployer)["spec"]["endpoints"]
    keep, drop = endpoint["metricRelabeling"]
    kept = 0
    for line in counted.text().decode().splitlines():
        name, _, labels = line.partition("{")
        limit = re.search(r'le="([^"]*)"', labels)
        if line.startswith("#") or not re.fullmatch(keep["regex"], name.split(" ")[0]):
            continue
        kept += not re.fullmatch(drop["regex"], f"{name};{limit[1] if limit else ''}")
    assert kept <= made.series - 5 <= kept + 3, "what a scrape tells of itself is counted, too"


def test_one_dashboard_serves_both_engines() -> None:
    titles, alerts = {}, {}
    for engine in ("ollama", "vllm"):
        made = target(WithObserve(engine), slo={"ttft": "2s", "availability": 0.99}).observing
        assert made is not None
        titles[engine] = {panel.title for panel in made.watched.panels()}
        alerts[engine] = {alert.name for alert in made.watched.alerts()}
    assert titles["ollama"] < titles["vllm"]
    assert titles["ollama"] == {
        "Tokens a second", "Requests", "Requests answered", "Time to the first token", "Error budget used up in an hour"
    }  # fmt: skip
    assert alerts["vllm"] - alerts["ollama"] == {
        "HomeportQueue",
        "HomeportKvCacheFull",
        "HomeportPreemptions",
    }


def test_without_it_the_gateway_goes_and_the_engine_is_asked_again() -> None:
    deployer = WithObserve("ollama")
    deployer.deployed(deployer.observed())
    _, after = deployer.up(deployer.wanted())
    assert after.pending == (), after.pending
    (serving,) = deployer.service["template"]["containers"]
    assert serving["ports"] == [{"name": "http1", "containerPort": 8080}]


def test_a_first_token_later_than_the_gateways_last_bucket_is_refused() -> None:
    with pytest.raises(SpecError, match=r"the gateway before Ollama counts first tokens up to 10 s"):
        target(WithObserve("ollama"), slo={"ttft": "11s"})


@pytest.mark.parametrize("engine", ["vllm", "ollama"])
def test_spans_go_to_cloud_trace_by_a_collector_beside_the_engine(engine: str) -> None:
    deployer = WithObserve(engine)
    wanted = deployer.observed(traces=True)
    plan, after = deployer.up(wanted)
    assert after.pending == (), after.pending
    assert plan.pending
    google = google_for(deployer.cloud)
    for api in ("telemetry", "cloudtrace"):
        service = act(google.get("serviceusage", f"v1/projects/rehearsal/services/{api}.googleapis.com"))
        assert service["state"] == "ENABLED", api
    containers = {one["name"]: one for one in deployer.service["template"]["containers"]}
    collector = containers["traces"]
    assert re.search(r"/otelcol-google@sha256:[0-9a-f]{64}$", collector["image"]), "by its digest"
    assert "ports" not in collector
    told = json.loads({one["name"]: one["value"] for one in collector["env"]}["HOMEPORT_COLLECTOR"])
    assert collector["args"] == ["--config=env:HOMEPORT_COLLECTOR"]
    assert told["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "127.0.0.1:4318"
    (pipeline,) = told["service"]["pipelines"].values()
    assert set(pipeline["processors"]) == set(told["processors"])
    assert set(pipeline["exporters"]) == set(told["exporters"])
    assert set(told["service"]["extensions"]) == set(told["extensions"])
    assert told["exporters"]["otlp"]["auth"]["authenticator"] in told["extensions"]
    if engine == "vllm":
        args, sent = containers["serving"]["args"], containers["serving"]["env"]
        assert args[args.index("--otlp-traces-endpoint") + 1] == "http://127.0.0.1:4318/v1/traces"
        assert {"name": "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "value": "http/protobuf"} in sent
        assert collector["dependsOn"] == ["serving"]
    else:
        sent = containers["gateway"]["env"]
        assert {
            "name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "value": "http://127.0.0.1:4318/v1/traces",
        } in sent
        assert collector["dependsOn"] == ["gateway"]
    assert granted(deployer) == {*PROJECT_ROLES, "roles/telemetry.tracesWriter"}
    assert deployer.service["labels"]["homeport-traces"] == "otlp"

    _, after = deployer.up(deployer.observed())
    assert after.pending == (), after.pending
    assert granted(deployer) == PROJECT_ROLES
    assert "traces" not in {one["name"] for one in deployer.service["template"]["containers"]}
    deployer.up(wanted)
    _, after = deployer.up(deployer.wanted())
    assert after.pending == (), after.pending
    assert not granted(deployer)


def test_spans_without_metrics_are_refused_since_nothing_would_take_them_away(deployer: WithObserve) -> None:
    with pytest.raises(Unsupported, match=r"observe\.traces on Cloud Run goes by the collector"):
        target(deployer, traces=True, metrics=False)


def test_a_plan_with_spans_tells_the_collector_and_its_size(deployer: WithObserve) -> None:
    made = target(deployer, traces=True)
    assert made.observing is not None
    (fact,) = made.observing.facts(load())
    assert (
        "a span of each request that Cloud Run samples, one in 10 s of each instance at most where clients ask for none"
        in fact.text
    )
    assert made.estimate.size.cpu == made.shape.cpu + 2
    deployer.deployed(deployer.observed(traces=True))
    deployer.down(deployer.observed(traces=True), purge=True)
    assert not granted(deployer)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"traces": True, "otlp": "127.0.0.1:4318"}, "an address, such as http"),
        ({"slo": {}}, "names no objective"),
        ({"slo": {"ttft": "2"}}, "a time with its unit"),
        ({"slo": {"ttft": "0s"}}, "no time at all"),
        ({"slo": {"ttfr": "2s"}}, "did you mean `ttft`"),
        ({"slo": {"ttft_share": 0.99, "availability": 0.99}}, "there is no ttft"),
        ({"slo": {"availability": 99}}, "write 0.99"),
        ({"slo": {"availability": 0.9}}, "from 0.94 to 0.9999"),
        ({"slo": {"availability": 1}}, "no budget for a single error"),
        ({"slo": {"availability": float("nan")}}, "from 0.94 to 0.9999"),
        ({"slo": 5}, "should be a table"),
        ({"metrics": False, "slo": {"availability": 0.99}}, "slo goes by the metrics"),
        ({"spend_cap": "stops_all_cloud_run_of_this_project"}, "spend_cap is not built yet"),
        ({"metrics": False, "alerts": ["mailto:ops@example.com"]}, "alerts goes by the metrics"),
        ({"alerts": ["ops@example.com"]}, "mailto:ops@example.com"),
        ({"alerts": ["mailto:a@example.com", "mailto:a@example.com"]}, "names one address twice"),
        ({"metric": True}, "did you mean `metrics`"),
    ],
)
def test_what_is_not_built_or_cannot_be_meant_is_refused_plainly(
    deployer: WithObserve, table: dict[str, object], told: str
) -> None:
    with pytest.raises(SpecError) as refused:
        deployer.observed(**table)
    assert told.lower() in f"{refused.value} {refused.value.hint}".lower()


def test_names_of_a_service_are_those_of_its_series(deployer: WithObserve) -> None:
    made = target(deployer).observing
    assert made is not None
    assert made.watched == Watched("home", made.watched.names)
    assert 'namespace="home"' in made.watched.panels()[0].curves[0].query


@pytest.mark.parametrize(("metrics", "address"), [(True, SPANS_TO), (False, "")])
def test_engine_and_gateway_send_spans_only_where_a_collector_takes_them(metrics: bool, address: str) -> None:
    wanted = spec.parse({"model": "gemma-3-270m", "observe": {"traces": True, "metrics": metrics}})
    assert spans_of(wanted) == address
