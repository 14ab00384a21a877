"""Cloud Logging in the rehearsal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.apis.logging.entries import write_log
from gcp_rehearsal.apis.logging.filter import parse
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.errors import ApiError

LOGGING = "logging.googleapis.com/v2"
GLOBAL = {"type": "global"}
MINE = "projects/rehearsal/logs/mine"
ENTRY = {
    "logName": "projects/rehearsal/logs/run.googleapis.com%2Fstderr",
    "timestamp": "2026-11-24T09:00:00.5Z",
    "severity": "ERROR",
    "resource": {"type": "cloud_run_revision", "labels": {"service_name": "home", "location": "us-central1"}},
    "labels": {"k8s-pod/tekton.dev/taskRun": "b", "a": "B"},
    "textPayload": "Hello World: x",
    "httpRequest": {"status": 404},
}


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(delays=AT_ONCE)


async def write(raw: Raw, *texts: str, **more: Any) -> Answer:  # Any: JSON
    entries = [{"textPayload": text} for text in texts]
    body = {"logName": MINE, "resource": GLOBAL, "entries": entries, **more}
    return await raw.send("POST", f"{LOGGING}/entries:write", body)


async def listed(raw: Raw, wanted: str = "", **more: Any) -> Answer:  # Any: JSON
    body = {"resourceNames": ["projects/rehearsal"], "filter": wanted, **more}
    return await raw.send("POST", f"{LOGGING}/entries:list", body)


def texts(answer: Answer) -> list[str]:
    return [entry["textPayload"] for entry in answer.body.get("entries", ())]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("severity>=ERROR", True),
        ("severity > ERROR", False),
        ("severity=(INFO OR ERROR)", True),
        ("resource.type = cloud_run_revision \n AND resource.labels.service_name = home \n AND severity >= DEFAULT \n", True),
        ('logName="projects/rehearsal/logs/run.googleapis.com%2Fstderr" AND timestamp>="2026-11-24T08:00:00Z"', True),
        ('timestamp<"2026-11-24"', False),
        ('textPayload:"hello world"', True),
        ("textPayload:nothing OR severity=ERROR", True),
        ('(labels."k8s-pod/tekton.dev/taskRun"="c" OR labels.a=b) AND timestamp>="2026-11-24"', True),
        ("a=b AND severity=INFO OR severity=ERROR", False),
        ("severity=ERROR labels.a=c", False),
        ("NOT severity=ERROR", False),
        ("-severity=INFO", True),
        ("labels.none!=x", True),
        ("labels.none=x", False),
        ("labels:a", True),
        ("labels.none:*", False),
        ('"WORLD"', True),
        ("httpRequest.status>=400", True),
        ("http_request.status=40", False),
        ('textPayload=~"^Hello"', True),
        ('textPayload!~"^Hello"', False),
        ('log_id("run.googleapis.com/stderr")', True),
        ("severity=ERROR -- a comment\nlabels.a=B", True),
    ],
)  # fmt: skip
def test_a_filter_lets_entries_through(text: str, passes: bool) -> None:
    assert parse(text)(ENTRY) is passes


@pytest.mark.parametrize(
    "text",
    ["severity=", "AND", "(a=b", "a=b)", "a==b", 'a="b', "severity>=LOUD", 'timestamp>"x"', 'a=~"("', "f(x)"],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="Unparseable filter") as refused:
        parse(text)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    "text", ['SEARCH("x")', "sample(insertId, 0.1)", "severity=(INFO OR DEBUG AND ERROR)"]
)
def test_what_is_not_acted_out_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="does not act out") as refused:
        parse(text)
    assert refused.value.code == 501


def test_entries_are_read_as_they_were_written(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        assert (await write(raw, "one", "two", labels={"a": "b"})).body == {}
        entry = (await listed(raw)).body["entries"][0]
        assert entry["logName"] == MINE
        assert entry["resource"] == {"type": "global", "labels": {"project_id": "rehearsal"}}
        assert entry["labels"] == {"a": "b"}
        assert {"insertId", "timestamp", "receiveTimestamp"} <= set(entry)
        assert texts(await listed(raw)) == ["one", "two"]
        assert (await raw.send("GET", f"{LOGGING}/projects/rehearsal/logs")).body == {"logNames": [MINE]}

    act(work())


def test_entries_are_ordered_by_time_and_come_page_by_page(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        for number in range(5):
            await write(raw, str(number))
            await asyncio.sleep(1)
        late = {"textPayload": "late", "timestamp": "2020-01-01T00:00:00Z"}
        await write(raw, entries=[late])
        first = await listed(raw, pageSize=2)
        assert texts(first) == ["late", "0"]
        second = await listed(raw, pageSize=4, pageToken=first.body["nextPageToken"])
        assert texts(second) == ["1", "2", "3", "4"]
        assert "nextPageToken" not in second.body
        assert texts(await listed(raw, orderBy="timestamp desc", pageSize=1)) == ["4"]
        assert (await listed(raw, orderBy="severity")).status == 400
        assert (await listed(raw, pageSize=-1)).status == 400

    act(work())


def test_an_entry_that_is_sent_twice_is_kept_once_and_a_dry_run_keeps_none(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        entry = {"textPayload": "x", "insertId": "a", "timestamp": "2026-11-24T09:00:00Z"}
        await write(raw, entries=[entry], dryRun=True)
        assert texts(await listed(raw)) == []
        await write(raw, entries=[entry])
        await write(raw, entries=[entry])
        assert texts(await listed(raw)) == ["x"]

    act(work())


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"entries": []}, 400),
        ({"logName": "mine"}, 400),
        ({"logName": "folders/1/logs/mine"}, 501),
        ({"resource": {}}, 400),
        ({"entries": [{"textPayload": "a", "jsonPayload": {"b": "c"}}]}, 400),
        ({"logName": "projects/another/logs/mine"}, 403),
    ],
)
def test_a_wrong_entry_is_refused(cloud: Cloud, more: dict[str, Any], status: int) -> None:
    assert act(write(Raw(cloud), "x", **more)).status == status


@pytest.mark.parametrize(
    ("names", "status"),
    [
        ([], 400),
        (["rehearsal"], 400),
        (["organizations/1"], 501),
        (["projects/481516234200"], 200),
        (["projects/rehearsal/locations/global/buckets/_Default/views/_AllLogs"], 200),
        (["projects/rehearsal/locations/global/buckets/mine/views/_AllLogs"], 501),
    ],
)
def test_where_entries_are_read_from_is_checked(cloud: Cloud, names: list[str], status: int) -> None:
    assert act(listed(Raw(cloud), resourceNames=names)).status == status


def test_a_project_has_two_log_buckets_from_the_start_and_one_of_them_is_locked(cloud: Cloud) -> None:
    enable(cloud, "logging")
    place = f"{LOGGING}/projects/rehearsal/locations/global/buckets"

    async def work() -> None:
        raw = Raw(cloud)
        buckets = (await raw.send("GET", place)).body["buckets"]
        told = {
            one["name"].rpartition("/")[2]: (one["retentionDays"], one.get("locked", False))
            for one in buckets
        }
        assert told == {"_Default": (30, False), "_Required": (400, True)}
        assert (await raw.send("GET", f"{place}/_Default")).body["lifecycleState"] == "ACTIVE"
        assert (await raw.send("GET", f"{place}/mine")).status == 404
        elsewhere = place.replace("global", "europe-west4")
        assert (await raw.send("GET", elsewhere)).body.get("buckets", []) == []

    act(work())


def test_nobody_reads_or_writes_without_a_grant(cloud: Cloud) -> None:
    async def work() -> None:
        stranger = Raw(cloud, "stranger@example.com")
        refused = await write(stranger, "x")
        assert (refused.status, "logging.logEntries.create" in refused.error) == (403, True)
        assert (await listed(stranger)).status == 403

    act(work())


def test_a_log_is_deleted(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        write_log(cloud, "rehearsal", "run.googleapis.com/stderr", GLOBAL, "x", also={"severity": "ERROR"})
        assert texts(await listed(raw, 'log_id("run.googleapis.com/stderr") severity=ERROR')) == ["x"]
        place = f"{LOGGING}/projects/rehearsal/logs/run.googleapis.com%2Fstderr"
        assert (await raw.send("DELETE", place)).body == {}
        assert (await raw.send("DELETE", place)).status == 404
        assert texts(await listed(raw)) == []

    act(work())


def test_a_build_writes_its_lines(cloud: Cloud) -> None:
    enable(cloud, "cloudbuild", "iam")

    async def work() -> None:
        raw = Raw(cloud)
        place = "cloudbuild.googleapis.com/v1/projects/rehearsal/locations/us-central1/builds"
        steps = [{"name": "ubuntu", "args": ["true"]}]
        account = "builder@rehearsal.iam.gserviceaccount.com"
        accounts = "iam.googleapis.com/v1/projects/rehearsal/serviceAccounts"
        await raw.send("POST", accounts, {"accountId": "builder"})
        binding = {"role": "roles/logging.logWriter", "members": [f"serviceAccount:{account}"]}
        project = "projects/rehearsal"
        policy = cloud.access.policy("cloudresourcemanager", project)
        cloud.access.set_policy(
            "cloudresourcemanager", project, {"bindings": [*policy["bindings"], binding]}, at_once=True
        )
        started = await raw.send(
            "POST",
            place,
            {
                "steps": steps,
                "options": {"logging": "CLOUD_LOGGING_ONLY"},
                "serviceAccount": f"{project}/serviceAccounts/{account}",
            },
        )
        build = started.body["metadata"]["build"]["id"]
        await asyncio.sleep(120)
        wanted = f'logName="{project}/logs/cloudbuild" AND resource.type="build" AND resource.labels.build_id="{build}"'
        assert "DONE" in texts(await listed(raw, wanted))

    act(work())


def test_cloud_run_says_how_a_revision_started(cloud: Cloud) -> None:
    enable(cloud, "run")

    async def work() -> None:
        raw = Raw(cloud)
        place = "run.googleapis.com/v2/projects/rehearsal/locations/us-central1/services"
        for name, image in (("home", "docker.io/library/hello"), ("lost", "docker.io/library/missing")):
            await raw.send(
                "POST", f"{place}?serviceId={name}", {"template": {"containers": [{"image": image}]}}
            )
        await asyncio.sleep(600)
        of_it = 'resource.type="cloud_run_revision" AND resource.labels.service_name='
        assert "STARTUP TCP probe succeeded" in texts(await listed(raw, f"{of_it}home"))[0]
        assert "not found" in texts(await listed(raw, f"{of_it}lost severity>=ERROR"))[0]

    act(work())
