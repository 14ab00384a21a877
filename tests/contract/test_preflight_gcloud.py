"""The commands that a preflight names are ones that the real gcloud takes."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from gcloud import NEEDS_GCLOUD, served
from preflights import ASKED, OFFICE, about, looked, ready, with_office

pytestmark = NEEDS_GCLOUD
L4 = "NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion"


def command(hint: str) -> list[str]:
    """The arguments of the command in a hint."""
    words = shlex.split(hint[hint.index("gcloud ") :].partition("; ")[0].partition(" (or ")[0])
    return words[1:]


def test_gcloud_takes_the_commands_that_a_preflight_names(tmp_path: Path) -> None:
    more = about(looked(ready(quotas={L4: 1}), replace(ASKED, max_instances=5)), f"quota/{L4}")
    lacking = about(looked(ready(), caller="dev@example.com"), "permissions/run.admin")
    shut = about(looked(with_office(private_access=False), OFFICE), "subnetwork/desks")
    small = about(looked(with_office(cidr="10.9.0.0/27"), OFFICE), "subnetwork/desks")
    with served(tmp_path) as rehearsal:
        rehearsal.gcloud("services", "enable", "cloudquotas.googleapis.com")
        rehearsal.gcloud(*command(more.hint))
        shown = "--format=value(quotaId,quotaConfig.preferredValue)"
        wished = rehearsal.gcloud("beta", "quotas", "preferences", "list", "--project=rehearsal", shown)
        assert wished.out.splitlines()[-1].split() == [L4, "5"]
        rehearsal.gcloud(*command(lacking.hint))
        policy = rehearsal.gcloud("projects", "get-iam-policy", "rehearsal", "--format=json").json
        assert {"role": "roles/run.admin", "members": ["user:dev@example.com"]} in policy["bindings"]
        rehearsal.gcloud("services", "enable", "compute.googleapis.com")
        subnets = ("compute", "networks", "subnets")
        where = ("desks", "--region=us-central1")
        rehearsal.gcloud("compute", "networks", "create", "office", "--subnet-mode=custom")
        rehearsal.gcloud(*subnets, "create", *where, "--network=office", "--range=10.9.0.0/27")
        rehearsal.gcloud(*command(shut.hint))
        rehearsal.gcloud(*command(small.hint))
        mended = rehearsal.gcloud(*subnets, "describe", *where, "--format=json").json
        assert (mended["privateIpGoogleAccess"], mended["ipCidrRange"]) == (True, "10.9.0.0/26")
