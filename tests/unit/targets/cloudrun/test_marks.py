"""The sum that tells a revision from others with the same marks: one in all regions, and never another for the same."""

from __future__ import annotations

import pytest

from homeport.reconcile import Ref, joined
from homeport.targets.cloudrun.marks import sum_of
from homeport.targets.cloudrun.names import Names
from regions import FIRST, SECOND


def asked(names: Names) -> dict[str, object]:
    """What a region is asked for, with every name that may stand in it."""
    place = f"projects/{names.project}/locations/{names.region}"
    return {
        "template": f"{place}/templates/{names.guard}",
        "host": f"modelarmor.{names.region}.rep.googleapis.com",
        "gcs": [names.bucket, names.caches],
        "secret": names.metrics_secret,
        "called": [names.name, names.project],
        "image": Ref("image/serving", "reference"),
        "from": joined("/caches/", Ref(f"bucket/{names.caches}", "name")),
    }


@pytest.mark.parametrize("name", ["home", f"eu-{SECOND}", f"{FIRST}-chat", SECOND, FIRST])
@pytest.mark.parametrize("project", ["acme", f"acme-{FIRST}", f"{SECOND}-acme", FIRST])
def test_it_is_one_in_all_regions_whatever_endpoint_and_project_are_called(name: str, project: str) -> None:
    first = Names(name=name, project=project, region=FIRST)
    second = Names(name=name, project=project, region=SECOND, further=True)
    assert sum_of(asked(first), first) == sum_of(asked(second), second)
    other = {**asked(second), "image": Ref("image/serving", "digest")}
    assert sum_of(other, second) != sum_of(asked(first), first)


def test_it_stays_what_it_is_since_another_would_make_a_new_revision_of_every_endpoint() -> None:
    names = Names(name="home", project="acme", region=FIRST)
    assert sum_of(asked(names), names) == "27b47bcd2da84f5b56e20f66"


def test_what_has_no_form_is_a_mistake_of_the_program() -> None:
    names = Names(name="home", project="acme", region=FIRST)
    with pytest.raises(TypeError, match="object has no form in a sum"):
        sum_of([object()], names)
