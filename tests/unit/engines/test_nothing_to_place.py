"""Whether llama.cpp has to look first how much of a model which device takes."""

from __future__ import annotations

import runpy
from types import SimpleNamespace
from typing import Any

import pytest

from places import ROOT

SERVER = ROOT / "src" / "homeport" / "engines" / "llamacpp" / "server" / "homeport_llamacpp.py"
KINDS = SimpleNamespace(
    GGML_BACKEND_DEVICE_TYPE_CPU=0,
    GGML_BACKEND_DEVICE_TYPE_GPU=1,
    GGML_BACKEND_DEVICE_TYPE_IGPU=2,
    GGML_BACKEND_DEVICE_TYPE_ACCEL=3,
)
NEWER = 9
"""A kind of device that is not known here."""


@pytest.mark.parametrize(
    ("devices", "looks"),
    [([0], False), ([3, 0], False), ([0, 1], True), ([2, 0], True), ([NEWER, 0], True)],
    ids=["processor", "processor with BLAS", "GPU", "integrated GPU", "of a kind to come"],
)
def test_the_model_is_read_once_more_only_where_a_device_may_have_to_share_it(
    devices: list[int], looks: bool
) -> None:
    may_have_to_place: Any = runpy.run_path(str(SERVER))["_may_have_to_place"]  # Any: as runpy has it
    machine = SimpleNamespace(
        ggml_backend_dev_type=KINDS, get_device_info=lambda: [{"type": kind} for kind in devices]
    )

    assert may_have_to_place(machine) is looks
