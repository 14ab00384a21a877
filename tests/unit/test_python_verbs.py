"""What `import homeport` offers beside the command line: each verb, by what it gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import homeport
from homeport.endpoint import Endpoint
from homeport.errors import NotRunning, SpecError, Unsupported


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_HOME", str(tmp_path / "home"))


def test_what_is_there_is_listed_and_told_of_by_its_name() -> None:
    assert homeport.listed() == homeport.Listing(endpoints=(), unread=())
    assert homeport.status() == []
    for verb in (homeport.status, homeport.verified, homeport.down, homeport.connect):
        with pytest.raises(NotRunning, match="nobody"):
            verb("nobody")


def test_status_and_verification_on_cloud_run_want_a_file_or_a_name() -> None:
    for verb in (homeport.status, homeport.verified):
        with pytest.raises(SpecError, match=r"there is no homeport\.toml, and no NAME was given"):
            verb(on="cloudrun")


def test_the_hint_of_an_endpoint_that_was_made_by_hand_names_what_there_is() -> None:
    with pytest.raises(Unsupported) as refused:
        Endpoint(name="mine", base_url="http://127.0.0.1:1/v1", model="m").verify()
    for name in re.findall(r"homeport\.(\w+)", refused.value.hint):
        assert name in homeport.__all__
