"""`homeport usage --on cloudrun` takes nothing that it could not read for nothing, and no region for another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from cloud import Raw, act, enable, things
from deployment import PROJECT, google_for
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.iam.permissions import permissions_of, roles
from homeport import cli
from homeport.google import Google
from homeport.spec import CloudRun
from homeport.targets.base import OpenOptions
from homeport.targets.cloudrun import usage as cloudrun_usage
from homeport.targets.cloudrun.invokers import LETS_CALL
from homeport.targets.cloudrun.service_spec import ANNOTATION

NEAR, FAR = "us-central1", "europe-west4"
REQUESTS = {NEAR: 5, FAR: 7}


class Counted:
    """What answers in a Prometheus' place: requests and an hour of each service, in either region."""

    def query(self, path: str, form: Mapping[str, str]) -> bytes:
        query, told = form["query"], []
        if "homeport_caller" in query:
            return self.by_caller(query)
        for region, requests in REQUESTS.items():
            value = requests if "request_count" in query else 3600 if "billable" in query else None
            labels = {"service_name": "home", "location": region, "revision_name": "home-first"}
            asked = query.partition("by (")[2].partition(")")[0].split(", ")
            if value is not None:
                kept = {name: text for name, text in labels.items() if name in asked}
                told.append({"metric": kept, "value": [0, f"{value}"]})
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": told}}).encode()

    callers: ClassVar[dict[str, tuple[int, int, int, int]]] = {}
    """By caller: requests of which tokens are known and are not, tokens in and out. In one region alone."""

    def by_caller(self, query: str) -> bytes:
        label, words = (
            ("tokens_told", ("yes", "no"))
            if "homeport_caller_requests" in query
            else ("gen_ai_token_type", ("input", "output"))
        )
        told = []
        for caller, counts in self.callers.items():
            figures = counts[:2] if label == "tokens_told" else counts[2:]
            for word, value in zip(words, figures, strict=True):
                labels = {"namespace": "home", "location": NEAR, "caller": caller, label: word}
                told.append({"metric": labels, "value": [0, f"{value}"]})
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": told}}).encode()


class ByCaller(Counted):
    callers: ClassVar = {
        "ann@example.com": (3, 0, 30, 12),
        "bob@example.com": (4, 2, 5, 1),
        "idle@example.com": (0, 0, 0, 0),
        "unknown": (1, 0, 2, 2),
        "others": (9, 0, 9, 9),
    }


class Beyond(Counted):
    """One caller, who asked less often than Cloud Run counted."""

    callers: ClassVar = {"ann@example.com": (2, 0, 30, 12), "unknown": (0, 0, 0, 0)}


class Nobody(Counted):
    """Series of callers, and no request in them."""

    callers: ClassVar = {"ann@example.com": (0, 0, 0, 0), "unknown": (0, 0, 0, 0)}


@dataclass(kw_only=True)
class Shut(Cloud):
    """A cloud of which nobody may read one region's services."""

    shut: str = ""

    async def handle(self, request: Request) -> Reply:
        if self.shut and request.verb == "GET" and request.path.endswith(f"/{self.shut}/services"):
            return self.refused("run", ApiError(403, "no"))
        return await Cloud.handle(self, request)


def served(*where: str, shut: str = "", counted: type[Counted] = Counted) -> Cloud:
    cloud = Shut(delays=AT_ONCE, metrics=counted(), shut=shut)
    apis = (
        "run",
        "compute",
        "storage",
        "secretmanager",
        "iam",
        "dns",
        "artifactregistry",
        "serviceusage",
        "monitoring",
    )
    enable(cloud, *apis, "cloudresourcemanager")  # fmt: skip
    for region in where:
        limits = {"cpu": "8" if region == FAR else "4", "memory": "32Gi" if region == FAR else "16Gi"}
        image = "us-docker.pkg.dev/cloudrun/container/hello"
        body = {
            "labels": {"homeport": "home"},
            "template": {
                "revision": "home-first",
                "annotations": {f"{ANNOTATION}model": f"of-{region}"},
                "containers": [{"image": image, "resources": {"limits": limits, "cpuIdle": False}}],
            },
        }
        url = f"run.googleapis.com/v2/projects/{PROJECT}/locations/{region}/services?serviceId=home"
        answer = act(Raw(cloud).send("POST", url, body))
        assert answer.status == 200, answer.body
    return cloud


class Told:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, cloud: Cloud, *arguments: str) -> tuple[int, str, str]:
        async def door(settings: CloudRun | None, options: OpenOptions) -> Google:
            return google_for(cloud)

        self._monkeypatch.setattr(cloudrun_usage, "door_for", door)
        code = cli.run(["usage", "--on", "cloudrun", "--days", "1", *arguments])
        told = self._capsys.readouterr()
        return code, told.out, told.err


@pytest.fixture
def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> Told:  # Any: a folder
    monkeypatch.chdir(tmp_path)
    return Told(monkeypatch, capsys)


