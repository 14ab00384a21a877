"""A file with Identity-Aware Proxy is exported as what was seen to make it, and refused as everything else."""

from __future__ import annotations

import pytest

from homeport.errors import Unsupported
from homeport.export import KINDS
from homeport.targets.cloudrun.iap.export import ensure_exported


@pytest.mark.parametrize("kind", ["gcloud", "terraform"])
def test_the_script_for_gcloud_and_terraforms_module_make_it(kind: str) -> None:
    ensure_exported(kind)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"gcloud", "terraform"}))
def test_every_other_kind_is_refused_by_its_name(kind: str) -> None:
    with pytest.raises(Unsupported, match=f"is not exported as {kind}: such files") as refused:
        ensure_exported(kind)
    assert "it is exported as gcloud and terraform" in str(refused.value.hint)
