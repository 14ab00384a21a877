"""Certificates: loaded once, and anew where somebody names others."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from homeport.certificates import certificates


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
