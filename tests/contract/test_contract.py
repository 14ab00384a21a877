"""The contract of `homeport doctor --on cloudrun --contract`, kept by the rehearsal: here on a clock that jumps, and on a socket."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud import act, enable
from deployment import google_for
from gcloud import Served, served
from gcp_rehearsal.apis.compute import backends
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.settings import Delays
from homeport.contract import APIS, CLAUSES, Clause, ClauseFinding, ClauseVerdict, ContractPlace, hold
from schemas import ensure_valid


def kept(cloud: Cloud, *clauses: Clause) -> list[ClauseFinding]:
    async def keep() -> list[ClauseFinding]:
        async with google_for(cloud) as door:
            return await hold(door, lambda one: None, clauses)

    return act(keep())


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.text.replace(" ", "_"))
def test_in_process(clause: Clause) -> None:
    cloud = Cloud()
    enable(cloud, *APIS)

    async def keep() -> None:
        async with google_for(cloud) as door:
            await clause.keep(ContractPlace(google=door, name="contract-one"))

    act(keep())
    left = [
        one
        for one in cloud.store.everything()
        if "contract-one" in one.name and "perations" not in one.collection
    ]
    assert left == []


def test_a_clause_that_is_broken_is_told_from_one_that_could_not_be_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clause = next(one for one in CLAUSES if "takes no timeout" in one.text)
    cloud = Cloud()
    enable(cloud, "compute")
    monkeypatch.setattr(backends, "check_service", lambda *_: None)
    (found,) = kept(cloud, clause)
    assert (found.verdict, found.detail) == (ClauseVerdict.BROKEN, "no InvalidArgument was raised")
    (found,) = kept(Cloud(), clause)
    assert found.verdict is ClauseVerdict.NOT_TRIED
    (found,) = kept(cloud, replace(clause, keep=_nothing))
    assert found.verdict is ClauseVerdict.HOLDS


def left_of(cloud: Cloud) -> list[str]:
    kept = (one for one in cloud.store.everything() if "contract-" in one.name)
    return [one.name for one in kept if "perations" not in one.collection]


@pytest.mark.parametrize(
    ("words", "waits"),
    [
        ("may stand in a mask", "artifactregistry.projects.locations.operations.get"),
        ("its operation ends", "artifactregistry.projects.locations.operations.get"),
        ("nothing is left", "artifactregistry.projects.locations.operations.get"),
        ("its fingerprint", "compute.globalOperations.wait"),
        ("its fingerprint", "compute.regionOperations.wait"),
        ("url map", "compute.globalOperations.wait"),
    ],
)
def test_what_is_made_slowly_is_removed_all_the_same(words: str, waits: str) -> None:
    clause = next(one for one in CLAUSES if words in one.text)
    cloud = Cloud(delays=Delays(operations=1))
    enable(cloud, *APIS)
    cloud.faults.append(Fault(method=waits, status=403))
    (finding,) = kept(cloud, clause)
    assert finding.verdict is ClauseVerdict.NOT_TRIED, finding
    assert left_of(cloud) == []
    assert "may be left" not in finding.detail


@pytest.mark.parametrize(
    ("words", "method"),
    [
        ("url map", "compute.regionNetworkEndpointGroups.insert"),
        ("url map", "compute.backendServices.insert"),
        ("taken once", "secretmanager.projects.secrets.create"),
        ("taken once", "storage.buckets.insert"),
        ("may stand in a mask", "artifactregistry.projects.locations.repositories.create"),
        ("its operation ends", "artifactregistry.projects.locations.repositories.create"),
        ("as they were sent", "dns.managedZones.create"),
        ("as they were sent", "dns.resourceRecordSets.create"),
        ("policy that was", "iam.projects.serviceAccounts.create"),
        ("policy that was", "secretmanager.projects.secrets.create"),
    ],
)
def test_what_was_made_though_its_answer_was_lost_is_removed(words: str, method: str) -> None:
    """A request that makes something is done, and its answer is lost: that says nothing about the clause."""
    (clause,) = (one for one in CLAUSES if words in one.text)
    cloud = Cloud()
    enable(cloud, *APIS)
    fault = Fault(method=method, drop=True, after=True)
    cloud.faults.append(fault)
    (finding,) = kept(cloud, clause)
    assert fault.seen, "the clause makes it"
    # Compute Engine is asked again by the request's own id, and tells what came of it.
    repeated = method.startswith("compute.")
    assert finding.verdict is (ClauseVerdict.TOLD if repeated else ClauseVerdict.NOT_TRIED), finding
    assert left_of(cloud) == []
    assert "may be left" not in finding.detail


def broken_off(cloud: Cloud, words: str, fault: Fault, *, twice: bool = False) -> list[ClauseFinding]:
    """What is told of a clause that is broken off while `fault` holds a request up."""
    (clause,) = (one for one in CLAUSES if words in one.text)
    told: list[ClauseFinding] = []
    cloud.faults.append(fault)

    async def break_off() -> None:
        async with google_for(cloud) as door:
            work = asyncio.create_task(hold(door, told.append, (clause,)))
            for _ in range(1 + twice):
                while fault.seen < fault.nth and not work.done():  # noqa: ASYNC110 - no event tells that a fault strikes
                    await asyncio.sleep(0.1)
                await asyncio.sleep(0.1)
                assert not work.done()
                work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work

    act(break_off())
    return told


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("words", "nth"),
    [
        ("may stand in a mask", 1),
        ("its operation ends", 1),
        *(
            (words, nth)
            for words in ("its fingerprint", "taken once", "policy that was", "as they were sent")
            for nth in (1, 2)
        ),
    ],
)
def test_a_removal_that_is_broken_off_is_done_all_the_same(words: str, nth: int, after: bool) -> None:
    cloud = Cloud(delays=Delays(operations=1))
    enable(cloud, *APIS)
    told = broken_off(cloud, words, Fault(method="*.delete", nth=nth, delay=5, after=after))
    assert left_of(cloud) == []
    assert told == []


@pytest.mark.parametrize(
    "words", ["its fingerprint", "taken once", "policy that was", "its operation ends", "nothing is left"]
)
def test_what_is_left_by_a_removal_that_is_broken_off_twice_is_told(words: str) -> None:
    cloud = Cloud()
    enable(cloud, *APIS)
    (finding,) = broken_off(cloud, words, Fault(method="*.delete", delay=50), twice=True)
    assert finding.verdict is ClauseVerdict.NOT_TRIED
    assert finding.detail.startswith("it was broken off; what it made may be left: ")
    left = left_of(cloud)
    assert left
    said = " ".join(finding.left)
    assert not [name for name in left if name.rpartition("/")[2].partition("@")[0] not in said]


def test_what_a_removal_that_is_broken_off_is_refused_is_told_as_left() -> None:
    cloud = Cloud()
    enable(cloud, *APIS)
    method = "artifactregistry.projects.locations.repositories.delete"
    cloud.faults.append(Fault(method=method, status=403, times=9))
    (finding,) = broken_off(cloud, "may stand in a mask", Fault(method=method, delay=5))
    (name,) = left_of(cloud)
    (told,) = finding.left
    assert told.startswith(f"v1/{name} (")
    assert "403" in told, "and why"


@pytest.mark.parametrize(
    ("words", "method"),
    [
        ("taken once", "secretmanager.projects.secrets.delete"),
        ("policy that was", "iam.projects.serviceAccounts.delete"),
    ],
)
def test_a_removal_whose_answer_was_lost_is_none_that_failed(words: str, method: str) -> None:
    """It is asked for again, and then there is nothing: that is what was wanted."""
    (clause,) = (one for one in CLAUSES if words in one.text)
    cloud = Cloud()
    enable(cloud, *APIS)
    fault = Fault(method=method, drop=True, after=True)
    cloud.faults.append(fault)
    (finding,) = kept(cloud, clause)
    assert fault.seen
    assert finding.verdict is ClauseVerdict.HOLDS, finding
    assert left_of(cloud) == []


@pytest.mark.parametrize(
    "words", ["may stand in a mask", "its operation ends", "nothing is left", "its fingerprint", "url map"]
)
@pytest.mark.parametrize("after_s", [0.5, 3.0])
def test_what_is_broken_off_while_something_is_made_leaves_nothing(words: str, after_s: float) -> None:
    clause = next(one for one in CLAUSES if words in one.text)
    cloud = Cloud()
    enable(cloud, *APIS)

    async def break_off() -> None:
        async with google_for(cloud) as door:
            work = asyncio.create_task(hold(door, lambda one: None, (clause,)))
            await asyncio.sleep(after_s)
            assert not work.done()
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work

    act(break_off())
    assert left_of(cloud) == []


def test_an_account_that_is_not_seen_everywhere_yet_is_removed() -> None:
    clause = next(one for one in CLAUSES if "policy that was" in one.text)
    cloud = Cloud()
    enable(cloud, *APIS)
    cloud.faults.append(Fault(method="secretmanager.projects.secrets.create", status=403))
    (finding,) = kept(cloud, clause)
    assert finding.verdict is ClauseVerdict.NOT_TRIED
    assert left_of(cloud) == []


def test_what_cannot_be_removed_is_told() -> None:
    clause = next(one for one in CLAUSES if "may stand in a mask" in one.text)
    cloud = Cloud()
    enable(cloud, *APIS)
    cloud.faults.append(Fault(method="artifactregistry.projects.locations.repositories.patch", status=403))
    cloud.faults.append(Fault(method="artifactregistry.projects.locations.repositories.delete", status=403))
    (finding,) = kept(cloud, clause)
    assert finding.verdict is ClauseVerdict.NOT_TRIED
    (name,) = left_of(cloud)
    assert f"what it made may be left: v1/{name} (" in finding.detail


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="compute.urlMaps.insert", status=403),
        Fault(method="compute.urlMaps.insert", drop=True, times=1000),
    ],
    ids=["denied", "no network"],
)
def test_what_says_nothing_of_a_url_map_is_not_taken_for_google_s_words(fault: Fault) -> None:
    clause = next(one for one in CLAUSES if "url map" in one.text)
    cloud = Cloud()
    enable(cloud, *APIS)
    cloud.faults.append(fault)
    (finding,) = kept(cloud, clause)
    assert finding.verdict is ClauseVerdict.NOT_TRIED, finding


def test_what_says_nothing_is_no_proof_that_what_is_used_cannot_be_deleted() -> None:
    clause = next(one for one in CLAUSES if "used cannot be deleted" in one.text)
    cloud = Cloud()
    enable(cloud, *APIS)
    cloud.faults.append(Fault(method="compute.networks.delete", status=403))
    (finding,) = kept(cloud, clause)
    assert finding.verdict is ClauseVerdict.NOT_TRIED, finding


async def _nothing(place: ContractPlace) -> None: ...


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("contract")) as found:
        yield found


def doctor(found: Served, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "homeport", "doctor", *arguments]
    return subprocess.run(
        command, cwd=found.folder, env={**found.environment, "HOMEPORT_VALIDATE": "1", "PYTHONPATH": ""},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.long
def test_the_command_holds_what_answers_on_a_socket_to_it(rehearsal: Served) -> None:
    from homeport import google, sync

    async def switch_on() -> None:
        async with await google.from_env(rehearsal.environment) as door:
            body = {"serviceIds": [f"{api}.googleapis.com" for api in APIS]}
            begun = await door.post("serviceusage", f"v1/projects/{door.project}/services:batchEnable", body)
            await door.finish("serviceusage", begun, key="apis")
            await door.patient(apis=60).get("dns", f"dns/v1/projects/{door.project}/managedZones")

    sync.run(switch_on())
    ended = doctor(rehearsal, "--on", "cloudrun", "--contract", "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout)
    ensure_valid("doctor", told)
    wanted = ["told" if clause.asks else "holds" for clause in CLAUSES]
    assert [one["verdict"] for one in told["clauses"]] == wanted
    assert all(one["detail"] for one in told["clauses"] if one["verdict"] == "told")
    assert all(one["question"] and one["needs"] for one in told["untried"])
    assert doctor(rehearsal, "--contract").returncode == 64


def test_what_could_not_be_seen_says_by_which_clause_it_would_be() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cloud-run.md").read_text()
    table = text.partition("## What Google does that we could not see")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 35
    assert all(len(row) == 3 and all(row) for row in rows), "each says what is done, and what would settle it"
    named = {word for row in rows for word in re.findall(r"`([a-z0-9 ]+)`", row[2]) if " " in word}
    texts = {clause.text for clause in CLAUSES}
    assert named <= texts | {"homeport verify"}, "a clause is called as it is"
    assert {clause.text for clause in CLAUSES if clause.asks} <= named, "each question stands in the table"
