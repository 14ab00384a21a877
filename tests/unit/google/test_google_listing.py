"""A list that says that it lacks some is never taken for a whole one."""

from __future__ import annotations

from typing import Any

import pytest

from cloud import act
from gcp_rehearsal import discovery
from google_door import Script, door, says
from homeport.errors import Incomplete
from homeport.google.listing import left_out, not_reached, pages

PAGES = [
    {"unreachable": ["locations/us-east4"]},
    {"unreachableLocations": ["locations/us-east4"]},
    {"unreachables": ["regions/us-east4"]},
    {"warning": {"code": "UNREACHABLE", "message": "us-east4"}},
    {"warning": {"code": "PARTIAL_SUCCESS", "message": "without us-east4"}},
    {"warning": {"code": "LIST_OVERHEAD_QUOTA_EXCEED", "message": "us-east4 was too much"}},
]


def listed(*answers: dict[str, Any]) -> tuple[list[Any], list[str]]:  # Any: JSON
    """The pages of a list that is answered so, one after another, and what all of them lack."""

    async def work() -> tuple[list[Any], list[str]]:
        async def get(token: str | None) -> Any:  # Any: JSON
            number = int(token or 0)
            more = {"nextPageToken": f"{number + 1}"} if number + 1 < len(answers) else {}
            return {**answers[number], **more}

        found = [one async for one in pages(get)]
        return [page for page, _ in found], [one for _, lacks in found for one in lacks]

    return act(work())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(next(iter(page.values()))))
@pytest.mark.parametrize("before", [(), ({"secrets": []},)], ids=["the first page", "the second page"])
def test_a_page_that_lacks_some_ends_the_list_with_what_is_missing(
    page: dict[str, Any], before: tuple[dict[str, Any], ...]
) -> None:
    more = [says({**one, "nextPageToken": "next"}) for one in before]

    async def work() -> list[Any]:  # Any: JSON
        found = door(Script(*more, says(page))).pages("secretmanager", "v1/projects/p/secrets", "secrets")
        return [item async for item in found]

    with pytest.raises(
        Incomplete, match=r"could not reach .*us-east4.*what there is of v1/projects/p/secrets is not known"
    ) as raised:
        act(work())
    assert raised.value.hint == "wait a few minutes, then run the same command again"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(next(iter(page.values()))))
def test_one_who_goes_on_gets_the_pages_after_it_and_what_each_lacks(page: dict[str, Any]) -> None:
    found, lacks = listed({"items": [1]}, page, {"items": [2]}, page)
    assert [each["items"] for each in found if "items" in each] == [[1], [2]]
    assert len(found) == 4
    assert len(lacks) == 2
    assert "us-east4" in lacks[0]
    assert str(not_reached(lacks)) == f"Google could not reach {lacks[0]}", "what both lack is told once"


def test_other_warnings_and_empty_fields_take_nothing_away() -> None:
    whole: list[dict[str, Any]] = [
        {"warning": {"code": "NO_RESULTS_ON_PAGE"}},
        {"warning": None, "unreachable": []},
        {"items": [1]},
    ]
    found, lacks = listed(*whole)
    assert len(found) == len(whole)
    assert lacks == []


def test_every_word_by_which_google_s_documents_say_so_is_known() -> None:
    words, codes = set(), set()
    for api in sorted(discovery.NAMES):
        for schema in discovery.load(api).schemas.values():
            properties: Any = schema.get("properties") or {}
            words |= {name for name in properties if name.lower().startswith("unreachable")}
            codes |= set(properties.get("warning", {}).get("properties", {}).get("code", {}).get("enum", ()))
    assert len(words) > 2
    assert [word for word in sorted(words) if not left_out({word: ["somewhere"]})] == []
    lacking = {code for code in codes if left_out({"warning": {"code": code}})}
    assert lacking == {"UNREACHABLE", "PARTIAL_SUCCESS", "LIST_OVERHEAD_QUOTA_EXCEED"}
