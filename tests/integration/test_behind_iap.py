"""A rehearsed endpoint behind Identity-Aware Proxy, from a refused plan to down, by commands of a service account that signs for itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from commands_on_cloudrun import FILE
from gcloud import served
from patience import until
from through_iap import DEPLOYER, GUARDED, PROGRAM, ThroughIap
from user import User


@pytest.fixture
def cloud(user: User, tmp_path: Path) -> Iterator[ThroughIap]:
    """A rehearsal with an account that deploys and one that asks; the logged-in person may act as both."""
    with served(tmp_path) as rehearsal:
        made = ThroughIap(user, rehearsal)
        made.has_accounts()
        yield made


def test_a_person_is_told_before_anything_is_made_that_no_browser_proves_a_revision(
    cloud: ThroughIap,
) -> None:
    cloud.user.write(GUARDED)
    cloud.account = ""
    refused = cloud.run("up", "--yes", code=None)
    assert refused.code not in {0, None}
    assert "iap/proof" in refused.err + refused.out
    assert "HOMEPORT_IMPERSONATE" in refused.err + refused.out


@pytest.mark.long
@pytest.mark.lasts(45)
def test_who_is_named_comes_in_by_what_an_account_signs_and_nobody_else(cloud: ThroughIap) -> None:
    cloud.user.write(GUARDED)
    plan = cloud.run("plan", "--json").json
    assert plan["facts"]["iap"]["members"] == ["user:friend@example.com", f"serviceAccount:{PROGRAM}"]
    cloud.run("up", "--yes")
    assert cloud.run("plan", "--json").json["changes_pending"] is False
    assert cloud.entrants() == [f"serviceAccount:{PROGRAM}", "user:friend@example.com"], (
        "the proof's own grant is gone"
    )

    assert cloud.asked() == (302, "Invalid IAP credentials: empty token")
    own_address = f"https://{cloud.host}"
    assert cloud.asked(cloud.rehearsal.id_token("friend@example.com"))[0] == 401, (
        "Cloud Run alone would take it"
    )
    status, models = until(
        lambda: cloud.asked(cloud.signed(PROGRAM, f"{own_address}/*")), lambda said: said[0] != 403
    )
    assert (status, "first" in models) == (200, True)
    cloud.account = PROGRAM  # It may do nothing but come in.
    with cloud.proxying("--url", own_address, "--audience", f"{own_address}/*", "--no-key") as said:
        reached = re.search(rf"is reached on (http://[\d.]+:\d+) as {re.escape(PROGRAM)}", said)
        assert reached, said
        through = httpx2.get(f"{reached[1]}/v1/models", trust_env=False, timeout=300)
        assert (through.status_code, "first" in through.text) == (200, True)
    cloud.account = DEPLOYER
    # Who proved it is out again, once that is seen.
    until(
        lambda: cloud.asked(cloud.signed(DEPLOYER, f"{own_address}/*")),
        lambda said: said == (403, "You don't have access"),
    )

    cloud.user.write(GUARDED.replace(f', "serviceAccount:{PROGRAM}"', f', "serviceAccount:{DEPLOYER}"'))
    cloud.run("up", "--yes")
    assert cloud.entrants() == [f"serviceAccount:{DEPLOYER}", "user:friend@example.com"]
    assert "Paris" in cloud.run("chat", "What is the capital of France?", "--temperature", "0").out
    verified = cloud.run("verify", "--json").json
    results = {one["name"]: one for one in verified["results"]}
    assert verified["passed"], [one for one in verified["results"] if one["outcome"] == "failed"]
    assert [results[name]["outcome"] for name in ("no-token", "audience", "private")] == ["passed"] * 3

    cloud.user.write(FILE)
    cloud.run("up", "--yes")
    assert cloud.entrants() == []
    assert cloud.asked()[0] == 403, "Cloud Run itself asks for a token again"
    assert cloud.run("plan", "--json").json["changes_pending"] is False


@pytest.mark.long
@pytest.mark.lasts(25)
def test_down_takes_out_who_came_in_before_the_service_goes(cloud: ThroughIap) -> None:
    cloud.user.write(GUARDED)
    cloud.run("up", "--yes")
    gone = cloud.run("down", "--yes", "--purge").out
    assert gone.index("grant of roles/iap.httpsResourceAccessor") < gone.index("removed service demo\n")
    body = {"template": {"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}]}}
    cloud.google(
        "POST",
        "run.googleapis.com/v2/projects/rehearsal/locations/europe-west4/services?serviceId=demo",
        body,
    )
    assert cloud.entrants() == [], "a service of the same name lets nobody in"