def test_services_of_one_name_in_two_regions_have_a_line_and_a_price_each(told: Told) -> None:
    cloud = served(NEAR, FAR)
    code, out, err = told(cloud, "--json")
    rows = {one["region"]: one for one in json.loads(out)}
    assert (code, {region: one["requests"] for region, one in rows.items()}) == (0, REQUESTS), err
    assert rows[FAR]["usd"] > 1.5 * rows[NEAR]["usd"] > 0
    _, out, _ = told(cloud, "home", "--by", "model", "--csv")
    head, *lines = out.splitlines()
    assert head.startswith("model,endpoint,on,requests")
    cells = [line.split(",") for line in lines]
    assert [(one[0], one[3], one[-1]) for one in cells] == [
        (f"of-{FAR}", "7", FAR),
        (f"of-{NEAR}", "5", NEAR),
    ]
    _, out, _ = told(cloud)
    assert "REGION" in out
    assert FAR in out


def test_where_nobody_counts_by_caller_the_sum_is_told_and_what_to_set(told: Told) -> None:
    code, out, err = told(served(NEAR), "--by", "caller", "--json")
    (row,) = json.loads(out)
    assert (code, row["key"], row["requests"]) == (0, "not known", 5)
    assert f"who called home in {NEAR} is not known: set callers = true in [observe]" in err


def test_callers_have_a_line_each_and_only_where_somebody_counts_them(told: Told) -> None:
    code, out, err = told(served(NEAR, FAR, counted=ByCaller), "--by", "caller", "--json")
    rows = {(one["region"], one["key"]): one for one in json.loads(out)}
    assert code == 0, err
    assert list(rows) == [
        (FAR, "not known"),
        (NEAR, "ann@example.com"),
        (NEAR, "bob@example.com"),
        (NEAR, "not known"),
        (NEAR, "others"),
    ]
    ann, bob = rows[NEAR, "ann@example.com"], rows[NEAR, "bob@example.com"]
    assert (ann["requests"], ann["prompt_tokens"], ann["output_tokens"], ann["partly"]) == (3, 30, 12, [])
    assert (bob["requests"], bob["partly"]) == (6, ["prompt_tokens", "output_tokens"])
    assert ann["hours"] is ann["usd"] is ann["starts"] is None, (
        "they are the endpoint's, and nobody's in particular"
    )
    assert rows[FAR, "not known"]["requests"] == REQUESTS[FAR]
    assert f"who called home in {FAR} is not known" in err
    assert f"who called home in {NEAR}" not in err
    _, out, _ = told(served(NEAR, counted=ByCaller), "--by", "caller", "--csv")
    assert out.splitlines() == [
        "caller,endpoint,on,requests,prompt_tokens,output_tokens,starts,hours,usd,partly,region",
        f"ann@example.com,home,cloudrun,3,30,12,,,,,{NEAR}",
        f"bob@example.com,home,cloudrun,6,5,1,,,,prompt_tokens output_tokens,{NEAR}",
        f"not known,home,cloudrun,1,2,2,,,,,{NEAR}",
        f"others,home,cloudrun,9,9,9,,,,,{NEAR}",
    ]
    _, out, _ = told(served(NEAR, counted=ByCaller), "--by", "caller")
    (line,) = [line for line in out.splitlines() if "bob@example.com" in line]
    assert "≥ 5" in line


def test_what_cloud_run_counted_beyond_all_callers_is_a_line_of_its_own_and_said(told: Told) -> None:
    code, out, err = told(served(NEAR, counted=Beyond), "--by", "caller", "--json")
    rows = {one["key"]: one for one in json.loads(out)}
    assert code == 0, err
    assert {key: one["requests"] for key, one in rows.items()} == {"ann@example.com": 2, "not known": 3}
    assert rows["not known"]["partly"] == ["prompt_tokens", "output_tokens"], "nobody said what they took"
    assert rows["ann@example.com"]["partly"] == []
    assert f"about 3 requests that Cloud Run counted at home in {NEAR} are no caller's" in err
    assert "names rest on Cloud Run handing on the token that it looked at" in err


@pytest.mark.parametrize("counts", [False, True])
def test_an_endpoint_whose_callers_counted_nothing_is_not_unused(told: Told, counts: bool) -> None:
    cloud = served(NEAR, counted=Nobody)
    if counts:
        (service,) = [kept for kept in things(cloud) if kept.name.endswith("/services/home")]
        service.body["template"]["containers"][0]["args"] = ["-m", "homeport.gateway", "--callers"]
    code, out, err = told(cloud, "--by", "caller", "--json")
    (row,) = json.loads(out)
    assert (code, row["key"], row["requests"]) == (0, "not known", 5)
    assert "nothing was counted" not in out + err
    assert "names rest on" not in err, "there are none"
    assert ("`homeport observe check --on cloudrun`" in err) is counts
    assert ("set callers = true" in err) is not counts


