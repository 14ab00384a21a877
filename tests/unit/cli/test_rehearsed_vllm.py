"""What a rehearsal changes of vLLM's command so that a CPU can run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcp_rehearsal.runtime.container_paths import Paths
from gcp_rehearsal.runtime.image import Image
from gcp_rehearsal.runtime.launch_adaptation import ContainerLaunch
from gcp_rehearsal.runtime.programs import LaunchSite
from homeport.cli.rehearse_programs import VllmProgram


def adapted(tmp_path: Path, *flags: str, **env: str) -> ContainerLaunch:
    launch = ContainerLaunch(command=["vllm", "serve", "/models", *flags], env=env)
    site = LaunchSite(
        image=Image(root=tmp_path), paths=Paths(tmp_path, {}), port=8080, folder=tmp_path, storage={}
    )
    VllmProgram().adapt(launch, site)
    return launch


@pytest.mark.parametrize(
    ("flags", "env", "compiles"),
    [
        ((), {}, False),
        (("--enforce-eager",), {}, False),
        (("--no-enforce-eager",), {}, True),
        ((), {"VLLM_CACHE_ROOT": "/homeport-kept/startup/vllm"}, True),
    ],
)
def test_it_compiles_where_that_is_kept_or_asked_for_and_else_not(
    flags: tuple[str, ...], env: dict[str, str], compiles: bool, tmp_path: Path
) -> None:
    launch = adapted(tmp_path, *flags, **env)
    assert launch.command.count("--enforce-eager") == (0 if compiles else 1)
    assert launch.env.get("VLLM_USE_AOT_COMPILE") == ("0" if compiles else None)


def test_a_command_of_another_program_stays_as_it_is(tmp_path: Path) -> None:
    launch = ContainerLaunch(command=["nginx", "-g", "daemon off;"], env={})
    site = LaunchSite(
        image=Image(root=tmp_path), paths=Paths(tmp_path, {}), port=8080, folder=tmp_path, storage={}
    )
    VllmProgram().adapt(launch, site)
    assert (launch.command, launch.env, launch.changes) == (["nginx", "-g", "daemon off;"], {}, [])


def test_its_engine_and_its_worker_are_one_process_and_what_it_learnt_of_models_is_kept_where_nothing_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLLM_CACHE_ROOT", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    eager, compiling = adapted(tmp_path), adapted(tmp_path, "--no-enforce-eager")
    assert eager.env["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert eager.env["VLLM_CACHE_ROOT"] == "/caches/vllm"
    assert not {"VLLM_CACHE_ROOT", "VLLM_ENABLE_V1_MULTIPROCESSING"} & compiling.env.keys()
    assert {"VLLM_CACHE_ROOT", "VLLM_ENABLE_V1_MULTIPROCESSING"} <= {row.what for row in eager.changes}


@pytest.mark.parametrize("flags", [(), ("--enforce-eager",)])
def test_a_startup_cache_stays_where_the_revision_has_it(flags: tuple[str, ...], tmp_path: Path) -> None:
    kept = {"VLLM_CACHE_ROOT": "/homeport-kept/startup/vllm"}
    assert adapted(tmp_path, *flags, **kept).env["VLLM_CACHE_ROOT"] == kept["VLLM_CACHE_ROOT"]


@pytest.mark.parametrize(
    ("name", "value", "folder"),
    [
        ("VLLM_CACHE_ROOT", "caches", "work/caches"),
        ("VLLM_CACHE_ROOT", "~/caches", "home/caches"),
        ("XDG_CACHE_HOME", "caches", "work/caches/vllm"),
        ("XDG_CACHE_HOME", "", "home/.cache/vllm"),
    ],
)
def test_that_folder_is_a_whole_path_since_a_container_begins_elsewhere(
    name: str, value: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for one in ("VLLM_CACHE_ROOT", "XDG_CACHE_HOME"):
        monkeypatch.delenv(one, raising=False)
    monkeypatch.setenv(name, value)
    assert adapted(tmp_path).env["VLLM_CACHE_ROOT"] == str(tmp_path / folder)


def test_who_has_no_home_keeps_nothing_and_starts_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for one in ("VLLM_CACHE_ROOT", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(one, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    env = adapted(tmp_path).env
    assert "VLLM_CACHE_ROOT" not in env
    assert env["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"


def test_another_folder_for_what_it_learnt_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CACHE_ROOT", "/elsewhere")
    assert adapted(tmp_path).env["VLLM_CACHE_ROOT"] == "/elsewhere"
