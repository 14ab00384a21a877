"""What load balancers are made of, in the rehearsal: global and regional, changed part by part, taken down from the front."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud

G = "compute.googleapis.com/compute/v1/projects/rehearsal/global"
P = "compute.googleapis.com/compute/v1/projects/rehearsal"
R = f"{P}/regions/us-central1"
MANAGER = "certificatemanager.googleapis.com/v1/projects/rehearsal/locations"
GROUP = "projects/rehearsal/regions/us-central1/networkEndpointGroups/neg"


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "compute", "certificatemanager", "run", "dns")
    return cloud


def signed(name: str) -> tuple[str, str]:
    """A certificate for a name and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(7).not_valid_before(now).not_valid_after(now + dt.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


async def good(answer: Any) -> Any:  # Any: an answer that is awaited, and its JSON
    """What a request answered, which must be good, whose operation, too."""
    came: Answer = await answer
    assert came.status == 200, came.body
    assert not came.body.get("error"), came.body
    return came.body


async def stands(raw: Raw, scope: str = "global") -> None:
    """A load balancer with a certificate of one's own, `stands(raw, "regions/us-central1")` a regional one."""
    place = f"{P}/{scope}"
    more: dict[str, Any] = {"loadBalancingScheme": "EXTERNAL_MANAGED"}
    await good(
        raw.send("POST", f"{R}/networkEndpointGroups", {"name": "neg", "cloudRun": {"service": "home"}})
    )
    for name in ("be", "other"):
        body = {"name": name, "protocol": "HTTPS", "backends": [{"group": GROUP}], **more}
        await good(raw.send("POST", f"{place}/backendServices", body))
    for name, service in (("um", "be"), ("um2", "other")):
        body = {"name": name, "defaultService": f"{scope}/backendServices/{service}"}
        await good(raw.send("POST", f"{place}/urlMaps", body))
    certificate, key = signed("llm.example.com")
    for name in ("cert", "cert2"):
        own = {"name": name, "selfManaged": {"certificate": certificate, "privateKey": key}}
        await good(raw.send("POST", f"{place}/sslCertificates", own))
    body = {
        "name": "px",
        "urlMap": f"{scope}/urlMaps/um",
        "sslCertificates": [f"{scope}/sslCertificates/cert"],
    }
    await good(raw.send("POST", f"{place}/targetHttpsProxies", body))
    await good(
        raw.send("POST", f"{place}/targetHttpProxies", {"name": "plain", "urlMap": f"{scope}/urlMaps/um"})
    )
    await good(raw.send("POST", f"{place}/addresses", {"name": "ip"}))
    if scope != "global":
        network = {"name": "net", "autoCreateSubnetworks": False}
        await good(raw.send("POST", f"{G}/networks", network))
        lacking = await raw.send(
            "POST", f"{place}/forwardingRules", rule(scope, network="global/networks/net")
        )
        assert "An active proxy-only subnetwork is required" in lacking.error
        proxies = {"name": "proxies", "network": "global/networks/net", "ipCidrRange": "10.9.0.0/24",
                   "purpose": "REGIONAL_MANAGED_PROXY"}  # fmt: skip
        await good(raw.send("POST", f"{place}/subnetworks", proxies))
        more = {"network": "global/networks/net"}
    await good(raw.send("POST", f"{place}/forwardingRules", rule(scope, **more)))


def rule(scope: str, **more: Any) -> dict[str, Any]:  # Any: JSON
    return {"name": "fr", "target": f"{scope}/targetHttpsProxies/px", "portRange": "443",
            "IPAddress": f"{scope}/addresses/ip", "loadBalancingScheme": "EXTERNAL_MANAGED", **more}  # fmt: skip


@pytest.mark.parametrize("scope", ["global", "regions/us-central1"])
def test_an_address_under_a_rule_is_in_use_until_the_rule_goes(cloud: Cloud, scope: str) -> None:
    async def work() -> None:
        raw, place = Raw(cloud), f"{P}/{scope}"
        await stands(raw, scope)
        address = (await raw.send("GET", f"{place}/addresses/ip")).body
        assert (address["status"], [user.rpartition("/")[2] for user in address["users"]]) == (
            "IN_USE",
            ["fr"],
        )
        refused = await raw.send("DELETE", f"{place}/addresses/ip")
        assert (refused.status, refused.body["error"]["errors"][0]["reason"]) == (
            400,
            "resourceInUseByAnotherResource",
        )
        assert refused.error.endswith(
            f"is already being used by 'projects/rehearsal/{scope}/forwardingRules/fr'"
        )
        clash = await raw.send("POST", f"{place}/forwardingRules", rule(scope, name="twin"))
        assert clash.status == 400
        if scope == "global":
            http = rule(scope, name="http", target="global/targetHttpProxies/plain", portRange="80")
            await good(raw.send("POST", f"{place}/forwardingRules", http))
            await good(raw.send("DELETE", f"{place}/forwardingRules/fr"))
            assert (await raw.send("GET", f"{place}/addresses/ip")).body["status"] == "IN_USE"
            await good(raw.send("DELETE", f"{place}/forwardingRules/http"))
        else:
            await good(raw.send("DELETE", f"{place}/forwardingRules/fr"))
        address = (await raw.send("GET", f"{place}/addresses/ip")).body
        assert (address["status"], "users" in address) == ("RESERVED", False)
        await good(raw.send("DELETE", f"{place}/addresses/ip"))

    act(work())


def test_proxies_are_changed_by_actions_whose_paths_lack_their_place(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await stands(raw)
        other = {"urlMap": "global/urlMaps/um2"}
        for kind, name in (("targetHttpsProxies", "px"), ("targetHttpProxies", "plain")):
            begun = await good(raw.send("POST", f"{P}/{kind}/{name}/setUrlMap", other))
            assert begun["targetLink"].endswith(f"/projects/rehearsal/global/{kind}/{name}")
            assert (await raw.send("GET", f"{G}/{kind}/{name}")).body["urlMap"].endswith("/urlMaps/um2")
        certificates = {"sslCertificates": ["global/sslCertificates/cert2"]}
        await good(raw.send("POST", f"{P}/targetHttpsProxies/px/setSslCertificates", certificates))
        await good(
            raw.send("POST", f"{G}/targetHttpsProxies/px/setQuicOverride", {"quicOverride": "DISABLE"})
        )
        await good(raw.send("POST", f"{G}/sslPolicies", {"name": "tls", "minTlsVersion": "TLS_1_2"}))
        await good(
            raw.send(
                "POST", f"{G}/targetHttpsProxies/px/setSslPolicy", {"sslPolicy": "global/sslPolicies/tls"}
            )
        )
        now = (await raw.send("GET", f"{G}/targetHttpsProxies/px")).body
        assert [one.rpartition("/")[2] for one in now["sslCertificates"]] == ["cert2"]
        assert (now["quicOverride"], now["sslPolicy"].rpartition("/")[2]) == ("DISABLE", "tls")
        assert (await raw.send("DELETE", f"{G}/sslPolicies/tls")).status == 400
        await good(raw.send("POST", f"{G}/targetHttpsProxies/px/setSslPolicy", {}))
        await good(raw.send("DELETE", f"{G}/sslPolicies/tls"))
        assert (await raw.send("POST", f"{P}/targetHttpsProxies/px/setUrlMap", {})).status == 400
        assert (await raw.send("POST", f"{P}/targetHttpsProxies/no/setUrlMap", other)).status == 404

    act(work())


def test_regional_proxies_are_changed_in_their_region(cloud: Cloud) -> None:
    async def work() -> None:
        raw, scope = Raw(cloud), "regions/us-central1"
        await stands(raw, scope)
        await good(
            raw.send("POST", f"{R}/targetHttpProxies/plain/setUrlMap", {"urlMap": f"{scope}/urlMaps/um2"})
        )
        own = {"sslCertificates": [f"{scope}/sslCertificates/cert2"]}
        await good(raw.send("POST", f"{R}/targetHttpsProxies/px/setSslCertificates", own))
        used = await raw.send("DELETE", f"{R}/urlMaps/um2")
        assert "already being used" in used.error
        assert "already being used" in (await raw.send("DELETE", f"{R}/networkEndpointGroups/neg")).error

    act(work())


def test_a_private_key_is_never_read_and_must_be_that_of_its_certificate(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        certificate, key = signed("llm.example.com")
        own = {"name": "cert", "selfManaged": {"certificate": certificate, "privateKey": key}}
        await good(raw.send("POST", f"{G}/sslCertificates", own))
        shown = (await raw.send("GET", f"{G}/sslCertificates/cert")).body
        assert "privateKey" not in str(shown)
        assert (shown["subjectAlternativeNames"], shown["expireTime"][:10]) == (
            ["llm.example.com"],
            "2026-04-01",
        )
        wrong = {"name": "mixed", "selfManaged": {"certificate": certificate, "privateKey": signed("a.b")[1]}}
        assert "do not match" in (await raw.send("POST", f"{G}/sslCertificates", wrong)).error
        none = {"name": "none", "selfManaged": {"certificate": "x", "privateKey": key}}
        assert "could not be parsed" in (await raw.send("POST", f"{G}/sslCertificates", none)).error

    act(work())


def test_a_fingerprint_changes_when_what_it_guards_does_and_at_no_other_time(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await stands(raw)
        path = f"{G}/forwardingRules/fr"
        first = (await raw.send("GET", path)).body
        assert first["labelFingerprint"] == "42WmSpB8rSM="
        labels = {"labels": {"team": "search"}, "labelFingerprint": first["labelFingerprint"]}
        await good(raw.send("POST", f"{path}/setLabels", labels))
        second = (await raw.send("GET", path)).body
        assert second["labelFingerprint"] != first["labelFingerprint"]
        assert second["fingerprint"] == first["fingerprint"]
        before = (await raw.send("GET", f"{G}/backendServices/be")).body["fingerprint"]
        same = {"protocol": "HTTPS", "fingerprint": before}
        await good(raw.send("PATCH", f"{G}/backendServices/be", same))
        assert (await raw.send("GET", f"{G}/backendServices/be")).body["fingerprint"] == before
        await good(
            raw.send("PATCH", f"{G}/backendServices/be", {"description": "new", "fingerprint": before})
        )
        assert (await raw.send("PATCH", f"{G}/backendServices/be", same)).status == 412
        # gcloud sends bytes in the alphabet of URLs, whatever it has read.
        urls = (
            (await raw.send("GET", f"{G}/backendServices/be"))
            .body["fingerprint"]
            .translate(str.maketrans("+/", "-_"))
        )
        for number in range(12):
            body = {"description": f"{number}", "fingerprint": urls}
            await good(raw.send("PATCH", f"{G}/backendServices/be", body))
            urls = (
                (await raw.send("GET", f"{G}/backendServices/be"))
                .body["fingerprint"]
                .translate(str.maketrans("+/", "-_"))
            )

    act(work())


@pytest.mark.parametrize(
    ("scope", "more", "words"),
    [
        ("global", {"timeoutSec": 600}, "Timeout sec is not supported for a backend service with Serverless network"),
        ("global", {"healthChecks": ["global/healthChecks/hc"]}, "cannot have a healthcheck with Serverless network"),
        ("regions/us-central1", {"outlierDetection": {"consecutiveErrors": 3}}, "Outlier detection is not supported"),
    ],
)  # fmt: skip
def test_what_serverless_endpoints_do_not_take_is_refused(
    cloud: Cloud, scope: str, more: dict[str, Any], words: str
) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await good(
            raw.send("POST", f"{R}/networkEndpointGroups", {"name": "neg", "cloudRun": {"service": "a"}})
        )
        await good(raw.send("POST", f"{G}/healthChecks", {"name": "hc", "type": "HTTP"}))
        body = {"name": "be", "backends": [{"group": GROUP}], **more}
        refused = await raw.send("POST", f"{P}/{scope}/backendServices", body)
        assert (refused.status, words in refused.error) == (400, True)
        greedy = {"name": "be", "backends": [{"group": GROUP, "maxUtilization": 0.8}]}
        assert "Max utilization" in (await raw.send("POST", f"{P}/{scope}/backendServices", greedy)).error
        await good(
            raw.send("POST", f"{P}/{scope}/backendServices", {"name": "be", "backends": [{"group": GROUP}]})
        )
        # What a client has read it may send back, with the default that Google has set.
        whole = (await raw.send("GET", f"{P}/{scope}/backendServices/be")).body
        await good(raw.send("PUT", f"{P}/{scope}/backendServices/be", whole))
        both = {"name": "two", "cloudRun": {"service": "a"}, "network": "global/networks/net"}
        assert (await raw.send("POST", f"{R}/networkEndpointGroups", both)).status in {400, 404}
        assert (await raw.send("POST", f"{R}/networkEndpointGroups", {"name": "none"})).status == 400

    act(work())


def test_a_proxy_names_certificates_of_certificate_manager(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await stands(raw)
        place = f"{MANAGER}/global"
        managed = {"managed": {"domains": ["llm.example.com"]}}
        await good(raw.send("POST", f"{place}/certificates?certificateId=c", managed))
        await good(raw.send("POST", f"{place}/certificateMaps?certificateMapId=m", {}))
        entry = {
            "hostname": "llm.example.com",
            "certificates": ["projects/rehearsal/locations/global/certificates/c"],
        }
        await good(
            raw.send(
                "POST", f"{place}/certificateMaps/m/certificateMapEntries?certificateMapEntryId=e", entry
            )
        )
        map_ = "//certificatemanager.googleapis.com/projects/rehearsal/locations/global/certificateMaps/m"
        lost = await raw.send(
            "POST", f"{G}/targetHttpsProxies/px/setCertificateMap", {"certificateMap": f"{map_}x"}
        )
        assert lost.status == 404
        await good(raw.send("POST", f"{G}/targetHttpsProxies/px/setCertificateMap", {"certificateMap": map_}))
        assert (await raw.send("GET", f"{G}/targetHttpsProxies/px")).body["certificateMap"] == map_
        assert "in use" in (await raw.send("DELETE", f"{place}/certificateMaps/m")).error
        assert "in use" in (await raw.send("DELETE", f"{place}/certificates/c")).error
        await good(raw.send("POST", f"{G}/targetHttpsProxies/px/setCertificateMap", {"certificateMap": ""}))
        await good(raw.send("DELETE", f"{place}/certificateMaps/m"))
        await good(raw.send("DELETE", f"{place}/certificates/c"))
        direct = f"{map_.rpartition('/certificateMaps/')[0]}/certificates/c"
        mixed = {"sslCertificates": [direct, "global/sslCertificates/cert"]}
        assert (await raw.send("POST", f"{P}/targetHttpsProxies/px/setSslCertificates", mixed)).status == 400

    act(work())


def test_a_managed_certificate_comes_when_its_domain_is_proven(cloud: Cloud) -> None:
    async def work() -> None:
        raw, place = Raw(cloud), f"{MANAGER}/global"
        body = {"domain": "llm.example.com"}
        await good(raw.send("POST", f"{place}/dnsAuthorizations?dnsAuthorizationId=a", body))
        record = (await raw.send("GET", f"{place}/dnsAuthorizations/a")).body["dnsResourceRecord"]
        assert (record["name"], record["type"]) == ("_acme-challenge.llm.example.com.", "CNAME")
        zones = "dns.googleapis.com/dns/v1/projects/rehearsal/managedZones"
        await good(raw.send("POST", zones, {"name": "z", "dnsName": "example.com.", "description": ""}))
        named = "projects/rehearsal/locations/global/dnsAuthorizations/a"
        managed = {
            "managed": {"domains": ["llm.example.com", "*.llm.example.com"], "dnsAuthorizations": [named]}
        }
        await good(raw.send("POST", f"{place}/certificates?certificateId=c", managed))
        waiting = (await raw.send("GET", f"{place}/certificates/c")).body["managed"]
        assert (waiting["state"], waiting["authorizationAttemptInfo"][0]["failureReason"]) == (
            "PROVISIONING",
            "CONFIG",
        )
        records = {"name": record["name"], "type": "CNAME", "ttl": 60, "rrdatas": [record["data"]]}
        await good(raw.send("POST", f"{zones}/z/rrsets", records))
        cloud.clock.jump(300)
        assert (await raw.send("GET", f"{place}/certificates/c")).body["managed"]["state"] == "ACTIVE"
        assert "in use" in (await raw.send("DELETE", f"{place}/dnsAuthorizations/a")).error

    act(work())


def test_a_url_map_is_refused_that_does_not_route_as_its_tests_say(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await stands(raw)
        be, other = "global/backendServices/be", "global/backendServices/other"
        matcher = {"name": "m", "defaultService": be, "routeRules": [
            {"priority": 1, "matchRules": [{"prefixMatch": "/vllm/", "headerMatches": [{"headerName": "x-who", "exactMatch": "me"}]}],
             "service": other},
        ]}  # fmt: skip
        body: dict[str, Any] = {"name": "routed", "defaultService": be,
                                "hostRules": [{"hosts": ["*"], "pathMatcher": "m"}], "pathMatchers": [matcher]}  # fmt: skip
        test = {"host": "a.example.com", "path": "/vllm/v1", "service": other}
        refused = await raw.send("POST", f"{G}/urlMaps", {**body, "tests": [test]})
        assert refused.status == 400
        assert "Test failure" in refused.error
        right = {**body, "tests": [{**test, "headers": [{"name": "X-Who", "value": "me"}]}]}
        await good(raw.send("POST", f"{G}/urlMaps", right))
        used = await raw.send("DELETE", f"{G}/backendServices/other")
        assert "already being used" in used.error
        checked = await raw.send(
            "POST", f"{G}/urlMaps/routed/validate", {"resource": {**body, "tests": [test]}}
        )
        assert (checked.body["result"]["loadSucceeded"], checked.body["result"]["testPassed"]) == (
            True,
            False,
        )
        lost = {**body, "name": "lost", "hostRules": [{"hosts": ["*"], "pathMatcher": "none"}]}
        assert (await raw.send("POST", f"{G}/urlMaps", lost)).status == 400

    act(work())


HEADED = [{"prefixMatch": "/", "headerMatches": [{"headerName": "x-engine", "exactMatch": "vllm"}]}]


def split(*weights: int) -> dict[str, Any]:  # Any: JSON
    names = ("be", "other")
    return {
        "weightedBackendServices": [
            {"backendService": f"global/backendServices/{name}", "weight": weight}
            for name, weight in zip(names, weights, strict=True)
        ]
    }


@pytest.mark.parametrize(
    ("rules", "default", "says"),
    [
        ([{"priority": 1}, {"priority": 1}], {}, "Two route rules have the same priority"),
        ([{"priority": -1}], {}, "'-1'. Must be between 0 and 2147483647"),
        ([{"routeAction": split(1, 1)}], {}, "Exactly one of service, urlRedirect and routeAction"),
        ([{"matchRules": [{"prefixMatch": "/", "headerMatches": [{"headerName": "x"}]}]}], {}, "exactly one of exactMatch"),
        ([{"matchRules": [{"prefixMatch": "/", "headerMatches": [
            {"headerName": "x", "exactMatch": "a", "prefixMatch": "a"}]}]}], {}, "exactly one of exactMatch"),
        ([{"matchRules": [{"prefixMatch": "/", "headerMatches": [{"headerName": "x", "regexMatch": "a+"}]}]}], {},
         "Regular expressions are only for load balancing schemes"),
        ([{"matchRules": [{"regexMatch": "/a+"}]}], {}, "Regular expressions are only for load balancing schemes"),
        ([], split(1001, 0), "weightedBackendServices[0].weight': '1001'. Must be between 0 and 1000"),
        ([], split(0, 0), "At least one weight must not be zero"),
    ],
)  # fmt: skip
def test_rules_that_google_refuses_are_refused(
    cloud: Cloud, rules: list[dict[str, Any]], default: dict[str, Any], says: str
) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await stands(raw)
        be = "global/backendServices/be"
        routes = [
            {"priority": number, "service": be, "matchRules": HEADED, **rule}
            for number, rule in enumerate(rules)
        ]
        leads = {"defaultRouteAction": default} if default else {"defaultService": be}
        body = {"name": "ruled", "defaultService": be, "hostRules": [{"hosts": ["*"], "pathMatcher": "m"}],
                "pathMatchers": [{"name": "m", **leads, "routeRules": routes}]}  # fmt: skip
        refused = await raw.send("POST", f"{G}/urlMaps", body)
        assert (refused.status, says in refused.error) == (400, True), refused.error

    act(work())


def test_what_a_test_of_a_url_map_expects_of_a_split_is_not_guessed(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await stands(raw)
        be = "global/backendServices/be"
        body = {"name": "drawn", "defaultService": be, "hostRules": [{"hosts": ["*"], "pathMatcher": "m"}],
                "pathMatchers": [{"name": "m", "defaultRouteAction": split(90, 10)}]}  # fmt: skip
        test = {"host": "a.example.com", "path": "/", "service": be}
        refused = await raw.send("POST", f"{G}/urlMaps", {**body, "tests": [test]})
        assert (refused.status, "split by weight" in refused.error) == (501, True), refused.error
        await good(raw.send("POST", f"{G}/urlMaps", body))

    act(work())


@pytest.mark.parametrize("scope", ["global", "regions/us-central1"])
def test_rules_of_cloud_armor_come_and_go_one_by_one(cloud: Cloud, scope: str) -> None:
    async def work() -> None:
        raw, path = Raw(cloud), f"{P}/{scope}/securityPolicies"
        await good(raw.send("POST", path, {"name": "armor"}))
        made = (await raw.send("GET", f"{path}/armor")).body
        assert [(one["priority"], one["action"]) for one in made["rules"]] == [(2147483647, "allow")]
        limit = {"rateLimitThreshold": {"count": 60, "intervalSec": 60}, "conformAction": "allow",
                 "exceedAction": "deny(429)", "enforceOnKey": "HTTP_HEADER", "enforceOnKeyName": "x-api-key"}  # fmt: skip
        one = {"priority": 1000, "action": "throttle", "rateLimitOptions": limit,
               "match": {"versionedExpr": "SRC_IPS_V1", "config": {"srcIpRanges": ["*"]}}}  # fmt: skip
        await good(raw.send("POST", f"{path}/armor/addRule", one))
        assert "same priorities" in (await raw.send("POST", f"{path}/armor/addRule", one)).error
        slow = {**limit, "rateLimitThreshold": {"count": 60, "intervalSec": 61}}
        wrong: tuple[dict[str, Any], ...] = ({"action": "forbid"}, {"match": {}}, {"rateLimitOptions": slow})
        for change in wrong:
            refused = await raw.send("POST", f"{path}/armor/addRule", {**one, "priority": 7, **change})
            assert refused.status == 400
        await good(raw.send("POST", f"{path}/armor/patchRule?priority=1000", {"preview": True}))
        assert (await raw.send("GET", f"{path}/armor/getRule?priority=1000")).body["preview"]
        assert (
            "does not contain a rule" in (await raw.send("POST", f"{path}/armor/removeRule?priority=9")).error
        )
        await stands(raw, scope)
        policy = {"securityPolicy": f"{scope}/securityPolicies/armor"}
        await good(raw.send("POST", f"{P}/{scope}/backendServices/be/setSecurityPolicy", policy))
        assert "already being used" in (await raw.send("DELETE", f"{path}/armor")).error
        await good(raw.send("POST", f"{path}/armor/removeRule?priority=1000"))
        assert (await raw.send("POST", f"{path}/armor/removeRule?priority=2147483647")).status == 400
        await good(raw.send("POST", f"{P}/{scope}/backendServices/be/setSecurityPolicy", {}))
        await good(raw.send("DELETE", f"{path}/armor"))

    act(work())


def test_quotas_tell_what_is_used(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await stands(raw)
        usage = {one["metric"]: one["usage"] for one in (await raw.send("GET", P)).body["quotas"]}
        assert (usage["BACKEND_SERVICES"], usage["URL_MAPS"], usage["STATIC_ADDRESSES"]) == (2.0, 2.0, 1.0)
        await good(raw.send("POST", f"{R}/addresses", {"name": "here"}))
        used = {one["metric"]: one["usage"] for one in (await raw.send("GET", R)).body["quotas"]}
        assert (used["STATIC_ADDRESSES"], used["IN_USE_ADDRESSES"]) == (1.0, 0.0)

    act(work())


def test_a_part_of_a_region_names_no_other_scope_but_for_its_groups(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await stands(raw)
        wrong = {"name": "r", "defaultService": "global/backendServices/be"}
        refused = await raw.send("POST", f"{R}/urlMaps", wrong)
        assert refused.status == 400
        assert "must be in the same scope as what names it, regions/us-central1" in refused.error
        refused = await raw.send(
            "POST", f"{R}/targetHttpProxies", {"name": "r", "urlMap": "global/urlMaps/um"}
        )
        assert refused.status == 400
        other = f"{P}/regions/europe-west4"
        made = {"name": "be", "protocol": "HTTPS", "loadBalancingScheme": "EXTERNAL_MANAGED"}
        await good(raw.send("POST", f"{other}/backendServices", made))
        wrong = {"name": "r", "defaultService": "regions/europe-west4/backendServices/be"}
        there = {**made, "name": "x", "backends": [{"group": GROUP}]}
        assert (await raw.send("POST", f"{other}/backendServices", there)).status == 400
        for place in (f"{R}/urlMaps", f"{G}/urlMaps"):
            assert (await raw.send("POST", place, wrong)).status == 400

    act(work())


def test_a_rule_is_of_the_network_tier_of_its_address(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await good(raw.send("POST", f"{R}/addresses", {"name": "a", "networkTier": "STANDARD"}))
        rule = {
            "name": "f",
            "loadBalancingScheme": "EXTERNAL",
            "IPAddress": "regions/us-central1/addresses/a",
            "IPProtocol": "TCP",
            "portRange": "80",
        }
        refused = await raw.send("POST", f"{R}/forwardingRules", rule)
        assert refused.status == 400
        assert "is of the network tier STANDARD" in refused.error
        await good(raw.send("POST", f"{R}/forwardingRules", {**rule, "networkTier": "STANDARD"}))

    act(work())
