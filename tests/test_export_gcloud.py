"""The exported script and YAML, carried out by the real gcloud: afterwards `up` finds nothing to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exporting import TOKEN, pending, there
from gcloud import FOUND, REASON

pytestmark = pytest.mark.skipif(FOUND is None, reason=REASON)


def test_what_the_script_makes_is_what_up_would_make(tmp_path: Path, gcloud_folder: Path) -> None:
    path = f"{gcloud_folder}:{os.environ['PATH']}"
    with there(tmp_path) as here:
        here.write(here.exported("gcloud"))
        assert len(pending(here.plan())) > 25
        said = here.run("bash", "deploy.sh", HOME_TOKEN=TOKEN, PATH=path)
        assert said.out.strip().splitlines()[-1].startswith("https://home-")
        assert pending(here.plan()) == []
