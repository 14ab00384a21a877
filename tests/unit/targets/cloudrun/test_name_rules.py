"""Every name that a plan will use is held against the rule of its service before anything is asked of Google."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from cloud import Raw, act, enable
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport import spec
from homeport.errors import SpecError
from homeport.google.validation import by_documents
from homeport.home import find_home
from homeport.reconcile import Resource
from homeport.resources.google.rest import RestResource
from homeport.resources.google.traffic import Body, Receipt
from homeport.spec import NAME_PATTERN
from homeport.targets.base import OpenOptions
from homeport.targets.cloudrun.foundations import DOMAINS
from homeport.targets.cloudrun.lifecycle import open_target
from homeport.targets.cloudrun.name_rules import RULES, ensure_possible, every_name
from homeport.targets.cloudrun.names import Names
from ways import PROJECT, wanted

NAMES = some.from_regex(NAME_PATTERN, fullmatch=True)
PROJECTS = some.from_regex(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", fullmatch=True)


def named(name: str, project: str = PROJECT) -> Names:
    return Names(name=name, project=project, region="europe-west4")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(name=NAMES, project=PROJECTS)
def test_a_name_that_the_file_takes_fits_every_rule_or_is_refused_with_the_rule(
    name: str, project: str
) -> None:
    names = named(name, project)
    refused = [kind for kind, each in every_name(names, DOMAINS) if RULES[kind].broken(each)]
    if refused:
        assert refused == ["bucket"]
        assert "goog" in names.bucket or "google" in names.bucket.replace("0", "o").replace("1", "l")
        with pytest.raises(SpecError, match=names.bucket):
            ensure_possible(names, DOMAINS)
    else:
        ensure_possible(names, DOMAINS)


@pytest.mark.parametrize(
    ("name", "project", "says", "hint"),
    [
        ("google-gemma", "my-project", "the bucket would be my-project-google-gemma-weights", "another `name`"),
        ("g00gle", "my-project", "what looks like it", "another `name`"),
        ("home", "goog-project", "must not begin with goog", "another project"),
        ("home", "example.com:mine", "must be 3 to 63 lower-case letters", "another project"),
    ],
)  # fmt: skip
def test_what_google_refuses_is_named_with_what_to_change(
    name: str, project: str, says: str, hint: str
) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        ensure_possible(named(name, project), DOMAINS)
    assert hint in caught.value.hint


def test_the_rule_for_buckets_is_that_of_the_service() -> None:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "storage")
    for name in ("my-google-weights", "goog-weights", "my-g00gle-weights", "ab", "my-weights", "a" * 64):
        url = f"storage.googleapis.com/storage/v1/b?project={PROJECT}"
        status = act(Raw(cloud).send("POST", url, {"name": name})).status
        assert (status == 200) is not bool(RULES["bucket"].broken(name)), name


def test_everything_that_is_made_is_among_the_names_that_are_held_against_a_rule(tmp_path: Path) -> None:
    async def prove(service: Body, revision: str, url: str) -> Receipt:
        raise AssertionError

    def things() -> list[Resource]:
        wish = wanted("vllm", tmp_path, access={"isolated": True})
        return wish.target(google_for(Cloud(delays=AT_ONCE)), prove).resources()

    held = set(every_name(named("home"), DOMAINS))
    for one in things():
        if isinstance(one, RestResource) and one.kind != "DNS record":
            assert (one.kind, one.address.path.rpartition("/")[2].partition("@")[0]) in held


def test_a_name_that_cannot_be_is_told_before_a_single_request(tmp_path: Path) -> None:
    table = {"name": "google-gemma", "cloudrun": {"project": "my-project"}}
    wish = spec.parse(json.loads(json.dumps(table)))

    async def work() -> None:
        env = {"HOMEPORT_GOOGLE_URL": "http://127.0.0.1:9", "CLOUDSDK_AUTH_ACCESS_TOKEN": "t", "PATH": ""}
        async with open_target(
            wish,
            tmp_path / "homeport.toml",
            OpenOptions(env=env, home=find_home({"HOMEPORT_HOME": str(tmp_path)})),
        ):
            raise AssertionError

    with pytest.raises(SpecError, match="my-project-google-gemma-weights"):
        asyncio.run(work())


def test_compute_takes_the_names_that_fit_by_its_own_document() -> None:
    """The published description of the API has the pattern: what fits ours is valid there."""
    validate = by_documents()
    path = f"compute/v1/projects/{PROJECT}/global/networks"
    assert RULES["network"].broken("home-") != ""
    assert not validate("compute.googleapis.com", "POST", path, {"name": "home"})
