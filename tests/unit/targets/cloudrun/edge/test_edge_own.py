"""What the user brings to a load balancer: a certificate that is looked at before anything is made, and an address in place of a domain."""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest

from cloud import Raw, act, enable, things
from deployment import google_for
from edges import DOMAIN, WithEdge, write_certificate
from gcp_rehearsal.faults import Fault
from homeport.catalog.prices import load
from homeport.secret import Secret
from homeport.spec import Edge
from homeport.targets.cloudrun.edge.fact import EdgeFact
from homeport.targets.cloudrun.edge.own import address_findings, certificate_findings, trust_findings
from homeport.targets.cloudrun.preflight import PreflightFinding

PLACE = "compute.googleapis.com/compute/v1/projects/rehearsal"
OWN_RULES = ("home-edge", "home-edge-redirect")


def judged(folder: Path, host: str, *names: str, days: int = 60, later: int = 0) -> tuple[str, str]:
    """What is found of a certificate for these names, so many days from now."""
    pem = write_certificate(folder, *names, days=days)[0].read_text()
    (found,) = certificate_findings(pem, host, datetime.now(UTC) + timedelta(days=later))
    return found.verdict.value, found.text


@pytest.mark.parametrize("host", [DOMAIN, "203.0.113.7"])
def test_a_certificate_for_the_host_is_good_until_it_runs_out(tmp_path: Path, host: str) -> None:
    assert judged(tmp_path, host, host)[0] == "ok"
    verdict, text = judged(tmp_path, host, host, days=13)
    assert (verdict, "runs out at" in text) == ("warning", True)
    verdict, text = judged(tmp_path, host, host, days=13, later=14)
    assert (verdict, "has run out" in text) == ("problem", True)
    verdict, text = judged(tmp_path, host, host, later=-2)
    assert (verdict, "holds from" in text) == ("problem", True)


@pytest.mark.parametrize(
    ("host", "names"),
    [
        (DOMAIN, ("other.example.com",)),
        (DOMAIN, ("*.other.example.com",)),
        ("203.0.113.7", (DOMAIN,)),
        ("203.0.113.7", ("203.0.113.8",)),
        ("203.0.113.7", ("*.0.113.7",)),
    ],
)
def test_a_certificate_for_another_host_stops_the_plan(
    tmp_path: Path, host: str, names: tuple[str, ...]
) -> None:
    verdict, text = judged(tmp_path, host, *names)
    assert (verdict, f"and not for {host}" in text) == ("problem", True)


def test_a_wildcard_is_for_every_name_below_it(tmp_path: Path) -> None:
    assert judged(tmp_path, DOMAIN, "*.example.com")[0] == "ok"


def test_what_is_no_certificate_is_said_to_be_none() -> None:
    (found,) = certificate_findings("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", DOMAIN)
    assert found.verdict.value == "problem"
    assert found.text.startswith("edge.certificate is no certificate")


def trusted(folder: Path, host: str, by: ssl.SSLContext, key: str = "") -> list[tuple[str, str]]:
    """What is found of the certificate of a host, and of its own key or this one, by who trusts so."""
    own = folder / f"{host}.pem"
    text = key or (folder / f"{host}.key").read_text()
    return [(one.verdict.value, one.text) for one in trust_findings(own.read_text(), Secret(text), host, by)]


def test_what_nothing_here_trusts_is_told_before_an_answer_is_waited_for_in_vain(tmp_path: Path) -> None:
    own, _ = (write_certificate(tmp_path, name)[0] for name in ("203.0.113.7", "203.0.113.8"))
    trusting = ssl.create_default_context(cafile=str(own))
    assert trusted(tmp_path, "203.0.113.7", trusting) == []
    ((verdict, text),) = trusted(tmp_path, "203.0.113.8", trusting)
    assert (verdict, "nothing in this machine's list of authorities has signed" in text) == ("warning", True)
    for key in ((tmp_path / "203.0.113.8.key").read_text(), "none", "x" * (1 << 20)):
        ((verdict, text),) = trusted(tmp_path, "203.0.113.7", trusting, key)
        assert (verdict, text.startswith("whether clients take it")) == ("not checked", True)


class FromAFolder(ssl.SSLContext):
    """One that trusts what lies in a folder, which OpenSSL reads as it is asked: it lists none of it before."""

    def get_ca_certs(self, binary_form: bool = False) -> list[Any]:  # Any: as its own
        """Return none."""
        return []


def test_who_trusts_by_a_folder_is_asked_and_not_what_it_lists(tmp_path: Path) -> None:
    own, _ = write_certificate(tmp_path)
    by = FromAFolder(ssl.PROTOCOL_TLS_CLIENT)
    by.load_verify_locations(cafile=str(own))
    assert trusted(tmp_path, DOMAIN, by) == []


def test_a_certificate_that_is_no_authority_and_signs_itself_is_trusted_where_it_was_handed_over(
    tmp_path: Path,
) -> None:
    own, _ = write_certificate(tmp_path, is_authority=False)
    assert trusted(tmp_path, DOMAIN, ssl.create_default_context(cafile=str(own))) == []


