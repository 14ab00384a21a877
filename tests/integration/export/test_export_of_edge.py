"""What the exports of a file with an `[edge]` promise, and what needs no tool to be seen."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from all_tables import WithAllTables
from answers_of_iap import ANSWERS, GENERATED, LOGIN, MaybeOfIap
from deployers import Deployer
from deployment import google_for
from edges import behind_its_edge
from homeport import spec
from homeport.errors import HomeportError
from homeport.export import export
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Resource
from homeport.targets.cloudrun.model_selection import choose
from proxied import TEAM, behind_iap

DOMAIN = "llm.example.com"
OWN = {"certificate": "file:own.pem", "private_key": "file:own.key"}
KEY = "file:own.key as PEM"


def resources(through: Sequence[str] = (), **edge: Any) -> list[Resource]:  # Any: values of homeport.toml
    deployer = Deployer("vllm")
    access = {"access": {"iap": list(through)}} if through else {}
    wanted = spec.parse({**deployer.wanted().model_dump(), "edge": {"domain": DOMAIN, **edge}, **access})
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    target = deployer.target(google_for(deployer.cloud), chosen, wanted)
    return behind_iap(behind_its_edge(target)).resources()


@pytest.mark.parametrize("kind", ["gcloud", "terraform", "cloudbuild", "trigger", "github"])
@pytest.mark.parametrize("edge", [{}, {"kind": "regional", "requests_per_minute": 60}])
def test_an_edge_is_exported_the_same_each_time(kind: str, edge: dict[str, Any]) -> None:
    files = export(kind, resources(**edge))
    assert files == export(kind, resources(**edge))
    for name, text in files.items():
        if name.endswith(".sh"):
            subprocess.run(["bash", "-n"], input=text, text=True, check=True, timeout=120)


@pytest.mark.parametrize("kind", ["gcloud", "terraform", "cloudbuild"])
def test_the_certificate_is_a_file_and_its_key_is_in_none(kind: str) -> None:
    files = export(kind, resources(**OWN))
    assert not [name for name, text in files.items() if KEY in text]
    assert "file:own.pem as PEM" in [text.strip() for text in files.values()]


@pytest.mark.parametrize("kind", ["trigger", "github"])
def test_a_pipeline_is_refused_a_certificate_of_ones_own_whose_key_it_has_not(kind: str) -> None:
    with pytest.raises(HomeportError, match="a pipeline has no key for the certificate") as refused:
        export(kind, resources(**OWN))
    assert "Google makes one" in refused.value.hint


def test_knative_has_no_words_for_it_and_says_which_table_it_is() -> None:
    with pytest.raises(HomeportError, match=r"closed-door/home \(a closed door\)") as refused:
        export("knative", resources())
    assert "a file without [edge] is exported" in refused.value.hint


def test_the_script_closes_the_door_after_all_else() -> None:
    lines = export("gcloud", resources())["deploy.sh"].splitlines()
    (door,) = [place for place, line in enumerate(lines) if line.startswith("door /v2/")]
    made = [place for place, line in enumerate(lines) if line.startswith(("  make ", "deploy ", "grant "))]
    assert len(made) > 20
    assert max(made) < door


@pytest.mark.parametrize(
    ("says", "before", "after"),
    [
        ("https://home-1.a.run.app", "", 'back_door = "https://home-1.a.run.app"\n'),
        ("https://home-1.a.run.app", "of before\n", 'back_door = "https://home-1.a.run.app"\n'),
        ("", "of before\n", "of before\n"),
        ("", "", ""),
        ("error", "of before\n", "of before\n"),
    ],
)
def test_terraforms_closing_command_opens_nothing_where_no_address_is_told(
    tmp_path: Path, says: str, before: str, after: str
) -> None:
    lines = export("terraform", resources())["main.tf"].splitlines()
    (command,) = [line.lstrip("# ") for line in lines if "terraform output -raw url" in line]
    told = "exit 1" if says == "error" else f"printf %s '{says}'"
    stub = tmp_path / "bin" / "terraform"
    stub.parent.mkdir()
    stub.write_text(f"#!/bin/sh\ncase $1 in output) {told} ;; apply) echo >applied ;; esac\n")
    stub.chmod(0o755)
    file = tmp_path / "edge.auto.tfvars"
    if before:
        file.write_text(before)
    env = {"PATH": f"{stub.parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, check=False, timeout=120)
    assert (file.read_text() if file.exists() else "") == after
    closes = says.startswith("https")
    assert (tmp_path / "applied").exists() is closes, "an apply without the file would open the service"


def test_an_address_of_ones_own_is_no_part_and_its_certificate_is_a_file() -> None:
    ip = "203.0.113.7"
    script, module = (export(kind, resources(domain=None, ip=ip, **OWN)) for kind in ("gcloud", "terraform"))
    assert f"--address={ip} " in script["deploy.sh"]
    assert "gcloud compute addresses" not in script["deploy.sh"]
    assert f'ip_address            = "{ip}"' in module["edge.tf"]
    assert "google_compute_global_address" not in "".join(module.values())
    assert 'output "dns"' not in module["outputs.tf"]
    assert "output dns" not in module["main.tf"]
    for files in (script, module):
        assert not [name for name, text in files.items() if KEY in text]


class Answer(BaseHTTPRequestHandler):
    """Says the status that the path's first part names, and headers as the query has them."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.send_response(int(path.split("/")[1]))
        for name, value in parse_qsl(query.partition("/v1/models")[0]):
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def answering() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


