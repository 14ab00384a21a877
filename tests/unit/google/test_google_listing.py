"""A list that says that it lacks some is never taken for a whole one."""

from __future__ import annotations

from typing import Any

import pytest

from cloud import act
from gcp_rehearsal import discovery
from homeport.errors import Incomplete
from homeport.google.listing import left_out, pages

PAGES = [
    {"unreachable": ["locations/us-east4"]},
    {"unreachableLocations": ["locations/us-east4"]},
    {"unreachables": ["regions/us-east4"]},
    {"warning": {"code": "UNREACHABLE", "message": "us-east4"}},
    {"warning": {"code": "PARTIAL_SUCCESS", "message": "without us-east4"}},
    {"warning": {"code": "LIST_OVERHEAD_QUOTA_EXCEED", "message": "us-east4 was too much"}},
]


def listed(*answers: dict[str, Any]) -> list[Any]:  # Any: JSON
    """The pages of a list that is answered so, one after another."""

    async def work() -> list[Any]:
        async def get(token: str | None) -> Any:  # Any: JSON
            number = int(token or 0)
            more = {"nextPageToken": f"{number + 1}"} if number + 1 < len(answers) else {}
            return {**answers[number], **more}

        return [page async for page in pages(get, "regions")]

    return act(work())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(next(iter(page.values()))))
@pytest.mark.parametrize("before", [(), ({"items": []},)], ids=["the first page", "the second page"])
def test_a_page_that_lacks_some_ends_the_list_with_what_is_missing(
    page: dict[str, Any], before: tuple[dict[str, Any], ...]
) -> None:
    with pytest.raises(
        Incomplete, match=r"could not reach .*us-east4.*what there is of regions is not known"
    ):
        listed(*before, page)


def test_other_warnings_and_empty_fields_take_nothing_away() -> None:
    whole: list[dict[str, Any]] = [
        {"warning": {"code": "NO_RESULTS_ON_PAGE"}},
        {"warning": None, "unreachable": []},
        {"items": [1]},
    ]
    assert len(listed(*whole)) == len(whole)


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
