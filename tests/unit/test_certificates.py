"""Certificates: loaded once, and anew where somebody names others."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from pathlib import Path

import certifi
import pytest

from edges import DOMAIN, write_certificate
from homeport.certificates import certificates, trusting
from homeport.errors import SpecError


def test_they_are_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    assert certificates() is certificates()
    assert certificates().verify_mode.name == "CERT_REQUIRED"
    assert certificates().check_hostname


def test_others_that_are_named_later_are_those_that_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    before = certificates()
    one = tmp_path / "one.pem"
    first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")
    one.write_text(first + end)
    monkeypatch.setenv("SSL_CERT_FILE", str(one))
    assert certificates() is not before
    assert len(certificates().get_ca_certs()) == 1 < len(before.get_ca_certs())


def test_a_file_that_is_renewed_in_its_place_is_seen_by_a_process_that_runs_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second, *_ = Path(certifi.where()).read_text().split("-----END CERTIFICATE-----\n")
    end = "-----END CERTIFICATE-----\n"
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(first + end)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    before = certificates()
    renewed = tmp_path / "renewed.pem"
    renewed.write_text(first + end + second + end)
    renewed.replace(trusted)
    after = certificates()
    assert (len(before.get_ca_certs()), len(after.get_ca_certs())) == (1, 2)
    assert certificates() is after
    written = trusted.stat()
    trusted.write_text(first + end)
    os.utime(trusted, ns=(written.st_atime_ns, written.st_mtime_ns + 1))
    assert len(certificates().get_ca_certs()) == 1


def test_a_file_that_is_half_written_changes_nothing_until_it_is_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second, *_ = Path(certifi.where()).read_text().split("-----END CERTIFICATE-----\n")
    end = "-----END CERTIFICATE-----\n"
    trusted = tmp_path / "trusted.pem"
    trusted.write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with pytest.raises(ssl.SSLError):
        certificates()
    trusted.write_text(first + end)
    before = certificates()
    trusted.write_text("half of a certificate")
    assert certificates() is before
    trusted.write_text(first + end + second + end)
    assert len(certificates().get_ca_certs()) == 2


def shaken(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Both have shaken hands, over no network. Raises what the client has against the server."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    served = server.wrap_bio(to_server, to_client, server_side=True)
    asked = client.wrap_bio(to_client, to_server, server_hostname=DOMAIN)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for side in (asked, served):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
                done.add(side)


def test_a_certificate_that_nobody_known_has_signed_is_trusted_where_it_was_handed_over(
    tmp_path: Path,
) -> None:
    certificate, key = write_certificate(tmp_path)
    another, _ = write_certificate(tmp_path, "other.example.com")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    shaken(server, trusting(certificate.read_text()))
    for client in (certificates(), trusting(another.read_text())):
        with pytest.raises(ssl.SSLCertVerificationError):
            shaken(server, client)


def test_what_is_no_certificate_is_refused_with_what_was_expected() -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        trusting("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
