"""A file with Identity-Aware Proxy is exported as what was seen to make it, and refused as everything else."""

from __future__ import annotations

import pytest

from homeport.errors import Unsupported
from homeport.export import KINDS
from homeport.targets.cloudrun.iap_export import ensure_exported


def test_the_script_for_gcloud_makes_it_where_no_load_balancer_is_to_be_asked() -> None:
    ensure_exported("gcloud", behind_edge=False)
    with pytest.raises(Unsupported, match=r"together with an \[edge\] is not exported as gcloud"):
        ensure_exported("gcloud", behind_edge=True)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"gcloud"}))
def test_every_other_kind_is_refused_by_its_name(kind: str) -> None:
    for behind_edge in (False, True):
        with pytest.raises(Unsupported, match=f"is not exported as {kind}: such files") as refused:
            ensure_exported(kind, behind_edge=behind_edge)
        assert "it is exported as gcloud" in str(refused.value.hint)
