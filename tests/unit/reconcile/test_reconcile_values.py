"""References, nested differences, and how they are shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.cli.show import plan_text, teardown_text
from homeport.reconcile import KNOWN_AFTER_APPLY, ActionKind, Change, Plan, Ref, joined, needs_of, resolve
from homeport.reconcile.diff import Rules, differences
from homeport.reconcile.equality import is_empty, is_same
from homeport.reconcile.plan import MAY_GO, Action
from homeport.reconcile.resource import shown
from homeport.reconcile.teardown import Teardown
from homeport.secret import Secret
from homeport.targets.facts import ModelFact
from reconciled import Thing, World

BODY = {
    "network": Ref("network/home", "selfLink"),
    "members": [joined("serviceAccount:", Ref("account/run", "email"), "!")],
    "first": Ref("service/home", "traffic.0.uri"),
    "whole": {"network": Ref("network/home")},
    "plain": [1, None, True, Secret("x")],
}
OUTPUTS = {
    "network/home": {"selfLink": "https://n"},
    "account/run": {"email": "run@p"},
    "service/home": {"traffic": [{"uri": "https://s"}]},
}


def test_needs_come_from_references_wherever_they_stand() -> None:
    assert needs_of(BODY) == ("network/home", "account/run", "service/home")


def test_references_become_what_they_stand_for() -> None:
    assert resolve(BODY, OUTPUTS, final=True) == {
        "network": "https://n",
        "members": ["serviceAccount:run@p!"],
        "first": "https://s",
        "whole": {"network": {"selfLink": "https://n"}},
        "plain": [1, None, True, Secret("x")],
    }


@pytest.mark.parametrize("outputs", [{}, {id_: {} for id_ in OUTPUTS}, {"service/home": {"traffic": []}}])
def test_what_is_not_there_yet_is_known_after_apply(outputs: dict[str, Any]) -> None:
    resolved = resolve(BODY, outputs)
    assert resolved["network"] == resolved["first"] == KNOWN_AFTER_APPLY
    assert resolved["members"] == [f"serviceAccount:{KNOWN_AFTER_APPLY}!"]


def test_what_is_not_there_when_it_is_sent_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="network/home has no selfLink"):
        resolve(BODY, {}, final=True)


def found(wanted: Any, live: Any, **rules: Any) -> dict[str, tuple[Any, Any]]:
    changes = differences(wanted, live, rules=Rules(**rules))
    assert len({change.path for change in changes}) == len(changes)
    return {change.path: (change.before, change.after) for change in changes}


def test_paths_are_as_people_read_them() -> None:
    wanted = {
        "template": {
            "containers": [{"name": "proxy"}, {"name": "serving", "resources": {"limits": {"cpu": "8"}}}],
            "annotations": {"run.googleapis.com/x": "2"},
            "interfaces": [{"network": "b"}],
        }
    }
    live = {
        "template": {
            "containers": [{"name": "serving", "resources": {"limits": {"cpu": "4"}}}, {"name": "proxy"}],
            "annotations": {"run.googleapis.com/x": "1"},
            "interfaces": [{"network": "a"}],
        }
    }
    assert found(wanted, live) == {
        "template.containers[serving].resources.limits.cpu": ("4", "8"),
        "template.annotations[run.googleapis.com/x]": ("1", "2"),
        "template.interfaces[0].network": ("a", "b"),
    }


def test_elements_of_lists_are_told_apart_by_the_key_that_the_rules_name() -> None:
    wanted = [{"tag": "new", "percent": 10}, {"tag": "blue", "percent": 90}]
    live = [{"tag": "blue", "percent": 100, "uri": "…"}, {"tag": "old", "percent": 0}]
    assert found({"traffic": wanted}, {"traffic": live}, keys={"traffic": "tag"}) == {
        "traffic[new]": (None, wanted[0]),
        "traffic[blue].percent": (100, 90),
        "traffic[old]": (live[1], None),
    }


def test_lists_are_compared_whole_and_by_position_where_nothing_tells_elements_apart() -> None:
    assert found({"a": [{"x": 1}]}, {"a": [{"x": 2}, {"x": 3}]}) == {
        "a[0].x": (2, 1),
        "a[1]": ({"x": 3}, None),
    }
    assert found({"a": []}, {"a": [{"name": "x"}]}) == {"a[x]": ({"name": "x"}, None)}
    assert found({"a": ["--b", "--c"]}, {"a": ["--b"]}) == {"a": (["--b"], ["--b", "--c"])}


def test_the_order_of_a_list_matters_unless_the_rules_say_otherwise() -> None:
    assert found({"a": ["x", "y"]}, {"a": ["y", "x"]})
    assert not found({"a": ["x", "y"]}, {"a": ["y", "x"]}, unordered=frozenset({"a"}))
    assert found({"a": ["x", "x"]}, {"a": ["y", "x"]}, unordered=frozenset({"a"}))


def test_keys_of_others_in_a_map_are_left_alone_unless_it_is_ours_as_a_whole() -> None:
    wanted, live = {"labels": {"homeport": "home"}}, {"labels": {"homeport": "home", "team": "x"}}
    assert not found(wanted, live)
    assert found(wanted, live, whole=frozenset({"labels"})) == {"labels.team": ("x", None)}


def test_none_must_be_absent() -> None:
    assert found({"a": None}, {"a": {"x": 1}}) == {"a": ({"x": 1}, None)}
    assert not found({"a": None}, {"a": {}})
    assert not found({"a": None}, {})


def test_what_cannot_be_changed_replaces_wherever_it_stands_in_a_change() -> None:
    rules = Rules(immutable=frozenset({"vpc.network", "disks[].size"}))

    def replaces(wanted: Any, live: Any) -> list[bool]:
        return [change.replaces for change in differences(wanted, live, rules=rules)]

    assert replaces({"vpc": {"network": "b", "tags": ["x"]}}, {"vpc": {"network": "a"}}) == [True, False]
    assert replaces({"vpc": {"network": "b"}}, {}) == [True]
    assert replaces({"vpc": {"tags": ["b"]}}, {}) == [False]
    assert replaces({"disks": [{"name": "a", "size": 2}]}, {"disks": [{"name": "a", "size": 1}]}) == [True]
    assert replaces({"disks": None}, {"disks": [{"size": 2}]}) == [True]


def test_what_is_sent_and_read_back_as_something_else_is_no_difference() -> None:
    rules = Rules(unread=frozenset({"stage"}))
    assert differences({"stage": "BETA", "cpu": 4}, {"stage": "GA", "cpu": 4}, rules=rules) == ()
    assert [change.path for change in differences({"stage": "BETA", "cpu": 4}, {"cpu": 8}, rules=rules)] == [
        "cpu"
    ]


def test_nobody_sees_what_is_sensitive() -> None:
    rules = Rules(sensitive=frozenset({"env[].value", "key"}))
    wanted = {
        "env": [{"name": "A", "value": "hidden-1"}],
        "key": Secret("hidden-2"),
        "more": Secret("hidden-5"),
    }
    live = {"env": [], "key": "hidden-3", "more": "hidden-4"}
    changes = differences(wanted, live, rules=rules)
    assert [change.path for change in changes] == ["env[A]", "key", "more"]
    for text in (repr(changes), str([change.as_json() for change in changes]), _text(*changes)):
        assert "hidden" not in text
        assert "***" in text
    assert not differences({"key": Secret("same")}, {"key": "same"})


def test_what_is_known_after_apply_differs_from_everything() -> None:
    wanted = {"a": KNOWN_AFTER_APPLY, "b": [f"x{KNOWN_AFTER_APPLY}"], "c": [{"name": KNOWN_AFTER_APPLY}]}
    live = {"a": KNOWN_AFTER_APPLY, "b": ["x1"], "c": [{"name": "c"}]}
    assert set(found(wanted, live)) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("8", 8), ("600s", "600.000s"), ("0.5s", "0.500s"), (-1, "-1"), (1, 1.0), (Secret("a"), "a")],
)
def test_the_same_written_otherwise_is_no_difference(one: object, other: object) -> None:
    assert is_same(one, other)
    assert is_same(other, one)
    assert not found({"a": one}, {"a": other})


@pytest.mark.parametrize(("one", "other"), [("8", "8000m"), (8, "8"), ("32Gi", "32768Mi"), ("1G", "1000M")])
def test_amounts_are_compared_as_amounts(one: object, other: object) -> None:
    assert not found({"limits": {"x": one}}, {"limits": {"x": other}})
    assert isinstance(one, int) or found({"labels": {"x": one}}, {"labels": {"x": other}})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("8", "08"),
        (1, True),
        ("1", True),
        ("600s", "601s"),
        ("a", None),
        ("32Gi", "32G"),
        ("8", 9),
        (0.5, "0.5s"),
    ],
)
def test_what_means_something_else_is_a_difference(one: object, other: object) -> None:
    assert not is_same(one, other, quantity=one == "32Gi")
    assert found({"a": one}, {"a": other})


@pytest.mark.parametrize("nothing", [None, "", False, 0, "0", [], {}, {"a": {"b": ""}}, Secret("")])
def test_an_empty_value_is_the_same_as_none(nothing: object) -> None:
    assert is_empty(nothing)
    assert not found({"a": nothing}, {})
    assert not found({"a": nothing}, {"a": None})


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.floats(allow_nan=False)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc./_", min_size=1, max_size=3), inner, max_size=4)
        | st.lists(st.fixed_dictionaries({"name": st.sampled_from("pqr"), "v": inner}), max_size=3)
    ),
    max_leaves=20,
)
MAPS = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert differences(value, value) == ()


@given(MAPS, MAPS)
def test_after_the_wanted_was_written_nothing_differs(wanted: dict[str, Any], live: dict[str, Any]) -> None:
    assert differences(wanted, merged(live, wanted)) == ()


@given(MAPS, MAPS, st.data())
def test_what_only_the_server_knows_changes_nothing(
    wanted: dict[str, Any], live: dict[str, Any], data: st.DataObject
) -> None:
    assert differences(wanted, _richer(live, wanted, data)) == differences(wanted, live)


@given(MAPS, MAPS)
def test_every_difference_can_be_shown(wanted: dict[str, Any], live: dict[str, Any]) -> None:
    changes = differences(wanted, live)
    text = _text(*changes)
    assert all(change.path.isprintable() and change.path in text for change in changes)


def merged(live: Any, wanted: Any) -> Any:
    """What a server has when `wanted` was written over `live`."""
    if not isinstance(wanted, dict) or not isinstance(live, dict):
        return wanted
    return {**live, **{key: merged(live.get(key), value) for key, value in wanted.items()}}


def _richer(live: Any, wanted: Any, data: st.DataObject) -> Any:
    """`live` with more keys in its maps, none of which anybody wants."""
    if not isinstance(live, dict) or not isinstance(wanted, dict):
        return live
    more = data.draw(st.dictionaries(st.sampled_from(("etag", "createTime")), SCALARS, max_size=2))
    return {**{key: _richer(value, wanted.get(key), data) for key, value in live.items()}, **more}


def _text(*changes: Change) -> str:
    action = Action(
        kind=ActionKind.UPDATE, resource=Thing(id="a", world=World()), summary="", changes=changes
    )
    return plan_text(Plan(name="home", target="local", actions=(action,)))


def test_a_plan_is_shown_as_people_read_it() -> None:
    def action(kind: ActionKind, id_: str, *changes: Change) -> Action:
        return Action(kind=kind, resource=Thing(id=id_, world=World()), summary=f"the {id_}", changes=changes)

    plan = Plan(
        name="home",
        target="Google Cloud",
        facts=(ModelFact(title="Gemma", licence=None),),
        warnings=("it costs",),
        actions=(
            action(ActionKind.NONE, "bucket"),
            action(ActionKind.CREATE, "secret"),
            action(
                ActionKind.UPDATE,
                "service",
                Change(path="template.containers[serving].image", before="a@1", after=KNOWN_AFTER_APPLY),
                Change(path="template.timeout", before="60s", after="600s"),
                Change(path="template.key", before=Secret("x"), after=Secret("y")),
                Change(path="template.scaling.minInstanceCount", before=None, after=1),
                Change(path="template.args", before=["--a", "--b=1", "--c"], after=["--a", "--b=2", "--c"]),
                Change(
                    path="template.volumes[w]", before=None, after={"name": "w", "gcs": {"readOnly": True}}
                ),
            ),
            action(
                ActionKind.REPLACE,
                "subnet",
                Change(path="range", before="10.0.0.0/26", after="10.0.0.0/24", replaces=True),
            ),
            action(ActionKind.UPDATE, "grant", MAY_GO),
            action(ActionKind.DELETE, "old"),
        ),
    )
    assert plan_text(plan).splitlines() == [
        "home on Google Cloud",
        "  model  Gemma",
        "",
        "      bucket: the bucket",
        "  +   secret: the secret",
        "  ~   service: the service",
        "        template.containers[serving].image: a@1 → (known after apply)",
        "        template.timeout:                   60s → 600s",
        "        template.key:                       *** → ***",
        "        template.scaling.minInstanceCount:  none → 1",
        "        template.args:",
        "          - --b=1",
        "          + --b=2",
        "        template.volumes[w]:",
        "          + name: w",
        "          + gcs.readOnly: true",
        "  -/+ subnet: the subnet",
        "        range: 10.0.0.0/26 → 10.0.0.0/24  (forces replacement)",
        "  ~   grant: the grant",
        "        may go with what it needs, and be recreated",
        "  -   old: the old",
        "  note: it costs",
        "",
        "1 to create, 2 to change, 1 to replace, 1 to delete",
    ]


def test_a_plan_with_nothing_to_do_says_so() -> None:
    text = plan_text(Plan(name="home", target="local", actions=()))
    assert text.splitlines()[0] == "home on this machine"
    assert text.splitlines()[-1] == "nothing to do: it is as the file says"


def test_a_file_of_several_lines_is_shown_by_line() -> None:
    lines = [line.strip() for line in _text(Change(path="f", before="a\nb\n", after="a\nc\n")).splitlines()]
    assert lines[-5:-2] == ["f:", "- b", "+ c"]


def test_secrets_are_never_in_json() -> None:
    assert shown({"a": [Secret("x"), (1,)]}) == {"a": ["***", [1]]}


@pytest.mark.parametrize(("target", "where"), [("local", "on this machine"), ("cloudrun", "on Cloud Run")])
def test_the_heads_of_a_plan_and_of_what_would_go_say_where_in_words(target: str, where: str) -> None:
    plan = plan_text(Plan(name="home", target=target, actions=()))
    gone = teardown_text(Teardown(name="home", target=target, things=()))
    assert {text.splitlines()[0] for text in (plan, gone)} == {f"home {where}"}
