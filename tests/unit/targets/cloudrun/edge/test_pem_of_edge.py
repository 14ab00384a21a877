"""A certificate of one's own whose key lies in the same file: the key goes where keys go, and nowhere else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from cloud import things
from deployment import google_for
from edges import WithEdge, write_certificate
from homeport.errors import SpecError
from homeport.export import export
from homeport.home import find_home
from homeport.progress import Silent
from homeport.targets.cloudrun.edge.names import read_pem
from homeport.targets.cloudrun.model_selection import choose

CERTIFICATE, KEY = "edge.certificate", "edge.private_key"


@pytest.fixture
def deployer(tmp_path: Path) -> WithEdge:
    return WithEdge("ollama", tmp_path)


def write_both(folder: Path, *, key_first: bool) -> tuple[str, str, str]:
    """One file with both, and what is in it of each."""
    paths = write_certificate(folder)
    certificate, key = (path.read_text() for path in paths)
    (folder / "both.pem").write_text(key + certificate if key_first else certificate + key)
    for path in paths:
        path.unlink()
    return f"file:{folder / 'both.pem'}", certificate, key


@pytest.mark.parametrize("key_first", [False, True])
def test_of_a_file_with_both_the_certificate_alone_is_public(deployer: WithEdge, key_first: bool) -> None:
    both, certificate, key = write_both(deployer.folder, key_first=key_first)
    _, after = deployer.up(deployer.behind(certificate=both, private_key=both))
    assert after.pending == ()
    (made,) = [one for one in things(deployer.cloud) if "/sslCertificates/" in one.name]
    assert made.hidden["key"] == key
    assert made.body["selfManaged"]["certificate"] == certificate
    assert not [one.name for one in things(deployer.cloud) if "PRIVATE KEY" in json.dumps(one.body)]


@pytest.mark.parametrize("key_first", [False, True])
@pytest.mark.parametrize("kind", ["gcloud", "terraform", "cloudbuild"])
def test_no_export_has_the_key_of_a_file_with_both(deployer: WithEdge, kind: str, key_first: bool) -> None:
    both, certificate, _ = write_both(deployer.folder, key_first=key_first)
    wanted = deployer.behind(certificate=both, private_key=both)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    files = export(kind, deployer.target(google_for(deployer.cloud), chosen, wanted).resources())
    assert not [name for name, text in files.items() if "PRIVATE KEY" in text]
    assert certificate in files.values()


def test_a_chain_is_taken_whole_and_what_stands_between_is_not(tmp_path: Path) -> None:
    one, key = (path.read_text() for path in write_certificate(tmp_path))
    other, _ = (path.read_text() for path in write_certificate(tmp_path, "ca.example.com"))
    (tmp_path / "own.pem").write_text(f"Bag Attributes\n{one}{key}issuer: somebody\n\n{other}")
    assert read_pem("file:own.pem", CERTIFICATE, tmp_path) == one + other
    assert read_pem("file:own.pem", KEY, tmp_path) == key


def test_a_key_of_the_older_kind_is_taken_without_its_parameters(tmp_path: Path) -> None:
    key = "-----BEGIN EC PRIVATE KEY-----\nTUhjQ0FRRUVJ\n-----END EC PRIVATE KEY-----\n"
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    (tmp_path / "own.key").write_text(parameters + key)
    assert read_pem("file:own.key", KEY, tmp_path) == key


@pytest.mark.parametrize(
    ("key", "keeps", "says"),
    [
        (
            CERTIFICATE,
            "k",
            "edge.certificate refers to file:own.pem, which holds no whole CERTIFICATE as PEM",
        ),
        (KEY, "c", "edge.private_key refers to file:own.pem, which holds no whole PRIVATE KEY as PEM"),
        (CERTIFICATE, "", "no whole CERTIFICATE"),
        (KEY, "ckk", "holds 2 private keys"),
    ],
)
def test_a_file_that_lacks_what_is_wanted_is_refused(tmp_path: Path, key: str, keeps: str, says: str) -> None:
    parts = dict(zip("ck", (path.read_text() for path in write_certificate(tmp_path)), strict=True))
    (tmp_path / "own.pem").write_text("".join(parts[one] for one in keeps))
    with pytest.raises(SpecError, match=says):
        read_pem("file:own.pem", key, tmp_path)


def test_a_certificate_that_was_cut_off_takes_no_key_along(tmp_path: Path) -> None:
    whole, key = (path.read_text() for path in write_certificate(tmp_path))
    cut = whole.partition("-----END")[0]
    (tmp_path / "own.pem").write_text(cut + key + whole)
    with pytest.raises(SpecError, match="no whole CERTIFICATE"):
        read_pem("file:own.pem", CERTIFICATE, tmp_path)
    assert read_pem("file:own.pem", KEY, tmp_path) == key