SHOWN = """#!/bin/sh
case "$*" in
  "config get-value account") echo program@rehearsal.iam.gserviceaccount.com ;;
  *print-identity-token* | *sign-jwt*) echo shown ;;
  *) exit 1 ;;
esac
"""
NOTHING = "#!/bin/sh\nexit 1\n"


@cache
def functions() -> str:
    """What a script with an edge begins with."""
    return re.split(r"\n# \d+ APIs", export("gcloud", resources())["deploy.sh"])[0]


def what_came(folder: Path, answering: str, answer: MaybeOfIap, gcloud: str, proxied: str = "") -> str:
    """What the script says of an answer of the edge, where `gcloud` is this; '' where it is one."""
    stub = folder / "gcloud"
    stub.write_text(gcloud)
    stub.chmod(0o755)
    asks = f"{functions()}\nproxied={proxied} ask https://{DOMAIN}\n"
    env = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOMEPORT_GOOGLE_URL": f"{answering}/{answer.status}?{urlencode(answer.headers)}",
    }
    said = subprocess.run(
        ["bash", "-c", asks], env=env, capture_output=True, text=True, timeout=120, check=True
    )
    return said.stdout.removeprefix(f"https://{DOMAIN} ").strip()


@pytest.mark.parametrize("gcloud", [NOTHING, SHOWN])
@pytest.mark.parametrize(("status", "told"), [(200, ""), (403, ""), (404, "says 404"), (302, "says 302")])
def test_an_edge_has_answered_where_cloud_run_says_so_itself(
    tmp_path: Path, answering: str, status: int, told: str, gcloud: str
) -> None:
    assert what_came(tmp_path, answering, MaybeOfIap(status, LOGIN, False), gcloud) == told


@pytest.mark.parametrize("answer", ANSWERS)
def test_behind_the_proxy_it_has_answered_where_the_proxy_says_what_it_says_to_what_was_shown(
    tmp_path: Path, answering: str, answer: MaybeOfIap
) -> None:
    to_nobody = what_came(tmp_path, answering, answer, NOTHING, "yes")
    to_a_jwt = what_came(tmp_path, answering, answer, SHOWN, "yes")
    assert (to_nobody == "", to_a_jwt == "") == (answer.to_nobody, answer.to_a_jwt), (to_nobody, to_a_jwt)


@pytest.mark.parametrize(
    ("answer", "gcloud", "told"),
    [
        (MaybeOfIap(200, {}, False), NOTHING, "says 200, and Identity-Aware Proxy has not said that"),
        (MaybeOfIap(403, {}, False), SHOWN, "says 403, and Identity-Aware Proxy has not said that"),
        (MaybeOfIap(401, GENERATED, True), SHOWN, "says 401: Identity-Aware Proxy does not take the JWT that was shown"),
        (MaybeOfIap(502, GENERATED, True), SHOWN, "says 502"),
    ],
)  # fmt: skip
def test_what_is_no_answer_of_the_proxy_is_told_by_what_it_shows(
    tmp_path: Path, answering: str, answer: MaybeOfIap, gcloud: str, told: str
) -> None:
    assert what_came(tmp_path, answering, answer, gcloud, "yes") == told


def test_the_door_of_a_service_behind_identity_aware_proxy_is_closed_by_what_the_proxy_answers() -> None:
    for proxied in (resources(), resources(through=[TEAM])):
        lines = export("gcloud", proxied)["deploy.sh"].splitlines()
        (door,) = [line for line in lines if "door /v2/" in line]
        expected = any(one.id.startswith("grant/iap.") for one in proxied)
        assert door.startswith("proxied=yes door ") is expected


def said_of(folder: Path, line: str, live: str) -> str:
    """What the script says at a line, where the service is this."""
    stubs = f"there() {{ said={shlex.quote(live)}; }}\nask() {{ echo 'it says 502'; }}\nsleep() {{ :; }}\nsay() {{ echo \"$*\"; }}"
    (folder / "deploy.sh").write_text(f"{functions()}\n{stubs}\n{line.replace(' 3600 ', ' 0 ')}\n")
    return subprocess.run(["bash", "deploy.sh"], cwd=folder, check=False, capture_output=True, text=True, timeout=120).stdout  # fmt: skip


def test_an_address_that_leads_to_the_closed_service_already_is_not_waited_for_again_before_an_agent(
    tmp_path: Path,
) -> None:
    deployer = WithAllTables("vllm", tmp_path)
    target = deployer.target_of(deployer.file("agent", "edge"))
    lines = export("gcloud", replace(target, moment=None).resources())["deploy.sh"].splitlines()
    (line,) = [line for line in lines if line.startswith("answer") and DOMAIN in line]
    closed = said_of(tmp_path, line, f"annotations.homeport/edge: https://{DOMAIN}")
    assert "error" not in closed
    assert f"= https://{DOMAIN} was seen to answer" in closed
    for other in ("", "annotations.homeport/edge: https://other.example.com"):
        waited = said_of(tmp_path, line, other)
        assert "it says 502; the service is reached as before" in waited


def test_a_path_to_an_endpoint_that_was_not_found_is_refused() -> None:
    with pytest.raises(HomeportError, match="gives /small to small, of which no service was found"):
        export("gcloud", resources(backends={"/small": "small"}))
