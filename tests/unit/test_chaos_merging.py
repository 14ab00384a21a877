"""What the chaos matrix does not run is what is provably the same as what it ran, and its table says which that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud import Raw, act, enable
from forked import READ_ALIKE, Cell, Watched, as_read
from gcp_rehearsal import handlers
from gcp_rehearsal.context import Call, Kind
from gcp_rehearsal.state import StoredResource
from matrix_table import Told, lines
from ways import PROJECT

_SECRETS = f"secretmanager.googleapis.com/v1/projects/{PROJECT}/secrets"
_GET = "run.projects.locations.services.get"


@pytest.mark.parametrize("kind", sorted(kind for kind, alike in READ_ALIKE.items() if alike))
def test_a_cell_whose_like_was_not_run_is_no_good_one(kind: str) -> None:
    another_call = Cell(6, _GET, READ_ALIKE[kind], 1, "")
    for ran in ([], [another_call]):
        with pytest.raises(AssertionError, match="which was not run"):
            as_read(kind, ran, 7, _GET)
    ran = [another_call, Cell(7, _GET, READ_ALIKE[kind], 2, "gone: it")]
    assert as_read(kind, ran, 7, _GET) == Cell(7, _GET, kind, 2, "gone: it", by_law=True)


def test_the_second_of_two_reads_alone_needs_no_like_and_other_kinds_run_themselves() -> None:
    assert as_read("second", [], 7, _GET) == Cell(7, _GET, "second", 1, "", by_law=True)
    assert as_read("late", [], 7, _GET) is None


def touch_nothing(secret: StoredResource, cloud: Watched) -> None:
    """A read as it should be."""


def count_up(secret: StoredResource, cloud: Watched) -> None:
    """The next etag is another."""
    secret.version += 1


def swap_bytes(secret: StoredResource, cloud: Watched) -> None:
    """What the secret holds is as long as before."""
    version = cloud.store.get("secretmanager", f"{secret.name}/versions/1")
    assert version is not None
    version.hidden["data"] = bytes(reversed(version.hidden["data"]))


def write_a_file(secret: StoredResource, cloud: Watched) -> None:
    """Bytes lie in the folder."""
    (cloud.folder / "left").write_bytes(b"x")


def lower_a_quota(secret: StoredResource, cloud: Watched) -> None:
    """Less may be made."""
    cloud.quotas["CpuAllocPerProjectRegion"] = 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (touch_nothing, ""),
        (count_up, f"secretmanager/projects/{PROJECT}/secrets/s"),
        (swap_bytes, f"secretmanager/projects/{PROJECT}/secrets/s/versions/1"),
        (write_a_file, "files"),
        (lower_a_quota, "quotas"),
    ],
)
def test_a_read_that_changes_anything_is_caught(
    change: Any,  # Any: one of the functions above
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud = Watched(folder=tmp_path)
    enable(cloud, "secretmanager")
    raw = Raw(cloud)
    act(raw.send("POST", f"{_SECRETS}?secretId=s", {"replication": {"automatic": {}}}))
    act(raw.send("POST", f"{_SECRETS}/s:addVersion", {"payload": {"data": "YSB0b2tlbg=="}}))

    def show(call: Call, secret: StoredResource) -> Any:  # Any: JSON
        change(secret, cloud)
        return secret.body

    collection = "secretmanager.projects.secrets"
    monkeypatch.setitem(handlers.KINDS, collection, Kind(show=show))
    cloud.held_to_reads = True
    if not what:
        assert act(raw.send("GET", f"{_SECRETS}/s")).status == 200
        return
    with pytest.raises(AssertionError, match=f"secrets.get is a read, and changed {what}$"):
        act(raw.send("GET", f"{_SECRETS}/s"))


def test_the_table_counts_what_was_run_and_says_what_was_not() -> None:
    run = [Told("up", True, "500", _GET, True, False), Told("up", True, "500", _GET, False, False)]
    by_law = [
        Told("up", True, "500 after", _GET, True, True),
        Told("up", True, "second", _GET, True, True),
    ]
    first, heads, row, last = lines([*run, *by_law], ("500", "500 after", "second", "late"))
    assert first == "every call in every kind"
    assert heads.split("  ")[-1].strip() == "late"
    assert row.split() == ["run.services.get", "1/2", "(1)", "(1)"]
    assert last == "1 of 2 that were run; 2 more, in brackets, are a read's, and were not run (decision 0017)"


def test_a_table_of_what_was_all_run_has_no_brackets() -> None:
    *_, row, last = lines([Told("up", False, "late", _GET, True, False)], ("500", "late"))
    assert row.split() == ["run.services.get", "1/1"]
    assert last == "1 of 1 that were run"
