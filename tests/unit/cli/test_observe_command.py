"""`homeport observe check` asks one place, and says so where two are named."""

from __future__ import annotations

import pytest

from homeport import cli
from homeport.errors import Unsupported


def test_a_prometheus_of_ones_own_is_not_asked_for_an_endpoint_on_cloud_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = cli.run(["observe", "check", "--on", "cloudrun", "--prometheus", "http://127.0.0.1:9"])
    told = capsys.readouterr()
    assert code == Unsupported.exit_code
    assert "--prometheus is for an endpoint of this machine" in told.err
    assert "leave --prometheus out" in told.err
