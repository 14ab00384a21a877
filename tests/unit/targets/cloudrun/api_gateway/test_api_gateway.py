"""`[edge] kind = "api-gateway"` on Cloud Run: what is made, in which order it changes, and that nothing of it is left."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from api_gateways import ACCOUNT, WithGateway
from cloud import act, enable
from deployment import google_for
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.iam.permissions import required
from homeport import spec
from homeport.catalog.prices import load as load_prices
from homeport.errors import GoogleError, HomeportError, Incomplete, OperationFailed, SpecError
from homeport.export import export
from homeport.json_types import Json
from homeport.progress import Silent
from homeport.reconcile.fact import labelled
from homeport.targets.cloudrun.api_gateway.fact import ApiGatewayFact
from homeport.targets.cloudrun.api_gateway.gateway import PATHS
from homeport.targets.cloudrun.preflight import PreflightVerdict
from homeport.targets.cloudrun.preflight.permissions import needs


def config_of(deployer: WithGateway) -> dict[str, Any]:  # Any: JSON
    """What the one config there is says."""
    (config,) = (one for one in deployer.cloud.store.of("apigateway") if one.collection.endswith("configs"))
    document: dict[str, Any] = json.loads(
        base64.b64decode(config.body["openapiDocuments"][0]["document"]["contents"])
    )
    return document


def keys_of(deployer: WithGateway) -> dict[str, Any]:  # Any: JSON
    """The keys that open anything, by client."""
    return {
        one.body["annotations"]["homeport-client"]: one
        for one in deployer.cloud.store.of("apikeys", "apikeys.projects.locations.keys")
        if "deleteTime" not in one.body
    }


def test_a_gateway_with_keys_is_made_proven_and_nothing_is_left_to_do() -> None:
    deployer = WithGateway()
    plan, after = deployer.up(deployer.keyed(requests_per_minute=60))
    assert after.pending == ()
    made = [one.resource.id for one in plan.pending]
    order = ["service/home", "release/home", "service-account/home-edge", "api/home", "managed-service/home",
             "api-key/home-alice", "api-key/home-bob", "api-gateway/home"]  # fmt: skip
    assert set(order) <= set(made)
    assert deployer.left("apigateway")[0] == "europe-west1/gateways/home"
    (gateway,) = (one for one in deployer.cloud.store.of("apigateway") if one.collection.endswith("gateways"))
    assert deployer.asked_at == [f"https://{gateway.body['defaultHostname']}"]
    assert gateway.body["effectiveStreamingMode"] == "EFFECTIVE_STREAMING_MODE_ENABLED"

    document = config_of(deployer)
    backend = document["x-google-backend"]
    assert backend["address"] == backend["jwt_audience"] == deployer.service["uri"]
    assert backend["deadline"] == 900.0
    assert document["paths"].keys() == PATHS.keys()
    (api,) = (one for one in deployer.cloud.store.of("apigateway") if one.collection.endswith("apis"))
    for key in keys_of(deployer).values():
        assert key.body["restrictions"] == {"apiTargets": [{"service": api.body["managedService"]}]}
    assert ("rehearsal", api.body["managedService"]) in deployer.cloud.enabled


def test_the_gateways_account_may_call_the_service_and_nothing_else() -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed())
    held = [(api, role) for api, _, role, member in deployer.cloud.access.grants() if member == ACCOUNT]
    assert held == [("run", "roles/run.servicesInvoker")]
    assert deployer.service["ingress"] == "INGRESS_TRAFFIC_ALL"
    assert deployer.service.get("defaultUriDisabled") in {None, False}


def test_another_limit_is_another_config_and_the_old_one_goes_after_the_gateway_moved() -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed(requests_per_minute=60))
    before = deployer.left("apigateway")
    plan, after = deployer.up(deployer.keyed(requests_per_minute=120))
    assert after.pending == ()
    done = [(one.kind.value, one.resource.kind) for one in plan.pending]
    assert done == [("create", "API config"), ("update", "API gateway"), ("delete", "API config")]
    assert len(deployer.left("apigateway")) == len(before)
    limits = config_of(deployer)["x-google-management"]["quota"]["limits"]
    assert limits[0]["values"] == {"STANDARD": 120}
    assert len(deployer.asked_at) == 2, "the new config was proven, too"


def test_who_is_no_client_any_more_has_no_key_and_the_others_keep_theirs() -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed())
    before = keys_of(deployer)
    plan, after = deployer.up(deployer.keyed(clients=["alice", "carol"]))
    assert after.pending == ()
    assert {(one.kind.value, one.resource.id) for one in plan.pending} == {
        ("create", "api-key/home-carol"),
        ("delete", "api-key/home-bob"),
    }
    now = keys_of(deployer)
    assert now.keys() == {"alice", "carol"}
    assert now["alice"].hidden["string"] == before["alice"].hidden["string"]


def test_who_comes_back_has_another_key() -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed())
    before = keys_of(deployer)["bob"].hidden["string"]
    deployer.up(deployer.keyed(clients=["alice"]))
    deployer.up(deployer.keyed())
    assert keys_of(deployer)["bob"].hidden["string"] != before


def test_a_key_that_somebody_opened_for_more_is_closed_again() -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed())
    keys_of(deployer)["alice"].body.pop("restrictions")
    assert deployer.pending(deployer.keyed()) == ["update api-key/home-alice"]
    _, after = deployer.up(deployer.keyed())
    assert after.pending == ()


def test_no_answer_of_googles_brings_a_keys_string_into_what_is_kept_of_it() -> None:
    deployer = WithGateway()
    wanted = deployer.keyed()
    deployer.deployed(wanted)
    gateway = deployer.target_of(wanted).api_gateway
    assert gateway is not None
    stored = keys_of(deployer)["alice"]
    stored.body["keyString"] = stored.hidden["string"]

    async def changed() -> Json:
        (key,) = [one for one in gateway.keys if one.client == "alice"]
        live = await key.read()
        assert live is not None
        return await key.update(live, {"api/home": await gateway.api.read() or {}}, Silent())

    kept = act(changed())
    assert kept["annotations"]["homeport-client"] == "alice"
    assert "keyString" not in kept


def test_a_gateway_in_another_region_takes_the_place_of_the_old_one() -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed())
    _, after = deployer.up(deployer.keyed(gateway_region="europe-west2"))
    assert after.pending == ()
    assert [one for one in deployer.left("apigateway") if "gateways" in one] == ["europe-west2/gateways/home"]


@pytest.mark.parametrize("command", ["down", "up"])
def test_two_gateways_that_a_change_of_region_left_go_at_once_each_before_its_config(command: str) -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed(requests_per_minute=60))
    deployer.cloud.faults.append(
        Fault(method="apigateway.projects.locations.gateways.delete", status=403, times=100)
    )
    with pytest.raises(HomeportError):
        deployer.up(deployer.keyed(requests_per_minute=120, gateway_region="europe-west2"))
    deployer.cloud.faults.clear()
    there = deployer.left("apigateway")
    assert {"europe-west1/gateways/home", "europe-west2/gateways/home"} < set(there)
    assert len([one for one in there if "/configs/" in one]) == 2
    if command == "down":
        deployer.down(deployer.wanted(), purge=True)
    else:
        deployer.up(deployer.wanted())
    assert deployer.left("apigateway") == []
    assert keys_of(deployer) == {}


def test_without_edge_all_of_it_goes_and_the_service_stays_as_it_was() -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed())
    revision = deployer.service["latestCreatedRevision"]
    plan, after = deployer.up(deployer.wanted())
    assert after.pending == ()
    assert {one.kind.value for one in plan.pending} == {"delete"}
    assert deployer.left("apigateway") == []
    assert keys_of(deployer) == {}
    assert deployer.service["latestCreatedRevision"] == revision
    assert [one for one in deployer.cloud.access.grants() if one[3] == ACCOUNT] == []
    assert (
        deployer.cloud.store.get(
            "iam", "projects/rehearsal/serviceAccounts/home-edge@rehearsal.iam.gserviceaccount.com"
        )
        is None
    )


def test_a_gateway_that_leaves_the_file_may_call_the_service_until_what_else_changes_has_succeeded() -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed())
    deployer.cloud.faults.append(Fault(method="run.projects.locations.services.patch", status=400, times=99))
    with pytest.raises(GoogleError):
        deployer.up(deployer.wanted(context=4096))
    assert keys_of(deployer), "clients go on asking it"
    assert [one for one in deployer.cloud.access.grants() if one[3] == ACCOUNT]
    deployer.cloud.faults.clear()
    _, after = deployer.up(deployer.wanted(context=4096))
    assert after.pending == ()
    assert [one for one in deployer.cloud.access.grants() if one[3] == ACCOUNT] == []


def test_a_gateway_that_cannot_be_deleted_keeps_its_keys_and_may_go_on_calling_the_service() -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed())
    method = "apigateway.projects.locations.gateways.delete"
    deployer.cloud.faults.append(Fault(method=method, status=403, times=99))
    with pytest.raises(HomeportError):
        deployer.up(deployer.wanted())
    assert keys_of(deployer).keys() == {"alice", "bob"}
    assert [one for one in deployer.cloud.access.grants() if one[3] == ACCOUNT]
    deployer.cloud.faults.clear()
    plan, after = deployer.up(deployer.wanted())
    gone = [one.resource.id for one in plan.pending]
    right = f"grant/run.servicesInvoker/{ACCOUNT.partition(':')[2].partition('@')[0]}/service/home"
    last = ["api-gateway/home in europe-west1", "api-key/home-alice", right, "service-account/home-edge"]
    assert [one for one in gone if one in last] == last
    assert after.pending == ()
    assert keys_of(deployer) == {}
    assert [one for one in deployer.cloud.access.grants() if one[3] == ACCOUNT] == []


def test_down_leaves_nothing_and_takes_the_gateway_before_the_service() -> None:
    deployer = WithGateway()
    wanted = deployer.keyed()
    deployer.deployed(wanted)
    gone = deployer.down(deployer.wanted(), purge=True)
    assert gone.index("API gateway home") < gone.index("service home")
    assert deployer.left("apigateway") == []
    assert keys_of(deployer) == {}
    assert deployer.service is None
    assert deployer.left("iam") == []
    assert deployer.down(wanted, purge=True) == ()


def test_where_somebody_took_the_account_the_services_label_still_tells_of_a_gateway() -> None:
    for wanted in ("down", "up"):
        deployer = WithGateway()
        deployer.up(deployer.keyed())
        account = f"projects/rehearsal/serviceAccounts/{ACCOUNT.partition(':')[2]}"
        kept = deployer.cloud.store.get("iam", account)
        assert kept is not None
        deployer.cloud.forget(kept)
        if wanted == "down":
            deployer.down(deployer.wanted(), purge=True)
        else:
            deployer.up(deployer.wanted())
        assert deployer.left("apigateway") == []
        assert keys_of(deployer) == {}


def test_down_keeps_the_account_that_tells_of_a_gateway_which_could_not_be_looked_for() -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed())
    deployer.cloud.faults.append(
        Fault(method="apigateway.projects.locations.gateways.list", status=403, times=100)
    )
    with pytest.raises((Incomplete, HomeportError), match="API gateways"):
        deployer.down(deployer.wanted(), purge=True)
    account = "projects/rehearsal/serviceAccounts/home-edge@rehearsal.iam.gserviceaccount.com"
    assert deployer.cloud.store.get("iam", account) is not None
    deployer.cloud.faults.clear()
    deployer.down(deployer.wanted(), purge=True)
    assert deployer.left("apigateway") == []
    assert deployer.cloud.store.get("iam", account) is None


def test_a_gateway_that_never_answers_is_an_error_and_the_same_command_asks_it_again() -> None:
    deployer = WithGateway(answers=["it says 401 to the key of alice"] * 200)
    with pytest.raises(OperationFailed, match="401 to the key of alice; the service is reached as before"):
        deployer.up(deployer.keyed())
    deployer.answers.clear()
    assert deployer.pending(deployer.keyed()) == ["update api-gateway/home"], "it was never seen to answer"
    _, after = deployer.up(deployer.keyed())
    assert after.pending == ()


@pytest.mark.parametrize(
    "method",
    [
        "apigateway.projects.locations.apis.create",
        "apigateway.projects.locations.apis.configs.create",
        "apigateway.projects.locations.gateways.create",
        "apigateway.projects.locations.gateways.patch",
        "apikeys.projects.locations.keys.create",
        "serviceusage.services.enable",
    ],
)
def test_an_answer_that_is_lost_leaves_neither_two_of_a_thing_nor_none(method: str) -> None:
    deployer = WithGateway()
    deployer.cloud.faults.append(Fault(method=method, status=503, after=True, times=1))
    wanted = deployer.keyed()
    try:
        deployer.up(wanted)
    except HomeportError:
        deployer.up(wanted)
    assert deployer.pending(wanted) == []
    assert len(keys_of(deployer)) == 2
    assert len(list(deployer.cloud.store.of("apikeys", "apikeys.projects.locations.keys"))) == 2
    assert len(deployer.left("apigateway")) == 3
    deployer.down(wanted, purge=True)
    assert deployer.left("apigateway") == []
    assert keys_of(deployer) == {}


def test_what_somebody_else_made_in_api_gateway_is_left_alone() -> None:
    deployer = WithGateway()
    deployer.deployed(deployer.keyed())
    body = {"displayName": "theirs", "annotations": {"homeport": "other", "homeport-client": "alice"}}

    async def theirs() -> None:
        google = google_for(deployer.cloud)
        made = await google.post(
            "apikeys", "v2/projects/rehearsal/locations/global/keys", body, keyId="theirs"
        )
        await google.finish("apikeys", made, key="theirs")
        path = "v1/projects/rehearsal/locations/global/apis"
        made = await google.post("apigateway", path, {"labels": {"homeport": "other"}}, apiId="other")
        await google.finish("apigateway", made, key="theirs")

    act(theirs())
    deployer.down(deployer.wanted(), purge=True)
    assert deployer.left("apigateway") == ["global/apis/other"]
    assert deployer.left("apikeys") == ["global/keys/theirs"]


def test_every_permission_that_its_life_asks_for_is_on_the_list_and_no_other() -> None:
    deployer = WithGateway()
    wanted = deployer.keyed()
    deployer.deployed(wanted)
    keys_of(deployer)["alice"].body.pop("restrictions")
    deployer.up(deployer.keyed(requests_per_minute=60))
    target = deployer.target_of(wanted)
    assert target.api_gateway is not None
    found = act(target.api_gateway.findings())
    assert [one.verdict for one in found] == [PreflightVerdict.OK]
    act(target.api_gateway.keys[0].string())
    deployer.down(wanted, purge=True)
    asked_for = {each for call in deployer.cloud.log for each in required(call.method)}
    listed = {name: set(need.permissions) for name, need in needs().items()}
    assert asked_for - set().union(*listed.values()) == set()
    # In this cloud no operation takes time, so none is waited for.
    changed_by_nobody = {"apigateway.apiconfigs.update", "apigateway.apis.update"}
    assert listed["api-gateway"] - asked_for == changed_by_nobody | {"apigateway.operations.get"}


def test_where_api_gateway_is_not_the_plan_says_where_it_is_and_unread_is_not_taken_for_fine() -> None:
    deployer = WithGateway()
    nowhere = deployer.target_of(deployer.keyed(gateway_region="auto")).api_gateway
    assert nowhere is not None
    (unread,) = act(nowhere.findings())
    assert (unread.subject, unread.verdict) == ("edge/region", PreflightVerdict.NOT_CHECKED)
    enable(deployer.cloud, "apigateway")
    (found,) = act(nowhere.findings())
    assert found.verdict is PreflightVerdict.PROBLEM
    assert "not in europe-west4" in found.text
    assert "europe-west1" in found.hint


def test_every_export_refuses_it_by_the_name_of_its_table() -> None:
    deployer = WithGateway()
    target = deployer.target_of(deployer.keyed())
    for kind in ("gcloud", "terraform"):
        with pytest.raises(HomeportError, match="api-gateway/home") as refused:
            export(kind, target.resources())
        assert "a file without [edge]" in refused.value.hint


def test_a_plan_says_what_it_bounds_and_what_it_does_not() -> None:
    deployer = WithGateway()
    edge = deployer.keyed(requests_per_minute=60).edge
    assert edge is not None
    fact = ApiGatewayFact.of(edge, "europe-west1", 900, load_prices())
    text = " ".join(line for _, line in fact.lines())
    for words in (
        "alice, bob",
        "900 s",
        "32 MB",
        "count together",
        "screens nothing",
        "$0.00 a month",
        "not confirmed",
    ):
        assert words in text, words
    assert {label for label, _ in labelled((fact,))} == {"edge"}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"kind": "api-gateway"}, "somebody with a key"),
        ({"kind": "api-gateway", "clients": ["alice", "alice"]}, "twice"),
        (
            {"kind": "api-gateway", "clients": ["alice"], "domain": "llm.example.com"},
            "domain is about a load balancer",
        ),
        ({"kind": "api-gateway", "clients": ["alice"], "preview": True}, "preview is about a load balancer"),
        (
            {"kind": "api-gateway", "clients": ["alice"], "backends": {"/b": "b"}},
            "backends is about a load balancer",
        ),
        ({"domain": "llm.example.com", "clients": ["alice"]}, 'set kind = "api-gateway"'),
        ({"domain": "llm.example.com", "gateway_region": "europe-west1"}, 'set kind = "api-gateway"'),
    ],
)
def test_keys_that_do_not_go_with_a_kind_are_refused_in_one_sentence(
    keys: dict[str, Any], words: str
) -> None:
    deployer = WithGateway()
    with pytest.raises(SpecError, match=words):
        spec.parse({**deployer.wanted().model_dump(), "edge": keys})


def test_a_public_service_is_refused_since_keys_would_guard_nothing() -> None:
    deployer = WithGateway()
    wanted = {**deployer.keyed().model_dump(), "access": {"public": True, "anyone_may_spend_my_money": True}}
    with pytest.raises(SpecError, match="guards nothing"):
        spec.parse(wanted)
