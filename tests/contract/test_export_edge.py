"""The exported script of a file with an `[edge]`, carried out by the real gcloud: the service is closed last, and `up` has the proof to make."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import ways
from cloud import act, enable
from deployment import google_for
from edges import DOMAIN, write_certificate
from exporting import There, pending, there
from gcloud import NEEDS_GCLOUD
from gcp_rehearsal.apis.iam.signing import claims_of
from gcp_rehearsal.cloud import OWNER
from homeport.export import gcloud_edge
from homeport.export.graph import OF_EDGE
from homeport.google import Google
from homeport.reconcile import Resource
from homeport.resources.google.release import Release
from homeport.resources.google.traffic import Body, Receipt
from homeport.targets.cloudrun.edge.backends import named_backends
from homeport.targets.cloudrun.edge.load_balancer import EdgeParts, EndpointEdge
from homeport.targets.cloudrun.preflight.networks import paths_of
from proxied import ROBOT, TEAM, behind_iap

CHANGES = re.compile(r"\.(create|insert|patch|update|delete|replaceService|set[A-Z]\w+|\w+Rule)$")
pytestmark = NEEDS_GCLOUD


async def never(*_: object) -> Receipt:
    raise AssertionError


async def answers(_: Body) -> str:
    return ""


SERVICE = f"v2/projects/{ways.PROJECT}/locations/{ways.REGION}/services"
KILLED = """#!/bin/sh
{gcloud} "$@"; code=$?
# As if the machine went off: the script is gone after that command.
case "$*" in {after}) kill -9 "$(ps -o ppid= -p $PPID | tr -d ' ')" $PPID ;; esac
exit $code
"""
SMALL = {"name": f"{SERVICE[3:]}/small"}
OTHERS: dict[str, Any] = {"backends": {"/small": "small", "x-engine: vllm": "small"}, "shares": {"small": 10}}
CLOSED = {
    "ingress": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
    "defaultUriDisabled": True,
    "homeport/edge": f"https://{DOMAIN}",
}
OPEN = {"ingress": "INGRESS_TRAFFIC_ALL", "defaultUriDisabled": False, "homeport/edge": None}


@dataclass(frozen=True)
class Behind:
    """A file with an `[edge]`, and what `up` makes of it."""

    wish: ways.Wanted
    folder: Path

    def __call__(self, google: Google) -> list[Resource]:
        edge, target = self.wish.spec.edge, self.wish.target(google, never)
        if edge is None:
            return target.resources()
        parts = EdgeParts(
            google=google, names=target.names, edge=edge, base=self.folder, behind=tuple(replace(one, service=SMALL) for one in named_backends(edge)),
            network=paths_of(target.preflight_input()) if edge.kind == "internal" else ("", ""),
        )  # fmt: skip
        isolated = self.wish.spec.access.isolated
        made = EndpointEdge(parts=parts, ask=answers, prove=never, is_isolated=isolated)
        return behind_iap(replace(target, edge=made)).resources()


def behind(
    folder: Path, cloudrun: dict[str, str] | None = None, iap: tuple[str, ...] = (), **edge: object
) -> Behind:
    sections: dict[str, Any] = {"cloudrun": cloudrun} if cloudrun else {}  # Any: values of homeport.toml
    sections |= {"access": {"iap": list(iap)}} if iap else {}
    return Behind(ways.wanted("vllm", folder, edge={"domain": DOMAIN, **edge}, **sections), folder)


def own(folder: Path) -> dict[str, Any]:  # Any: text
    certificate, key = write_certificate(folder)
    return {"certificate": f"file:{certificate}", "private_key": f"file:{key}"}


def of_edge(one: Resource) -> bool:
    return one.kind in OF_EDGE or isinstance(one, Release)


def changes(here: There, since: int) -> list[str]:
    return [one.method for one in here.cloud.log[since:] if CHANGES.search(one.method)]


def door_of(here: There) -> dict[str, object]:
    (kept,) = [one.body for one in here.cloud.store.of("run") if one.name.endswith("/services/home")]
    told = kept.get("annotations", {}).get("homeport/edge")
    return {"ingress": kept["ingress"], "defaultUriDisabled": bool(kept.get("defaultUriDisabled")), "homeport/edge": told}  # fmt: skip


def logs_in(here: There) -> None:
    """Give the proxy an OAuth client, without which it answers nobody: the project is in no organisation."""

    async def client() -> None:
        google = google_for(here.cloud)
        settings = {"accessSettings": {"oauthSettings": {"clientId": "c1", "clientSecret": "s3"}}}
        await google.patch("iap", "v1/projects/481516234200:iapSettings", settings)

    act(client())


@pytest.fixture
def here(tmp_path: Path, gcloud_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[There]:
    monkeypatch.setenv("PATH", f"{gcloud_folder}:{os.environ['PATH']}")
    with there(tmp_path, steps=ways.Carrying()) as here:
        yield here


def test_a_global_one_is_made_closed_last_changed_and_opened_first(here: There, tmp_path: Path) -> None:
    wanted = behind(tmp_path, requests_per_minute=60, preview=True)
    here.up(wanted, of_edge)
    here.script_of_the_rest(wanted)
    since = len(here.cloud.log)
    said = here.run("bash", "deploy.sh").err
    assert f"  {DOMAIN}. A 34." in said
    assert f"  _acme-challenge.{DOMAIN}. CNAME " in said
    assert changes(here, since)[-1] == "run.projects.locations.services.patch", "the door is last"
    assert pending(here.plan(wanted)) == ["create release/home: []"], "the proof is not gcloud's"
    assert door_of(here) == CLOSED

    since = len(here.cloud.log)
    again = here.run("bash", "deploy.sh").err
    assert changes(here, since) == []
    assert "~" not in again
    assert "= URL map home-edge: is there, as the file says; left as it is" in again
    assert f"= requests come through https://{DOMAIN} alone, as the file says" in again

    enforced = behind(tmp_path, requests_per_minute=90)
    here.script_of_the_rest(enforced)
    here.run("bash", "deploy.sh")
    assert pending(here.plan(enforced)) == ["create release/home: []"]

    # Another domain would leave clients with nothing, and the script cannot prove the new one.
    here.script_of_the_rest(behind(tmp_path, domain="other.example.com"))
    since = len(here.cloud.log)
    refused = here.run("bash", "deploy.sh", code=1).err
    assert f"error: https://{DOMAIN} leads to the service, and would answer no more" in refused
    assert "run.projects.locations.services" not in " ".join(changes(here, since))

    without = Behind(ways.wanted("vllm", tmp_path), tmp_path)
    here.script_of_the_rest(without)
    here.run("bash", "deploy.sh")
    assert door_of(here) == OPEN
    assert not [one for one in pending(here.plan(without)) if "release" not in one]
    assert here.down(wanted.wish.spec) == set()


def test_one_of_a_region_with_a_certificate_of_ones_own_goes_on_after_it_was_stopped(
    here: There, tmp_path: Path, gcloud_folder: Path
) -> None:
    wanted = behind(tmp_path, kind="regional", requests_per_minute=60, **OTHERS, **own(tmp_path))
    here.up(wanted, of_edge)
    here.script_of_the_rest(wanted)
    key = (tmp_path / f"{DOMAIN}.key").read_text()
    assert not [path for path in tmp_path.glob("*.*") if path.suffix != ".key" and key in path.read_text()]
    lacks = here.run("bash", "deploy.sh", code=1).err
    assert "error: TLS_KEY_FILE is not set: export TLS_KEY_FILE=" in lacks

    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "gcloud"
    shim.write_text(
        KILLED.format(gcloud=gcloud_folder / "gcloud", after='"compute backend-services import"*')
    )
    shim.chmod(0o755)
    named: dict[str, Any] = {"TLS_KEY_FILE": f"{DOMAIN}.key"}  # Any: text
    stopped = here.run(
        "bash", "-c", "bash deploy.sh; echo $?", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}", **named
    )
    assert stopped.out.split()[-1] == "137"
    (half,) = [one for one in here.cloud.store.of("compute") if "/backendServices/" in one.name]
    assert "securityPolicy" not in half.body, "stopped between two commands for one thing"

    # Nobody answers at /small yet: the service is reached as before.
    script = tmp_path / "deploy.sh"
    whole = script.read_text()
    assert " 1200 https://" in whole
    script.write_text(whole.replace(" 1200 https://", " 1 https://"))
    silent = here.run("bash", "deploy.sh", code=1, **named).err
    assert (
        "wanted securityPolicy: projects/rehearsal/regions/europe-west4/securityPolicies/home-edge" in silent
    )
    # A tenth of what comes to / goes to small, too.
    assert re.search(rf"error: https://{DOMAIN}(/small)? says 404; the service is reached as before", silent)
    assert door_of(here) == OPEN

    async def small() -> None:
        google = google_for(here.cloud)
        body = {"template": {"containers": [{"image": "europe-west4-docker.pkg.dev/rehearsal/home/small"}]}}
        await google.post("run", SERVICE, body, serviceId="small")

    act(small())
    script.write_text(whole)
    here.run("bash", "deploy.sh", **named)
    assert door_of(here) == CLOSED
    assert pending(here.plan(wanted)) == ["create release/home: []"], "the proof is not gcloud's"
    assert here.down(wanted.wish.spec) == set()


def test_behind_identity_aware_proxy_the_door_is_closed_once_the_proxy_answers_at_the_domain(
    here: There, tmp_path: Path
) -> None:
    wanted = behind(tmp_path, iap=(TEAM, ROBOT), **own(tmp_path))
    key: dict[str, Any] = {"TLS_KEY_FILE": f"{DOMAIN}.key"}  # Any: text
    here.up(wanted, of_edge)
    here.script_of_the_rest(wanted)
    script = tmp_path / "deploy.sh"
    whole = script.read_text()
    script.write_text(whole.replace(" 1200 https://", " 1 https://"))
    silent = here.run("bash", "deploy.sh", code=1, **key).err
    assert f"error: https://{DOMAIN} says 502; the service is reached as before" in silent
    assert door_of(here) == OPEN

    logs_in(here)
    here.run("bash", "deploy.sh", **key)
    assert door_of(here) == CLOSED
    assert pending(here.plan(wanted)) == ["create release/home: []"], "the proof is not gcloud's"


def test_a_service_account_shows_the_proxy_a_jwt_that_it_signs_for_the_domain(
    here: There, tmp_path: Path
) -> None:
    email = f"program@{ways.PROJECT}.iam.gserviceaccount.com"
    enable(here.cloud, "iam", "iamcredentials")
    here.run("gcloud", "iam", "service-accounts", "create", "program")
    may = (f"--member=user:{OWNER}", "--role=roles/iam.serviceAccountTokenCreator")
    here.run("gcloud", "iam", "service-accounts", "add-iam-policy-binding", email, *may)
    here.write({"shown.sh": "\n".join((*gcloud_edge.functions(), 'proxied=yes shown "$1"', ""))})
    person = here.run("bash", "shown.sh", f"https://{DOMAIN}")
    assert person.out == "", "a person signs nothing"

    account: dict[str, Any] = {"CLOUDSDK_CORE_ACCOUNT": email}  # Any: text
    claims = claims_of(here.run("bash", "shown.sh", f"https://{DOMAIN}", **account).out.strip())
    assert claims is not None
    assert (claims["iss"], claims["sub"], claims["aud"]) == (email, email, f"https://{DOMAIN}/*")
    assert claims["exp"] - claims["iat"] == 600


def test_an_internal_one_is_made_in_the_users_network_and_says_from_where_it_answers(
    here: There, tmp_path: Path
) -> None:
    wanted = behind(
        tmp_path, {"network": "office", "subnetwork": "desks", "hub_token": "env:HF_TOKEN"}, kind="internal"
    )

    async def office() -> None:
        google, parent = google_for(here.cloud), "compute/v1/projects/rehearsal"
        made = await google.post(
            "compute", f"{parent}/global/networks", {"name": "office", "autoCreateSubnetworks": False}
        )
        await google.finish("compute", made, key="office", deadline=60)
        link = f"projects/{ways.PROJECT}/global/networks/office"
        for body in (
            {"name": "desks", "ipCidrRange": "10.2.0.0/24"},
            {"name": "proxies", "ipCidrRange": "10.3.0.0/23", "purpose": "REGIONAL_MANAGED_PROXY", "role": "ACTIVE"},
        ):  # fmt: skip
            where = f"{parent}/regions/{ways.REGION}/subnetworks"
            made = await google.post("compute", where, {**body, "network": link})
            await google.finish("compute", made, key=str(body["name"]), deadline=60)

    enable(here.cloud, "compute")
    act(office())
    here.up(wanted, of_edge)
    here.script_of_the_rest(wanted)
    script = tmp_path / "deploy.sh"
    script.write_text(script.read_text().replace(" 3600 https://", " 1 https://"))
    said = here.run("bash", "deploy.sh", code=1).err
    assert "it answers within the network office alone: run this on a machine there" in said
    assert "the service is reached as before. Run this again: it goes on from here" in said
    assert [one.split(":")[0] for one in pending(here.plan(wanted))] == ["create release/home", "create closed-door/home"]  # fmt: skip
    assert door_of(here) == OPEN