def test_a_service_that_cannot_be_read_is_named_where_nobody_was_counted(told: Told) -> None:
    cloud = served(NEAR, counted=Nobody)
    cloud.faults.append(Fault(method="run.projects.locations.services.get", status=403))
    code, out, err = told(cloud, "--by", "caller", "--json")
    (row,) = json.loads(out)
    assert (code, row["requests"]) == (27, 5)
    assert f"could not be read: whether the gateway of home in {NEAR} counts by caller" in err


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("roles/run.developer", "it is open to everybody"),
        ("roles/run.viewer", "it may be open to everybody"),
        (f"projects/{PROJECT}/roles/mine", "it may be open to everybody"),
    ],
)
def test_a_role_of_everybodys_is_told_by_what_it_lets_them_do(told: Told, role: str, words: str) -> None:
    cloud = served(NEAR, counted=ByCaller)
    (service,) = [kept for kept in things(cloud) if kept.name.endswith("/services/home")]
    cloud.access.set_policy(
        "run", service.name, {"bindings": [{"role": role, "members": ["allUsers"]}]}, at_once=True
    )
    code, out, err = told(cloud, "--by", "caller", "--json")
    (row,) = json.loads(out)
    assert (code, row["key"], row["requests"]) == (0, "not known", 19)
    assert words in err
    assert "ann@" not in out + err


def test_the_roles_that_let_call_are_googles_own() -> None:
    holding = {role for role in roles() if "run.routes.invoke" in (permissions_of(role) or ())}
    assert holding == LETS_CALL


@pytest.mark.parametrize("way", ["switch", "grant"])
def test_where_anybody_is_let_in_now_no_name_is_believed(told: Told, way: str) -> None:
    cloud = served(NEAR, counted=ByCaller)
    path = f"run.googleapis.com/v2/projects/{PROJECT}/locations/{NEAR}/services/home"
    if way == "switch":
        (service,) = [kept for kept in things(cloud) if kept.name.endswith("/services/home")]
        service.body["invokerIamDisabled"] = True
    else:
        policy = {"bindings": [{"role": "roles/run.invoker", "members": ["allUsers"]}]}
        answer = act(Raw(cloud).send("POST", f"{path}:setIamPolicy", {"policy": policy}))
        assert answer.status == 200, answer.body
    code, out, err = told(cloud, "--by", "caller", "--json")
    (row,) = json.loads(out)
    assert (code, row["key"], row["requests"], row["output_tokens"]) == (0, "not known", 19, 24)
    assert "ann@" not in out + err
    assert "it is open to everybody, who then may write any name into a request" in err


def test_where_it_cannot_be_seen_who_is_let_in_no_name_is_believed_and_that_is_said(told: Told) -> None:
    cloud = served(NEAR, counted=ByCaller)
    cloud.faults.append(Fault(method="run.projects.locations.services.getIamPolicy", status=403))
    code, out, err = told(cloud, "--by", "caller", "--json")
    (row,) = json.loads(out)
    assert (code, row["key"], row["requests"]) == (27, "not known", 19)
    assert f"could not be read: who may call home in {NEAR}" in err
    assert "it may be open to everybody" in err


def test_a_region_that_cannot_be_read_is_named_beside_what_is_known(told: Told) -> None:
    code, out, err = told(served(NEAR, FAR, shut=FAR), "--json")
    assert code == 27
    assert [one["region"] for one in json.loads(out)] == [NEAR]
    assert f"could not be read: services in {FAR}" in err


@pytest.mark.parametrize("name", [(), ("home",), ("nosuch",)])
def test_what_may_be_in_a_region_that_cannot_be_read_is_not_nothing(
    told: Told, name: tuple[str, ...]
) -> None:
    code, out, err = told(served(FAR, shut=FAR), *name, "--csv")
    assert code == 27
    assert len(out.splitlines()) == 1
    assert "nothing was counted" not in out + err
    assert f"services in {FAR}" in err


def test_models_that_cannot_be_read_are_not_known_and_the_figures_are_told(told: Told) -> None:
    cloud = served(NEAR)
    cloud.faults.append(Fault(method="run.projects.locations.services.revisions.list", status=403))
    code, out, err = told(cloud, "--by", "model", "--json")
    (row,) = json.loads(out)
    assert (code, row["key"], row["requests"]) == (27, "not known", 5)
    assert f"models of the revisions of home in {NEAR}" in err


def test_a_name_that_nothing_carries_is_refused(told: Told) -> None:
    code, out, err = told(served(NEAR), "nosuch")
    assert (code, out) == (20, "")
    assert "no endpoint called nosuch" in err
    assert "there are home" in err


def test_a_project_without_endpoints_has_counted_nothing(told: Told) -> None:
    code, out, err = told(served())
    assert code == 0, err
    assert "nothing was counted" in out + err
