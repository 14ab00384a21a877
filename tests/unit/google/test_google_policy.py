"""Grants: only ours come and go."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud import act
from deployment import PROJECT, google_for
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from google_door import Script, door, refuses, says
from homeport.errors import Conflict, PolicyViolated
from homeport.google.policy import Binding, GrantCondition, IamResource, grant, granted, revoke, revoked
from homeport.google.validation import by_documents

SECRET = IamResource(api="secretmanager", path="v1/projects/p/secrets/s")
HOME = "serviceAccount:home@p.iam.gserviceaccount.com"
READER = Binding(role="roles/secretmanager.secretAccessor", members=(HOME,))
THEIRS = {"role": "roles/owner", "members": ["user:boss@example.com"]}

PEOPLE = [f"user:{name}@example.com" for name in "abcd"] + ["allUsers", "principal://iam/x"]
ROLES = [f"roles/{name}" for name in "rst"]
CONDITIONS = [
    None,
    GrantCondition(title="t", expression="true"),
    GrantCondition(title="t", expression="false", description="d"),
]


def raw(condition: GrantCondition | None) -> dict[str, Any]:  # Any: JSON
    if condition is None:
        return {}
    said = {"title": condition.title, "expression": condition.expression}
    return {"condition": said | ({"description": condition.description} if condition.description else {})}


members = st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4, unique=True)
bindings = st.lists(
    st.builds(
        lambda role, members, condition: Binding(role=role, members=tuple(members), condition=condition),
        st.sampled_from(ROLES), members, st.sampled_from(CONDITIONS),
    ),
    max_size=4,
)  # fmt: skip
policies = st.builds(
    lambda held, extra: {
        **extra, "etag": "e", "version": 3,
        "bindings": [{"role": one.role, "members": list(one.members), **raw(one.condition)} for one in held],
    },
    bindings, st.sampled_from([{}, {"auditConfigs": [{"service": "allServices"}]}]),
)  # fmt: skip


def held(policy: dict[str, Any]) -> set[tuple[str, str, str]]:  # Any: JSON
    """Who holds what, under which condition."""
    return {
        (binding["role"], json.dumps(binding.get("condition"), sort_keys=True), member)
        for binding in policy.get("bindings", ())
        for member in binding["members"]
    }


def of(wanted: list[Binding]) -> set[tuple[str, str, str]]:
    return {
        (one.role, json.dumps(raw(one.condition).get("condition"), sort_keys=True), member)
        for one in wanted
        for member in one.members
    }


@given(policies, bindings)
def test_a_grant_adds_what_is_granted_and_nothing_else(policy: dict[str, Any], wanted: list[Binding]) -> None:
    before = copy.deepcopy(policy)
    after = granted(policy, wanted)
    assert held(after) == held(policy) | of(wanted)
    assert policy == before
    assert {key: value for key, value in after.items() if key != "bindings"} == {
        key: value for key, value in policy.items() if key != "bindings"
    }


@given(policies, bindings)
def test_a_grant_twice_is_a_grant_once(policy: dict[str, Any], wanted: list[Binding]) -> None:
    once = granted(policy, wanted)
    assert granted(once, wanted) == once


@given(policies, bindings)
def test_revoking_takes_what_is_revoked_and_nothing_else(
    policy: dict[str, Any], unwanted: list[Binding]
) -> None:
    after = revoked(policy, unwanted)
    assert held(after) == held(policy) - of(unwanted)
    assert revoked(after, unwanted) == after


@given(policies, bindings)
def test_a_grant_and_its_revocation_leave_the_policy_as_it_was(
    policy: dict[str, Any], wanted: list[Binding]
) -> None:
    new = [one for one in wanted if not of([one]) & held(policy)]
    assert revoked(granted(policy, new), new) == policy


def test_e_mails_are_the_same_in_capitals() -> None:
    policy = {"bindings": [{"role": READER.role, "members": [HOME]}]}
    loud = Binding(role=READER.role, members=(HOME.upper().replace("SERVICEACCOUNT", "serviceAccount"),))
    assert granted(policy, [loud]) == policy


def test_the_first_condition_raises_the_version() -> None:
    conditional = Binding(
        role="roles/x", members=(HOME,), condition=GrantCondition(title="t", expression="true")
    )
    assert granted({"version": 1, "bindings": [THEIRS]}, [conditional])["version"] == 3
    assert granted({"version": 1, "bindings": [THEIRS]}, [READER])["version"] == 1
    assert granted({}, []) == {}


class Kept:
    """A policy that is kept as Google keeps it."""

    def __init__(self, policy: dict[str, Any], *, stolen: int = 0) -> None:  # Any: JSON
        self.policy = policy
        self.version = 1
        self.writes = 0
        self.requests: list[httpx2.Request] = []
        self._stolen = stolen

    @property
    def etag(self) -> str:
        return base64.b64encode(bytes([self.version])).decode()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        body = json.loads(request.content) if request.content else {}
        is_write = request.url.path.endswith(":setIamPolicy") or request.method == "PUT"
        if not is_write:
            return says({**self.policy, "etag": self.etag})
        if self._stolen:
            self._stolen -= 1
            self.version += 1
            self.policy["bindings"].append(
                {"role": f"roles/other{self._stolen}", "members": ["user:other@example.com"]}
            )
        asked = body.get("policy", body)
        if asked["etag"] != self.etag:
            return refuses(409, "There were concurrent policy changes.", name="ABORTED")
        self.version += 1
        self.writes += 1
        self.policy = {key: value for key, value in asked.items() if key != "etag"}
        return says(asked)


def test_nothing_is_written_where_nothing_changes() -> None:
    kept = Kept({"bindings": [THEIRS, {"role": READER.role, "members": [HOME, "user:a@example.com"]}]})
    assert act(grant(door(kept), SECRET, [READER])) is False
    assert act(revoke(door(kept), SECRET, [Binding(role="roles/none", members=(HOME,))])) is False
    assert kept.writes == 0


def test_whoever_is_quicker_loses_nothing() -> None:
    kept = Kept({"bindings": [copy.deepcopy(THEIRS)]}, stolen=3)
    assert act(grant(door(kept), SECRET, [READER])) is True
    assert kept.writes == 1
    roles = [binding["role"] for binding in kept.policy["bindings"]]
    assert roles == ["roles/owner", "roles/other2", "roles/other1", "roles/other0", READER.role]


def test_what_is_granted_at_once_by_one_client_is_no_fight() -> None:
    cloud = Cloud(delays=AT_ONCE)
    thing = IamResource(api="cloudresourcemanager", path=f"v3/projects/{PROJECT}")
    wanted = [
        Binding(role=role, members=(f"user:{OWNER}",))
        for role in ("roles/viewer", "roles/browser", "roles/run.viewer")
    ]

    async def work() -> list[bool]:
        google = google_for(cloud)
        # Those of views with another patience are the same client's.
        return await asyncio.gather(*(grant(google.patient(60), thing, [one]) for one in wanted))

    assert act(work()) == [True] * 3
    assert [(one.method.rpartition(".")[2], one.status) for one in cloud.log] == [
        ("getIamPolicy", 200),
        ("setIamPolicy", 200),
    ] * 3


def test_a_change_that_was_given_up_keeps_no_other_waiting() -> None:
    kept = Kept({"bindings": []}, stolen=1)

    async def work() -> bool:
        google = door(kept)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):  # It waits half a second after somebody else was quicker.
                await grant(google, SECRET, [READER])
        return await grant(google, SECRET, [READER])

    assert act(work()) is True


def test_a_fight_that_is_lost_is_told() -> None:
    kept = Kept({"bindings": []}, stolen=100)
    with pytest.raises(Conflict):
        act(grant(door(kept), SECRET, [READER]))


def test_a_lost_answer_to_a_write_is_no_second_grant() -> None:
    kept = Kept({"bindings": []})
    dropped = False

    def handler(request: httpx2.Request) -> httpx2.Response:
        nonlocal dropped
        answer = kept(request)
        if request.url.path.endswith(":setIamPolicy") and not dropped:
            dropped = True
            raise httpx2.RemoteProtocolError("dropped after the commit")
        return answer

    # The second try is refused, since its etag is that of before; the cycle sees that the grant holds.
    assert act(grant(door(handler), SECRET, [READER])) is False
    assert kept.policy["bindings"] == [{"role": READER.role, "members": [HOME]}]
    assert kept.writes == 1


@pytest.mark.parametrize(
    ("api", "path", "reads", "writes"),
    [
        ("cloudresourcemanager", "v3/projects/p", "POST :getIamPolicy", "POST :setIamPolicy"),
        ("storage", "storage/v1/b/bucket", "GET /iam", "PUT /iam"),
        ("secretmanager", "v1/projects/p/secrets/s", "GET :getIamPolicy", "POST :setIamPolicy"),
        (
            "artifactregistry",
            "v1/projects/p/locations/l/repositories/r",
            "GET :getIamPolicy",
            "POST :setIamPolicy",
        ),
        ("run", "v2/projects/p/locations/l/services/s", "GET :getIamPolicy", "POST :setIamPolicy"),
        (
            "iam",
            "v1/projects/p/serviceAccounts/a@p.iam.gserviceaccount.com",
            "POST :getIamPolicy",
            "POST :setIamPolicy",
        ),
    ],
)
def test_each_thing_is_asked_in_its_own_way_and_with_its_conditions(
    api: str, path: str, reads: str, writes: str
) -> None:
    theirs = {**THEIRS, "condition": {"title": "t", "expression": "x"}}
    audits = {"auditConfigs": [{"service": "allServices", "auditLogConfigs": [{"logType": "DATA_READ"}]}]}
    kept = Kept(
        {"version": 3, "bindings": [theirs], **(audits if api in {"run", "cloudresourcemanager"} else {})}
    )
    before = copy.deepcopy(kept.policy)
    thing = IamResource(api=api, path=path)
    assert act(grant(door(kept, validator=by_documents()), thing, [READER]))
    assert [f"{one.method} {one.url.path.removeprefix('/' + path)}" for one in kept.requests] == [
        reads,
        writes,
    ]
    asked = kept.requests[0].url.query.decode() + kept.requests[0].content.decode()
    assert "equestedPolicyVersion" in asked
    assert "3" in asked
    assert act(revoke(door(kept), thing, [READER]))
    assert kept.policy == before


def test_an_account_that_was_just_made_is_waited_for_by_whoever_expects_it() -> None:
    script = Script(
        says({"etag": "1"}), refuses(400, f"Service account {HOME} does not exist.", name="INVALID_ARGUMENT"),
        refuses(400, f"Service account {HOME} does not exist.", name="INVALID_ARGUMENT"), says(),
    )  # fmt: skip
    assert act(grant(door(script).patient(60), SECRET, [READER])) is True


def test_a_policy_of_the_organisation_is_not_fought_with() -> None:
    people = "One or more users named in the policy do not belong to a permitted customer, perhaps due to an organization policy."
    script = Script(says({"etag": "1"}), refuses(400, people, name="FAILED_PRECONDITION"))
    with pytest.raises(PolicyViolated):
        act(
            grant(
                door(script).patient(60), SECRET, [Binding(role="roles/run.invoker", members=("allUsers",))]
            )
        )
    assert len(script.requests) == 2
