"""The documents that were made from Google's typed clients are those that these clients make now."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest

from gcp_rehearsal.discovery import load
from places import ROOT

DISTRIBUTIONS = {"modelarmor.v1": "google-cloud-modelarmor", "cloudquotas.v1": "google-cloud-quotas"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("derived_documents", ROOT / "scripts" / "derived_documents.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_document_is_what_its_client_makes_now(script: ModuleType, name: str) -> None:
    kept = (script.DOCUMENTS / f"{name}.json").read_text(encoding="utf-8")
    assert script.document(name) == kept, "run scripts/derived_documents.py"


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_document_is_of_the_version_that_is_locked(name: str) -> None:
    locked = re.search(
        rf"^{DISTRIBUTIONS[name]}==(\S+)",
        (ROOT / "locks" / "dev.txt").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert locked is not None
    assert load(name).revision == locked[1] == version(DISTRIBUTIONS[name])


def test_every_document_beside_the_door_is_a_derived_one(script: ModuleType) -> None:
    assert (
        {path.stem for path in script.DOCUMENTS.glob("*.json")} == set(script.CLIENTS) == set(DISTRIBUTIONS)
    )


def test_what_only_google_writes_is_marked_and_what_callers_write_is_not(script: ModuleType) -> None:
    preference = json.loads(script.document("cloudquotas.v1"))["schemas"]["QuotaPreference"]["properties"]
    assert preference["reconciling"]["readOnly"] is True
    assert "readOnly" not in preference["contactEmail"]
