"""Each client is told what it really reads, in words that real shells take as they are meant."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

import pytest
import yaml

from homeport.clients import CLIENTS, settings
from places import ROOT

KEY = 'hp-a\'b $HOME \\ `x` "q"'
ENV = {"OPENAI_BASE_URL": "http://127.0.0.1:8383/v1", "OPENAI_API_KEY": KEY, "OPENAI_MODEL": "gemma-4-e2b"}


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_gets_the_endpoint_and_its_key(client: str, tmp_path: Path) -> None:
    told = settings(client, ENV, home=tmp_path, folder=tmp_path)
    everything = [*told.variables.values(), told.text]
    assert any(ENV["OPENAI_BASE_URL"] in one for one in everything)
    assert KEY in told.variables.values() or told.file is not None
    assert told.say


def test_the_exporter_of_openais_agents_is_switched_off() -> None:
    told = settings("openai-agents", ENV, home=Path("/x"), folder=Path("/x"))
    assert told.variables["OPENAI_AGENTS_DISABLE_TRACING"] == "1"
    agents = pytest.importorskip("agents.tracing.provider")
    assert "OPENAI_AGENTS_DISABLE_TRACING" in Path(agents.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("client", ["llm", "continue"])
def test_a_file_of_a_client_is_yaml_that_says_the_same(client: str, tmp_path: Path) -> None:
    told = settings(client, ENV, home=tmp_path, folder=tmp_path)
    read = yaml.safe_load(told.text)
    model = read[0] if client == "llm" else read["models"][0]
    assert ENV["OPENAI_BASE_URL"] in model.values()
    assert ENV["OPENAI_MODEL"] in model.values()
    assert (KEY in told.text.replace("\\\\", "\\").replace('\\"', '"')) is (client == "continue")


def test_the_page_has_the_clients_that_were_run_and_what_was_seen() -> None:
    script = run_path(str(ROOT / "scripts" / "generate.py"))
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    assert script["with_checked"](page) == page, "run `make schema`"
    names = {path.stem for path in (ROOT / "tests" / "records" / "clients").glob("*.json")}
    locked = {path.name.removesuffix(".txt") for path in (ROOT / "locks" / "clients").iterdir()}
    of_ollamas_api = {"ollama", "ollama-npm"}  # They judge its own API, not an endpoint of homeport's.
    assert locked - of_ollamas_api <= names, "each client has a record of a run"


def test_no_client_that_was_seen_to_ask_others_is_left_to_do_so() -> None:
    for client in ("litellm", "adk", "aider"):
        told = settings(client, ENV, home=Path("/x"), folder=Path("/x"))
        assert told.variables["LITELLM_LOCAL_MODEL_COST_MAP"] == "True", client