def test_the_authorities_that_everybody_trusts_bring_no_warning_of_pythons(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ((verdict, _),) = trusted(tmp_path, DOMAIN, ssl.create_default_context(cafile=certifi.where()))
    assert verdict == "warning"


@pytest.fixture
def deployer(tmp_path: Path) -> WithEdge:
    made = WithEdge("ollama", tmp_path)
    enable(made.cloud, "compute")
    return made


def reserve(deployer: WithEdge, place: str = "global", **body: Any) -> str:  # Any: JSON
    """An address that the user has reserved."""
    asked = {"name": "mine", "addressType": "EXTERNAL", **body}
    assert act(Raw(deployer.cloud).send("POST", f"{PLACE}/{place}/addresses", asked)).status == 200
    (kept,) = [one for one in things(deployer.cloud) if one.name.endswith(f"/addresses/{asked['name']}")]
    return str(kept.body["address"])


def looked_up(deployer: WithEdge, edge: Edge, region: str = "") -> PreflightFinding:
    async def work() -> list[PreflightFinding]:
        return await address_findings(google_for(deployer.cloud), edge, region, OWN_RULES)

    (found,) = act(work())
    return found


def test_an_address_must_be_reserved_where_its_load_balancer_is_and_be_free(deployer: WithEdge) -> None:
    own: dict[str, Any] = {
        "certificate": "file:own.pem",
        "private_key": "file:own.key",
    }  # Any: keys of `[edge]`
    lacking = looked_up(deployer, Edge(ip="203.0.113.7", **own))
    assert lacking.verdict.value == "problem"
    assert "`gcloud compute addresses create NAME --global`" in lacking.hint
    ip = reserve(deployer)
    assert looked_up(deployer, Edge(ip=ip, **own)).text == "it is reserved as mine"
    elsewhere = looked_up(deployer, Edge(ip=ip, kind="regional", **own), "europe-west4")
    assert "--region=europe-west4 --network-tier=STANDARD" in elsewhere.hint

    for place, unfit, kind, told in (
        ("global", {"addressType": "INTERNAL"}, "global", "addressType is INTERNAL, not EXTERNAL"),
        ("regions/europe-west4", {}, "regional", "networkTier is PREMIUM, not STANDARD"),
        ("regions/europe-west4", {"networkTier": "STANDARD"}, "internal", "addressType is EXTERNAL, not INTERNAL; purpose is None"),
    ):  # fmt: skip
        at = reserve(deployer, place, name=f"unfit-{kind}", **unfit)
        found = looked_up(
            deployer,
            Edge.model_validate({"ip": at, "kind": kind, **own}),
            "" if kind == "global" else "europe-west4",
        )
        assert (found.verdict.value, told in found.text) == ("problem", True), found.text

    def used_by(*rules: str) -> PreflightFinding:
        (kept,) = [one for one in things(deployer.cloud) if one.name.endswith("/addresses/mine")]
        kept.body["users"] = [
            f"https://www.googleapis.com/{PLACE}/global/forwardingRules/{rule}" for rule in rules
        ]
        return looked_up(deployer, Edge(ip=ip, **own))

    assert used_by(*OWN_RULES).verdict.value == "ok"
    assert used_by("home-edge", "shop").text == f"{ip} is used by shop"


def test_an_address_that_cannot_be_looked_at_is_told_and_ends_no_plan(deployer: WithEdge) -> None:
    deployer.cloud.faults.append(Fault(method="compute.globalAddresses.list", nth=1, times=1000, status=503))
    edge = Edge(ip="203.0.113.7", certificate="file:own.pem", private_key="file:own.key")
    found = looked_up(deployer, edge)
    assert (found.verdict.value, "could not be read" in found.text) == ("not checked", True)


@pytest.mark.parametrize("kind", ["global", "regional"])
def test_a_load_balancer_without_a_domain_answers_at_that_address_which_stays_the_users(
    deployer: WithEdge, kind: str
) -> None:
    regional = kind == "regional"
    ip = reserve(deployer, "regions/europe-west4", networkTier="STANDARD") if regional else reserve(deployer)
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    wanted = deployer.behind(domain=None, ip=ip, kind=kind, **deployer.own(ip))
    _, after = deployer.up(wanted)
    assert after.pending == (), after.pending
    assert deployer.service["customAudiences"] == [f"https://{ip}"]
    assert deployer.service["annotations"]["homeport/edge"] == f"https://{ip}"
    kept = {
        "/".join(one.name.split("/")[-2:]): one.body for one in things(deployer.cloud) if one.api == "compute"
    }
    assert {kept[f"forwardingRules/{name}"]["IPAddress"] for name in OWN_RULES} == {ip}
    assert kept["urlMaps/home-edge"]["hostRules"][0]["hosts"] == ["*"]
    assert "addresses/home-edge" not in kept

    # Another certificate is shown before the old one goes, as with a domain.
    plan, after = deployer.up(deployer.behind(domain=None, ip=ip, kind=kind, **deployer.own(ip)))
    assert [(one.kind.value, one.resource.kind) for one in plan.pending] == [
        ("create", "TLS certificate"), ("update", "HTTPS proxy"), ("delete", "TLS certificate"),
    ]  # fmt: skip
    assert after.pending == ()
    deployer.down(wanted, purge=True)
    assert {f"{one.api}/{one.name}" for one in things(deployer.cloud)} == before


def test_no_load_balancer_goes_from_a_domain_to_an_address_at_once(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind(**deployer.own()))
    ip = reserve(deployer)
    told = [
        one
        for one in deployer.told(deployer.behind(domain=None, ip=ip, **deployer.own(ip)))
        if one.verdict.value == "problem"
    ]
    assert [one.text for one in told] == [
        f"the load balancer before it has the address https://{DOMAIN}, and none goes from or to an address without a domain at once"
    ]


def test_the_plan_says_that_clients_must_be_told_to_trust_the_certificate() -> None:
    edge = Edge(ip="203.0.113.7", certificate="file:own.pem", private_key="file:own.key")
    text = EdgeFact.of(edge, load()).text
    assert "clients must be told to trust your certificate (SSL_CERT_FILE)" in text
    assert "A record" not in text
