"""
`hf:` weights: a repository of the Hugging Face Hub, or of any server that speaks its API.

Files are kept in the hub's own cache (`HF_HOME`), so that nothing is fetched twice and other tools find
it, too. `huggingface_hub` answers what a revision is and which files it has, holds the user's token and
links files into its cache. The bytes are carried by homeport: `huggingface_hub` 2 writes every download to
a new temporary file, so that after a kill it would start over.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from homeport import names
from homeport.addresses import ensure_address
from homeport.errors import GatedModel, WeightsError
from homeport.extras import missing
from homeport.home import writing
from homeport.progress import Progress
from homeport.proxy_variables import by_environment
from homeport.secret import Secret
from homeport.weights import checkpoint, hub_token
from homeport.weights.checkpoint import MOST_BYTES
from homeport.weights.checksum import git_blob_of, sha256_of
from homeport.weights.download import (
    PASSING,
    Bar,
    Download,
    Unexpected,
    begin_of,
    client,
    download,
    drop,
    keep,
    retry,
)
from homeport.weights.lock import held
from homeport.weights.manifest import Format, Pin, PinnedFile
from homeport.weights.progress_stage import megabytes, stage
from homeport.weights.selection import choose
from homeport.weights.sources.hub_refusals import explained, offline

if TYPE_CHECKING:
    from httpx2 import Client
    from huggingface_hub import ModelInfo

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PARTIAL = ".homeport.incomplete"
"""`hf cache` knows files that end in `.incomplete` as left-overs."""


@dataclass(frozen=True, slots=True)
class _Blob:
    """A file's bytes as the hub names them: by sha256 in LFS, else by git's checksum."""

    etag: str
    size: int

    @property
    def in_lfs(self) -> bool:
        return len(self.etag) == 64


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of a hub at a revision; `file` names one GGUF in it."""

    repo: str
    revision: str | None = None
    file: str | None = None
    token: Secret | None = field(default=None, compare=False)
    """Shown to the hub instead of the one that its own library finds."""
    ours: ClassVar[bool] = True

    @property
    def text(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"hf:{self.repo}{revision}" + (f":{self.file}" if self.file else "")

    @property
    def lock(self) -> str:
        return f"hf-{self.repo.replace('/', '--')}"

    def pin(self, wanted: Format) -> Pin:
        return self._pin(wanted, fetchable=True)

    def look(self, wanted: Format) -> Pin:
        """Pin the files as `pin` does, without asking whether they may be fetched: those behind a gate are listed, too."""
        return self._pin(wanted, fetchable=False)

    def _pin(self, wanted: Format, *, fetchable: bool) -> Pin:
        _require_library()
        from huggingface_hub import constants

        if constants.is_offline_mode():
            return self._pin_from_cache(wanted)
        info = self._ask(self.revision, fetchable=fetchable)
        blobs = self._blobs(info)
        where = f"hf:{self.repo}"
        chosen = choose(blobs, wanted, file=self.file, where=where)
        files = {
            name: PinnedFile(
                path=names.judge(name, where=where),
                size=blobs[name].size,
                sha256=blobs[name].etag if blobs[name].in_lfs else None,
            )
            for name in chosen
        }
        pin = Pin(source=self.text, revision=self._commit(info.sha), files=tuple(files.values()))

        def content(name: str) -> bytes | None:
            try:
                with client() as http:
                    return self.begin_of(http, pin, files[name], min(files[name].size, MOST_BYTES))
            except GatedModel:
                if fetchable:
                    raise
                return None  # Whether it may be read is asked later.

        needed = checkpoint.whole(chosen, wanted, content, where=where)
        return replace(pin, files=tuple(files[name] for name in needed))

    def folder(self, root: Path, pin: Pin) -> Path:
        return self._snapshot(pin)

    def needs(self, pin: Pin, folder: Path) -> int:
        missing = [file for file in pin.files if not (folder / file.path).exists()]
        # Of what is not pinned yet any file that is here may be one of it.
        here = self._partials() if pin.revision else (self._repo_folder() / "blobs").glob("*")
        had = sum(path.stat().st_size for path in here)
        return max(0, sum(file.size for file in missing) - had)

    def fetch(self, pin: Pin, folder: Path, progress: Progress) -> Mapping[str, str]:
        missing = [file.path for file in pin.files if not (folder / file.path).exists()]
        if not missing:
            return {}
        blobs = self._blobs(self._ask(pin.revision))
        gone = next((path for path in missing if path not in blobs), None)
        if gone is not None:
            raise WeightsError(
                f"hf:{self.repo} does not list {gone} any more", hint="remove the weights, and fetch again"
            )
        total = sum(blobs[path].size for path in missing)
        had = sum(self._had(blobs[path]) for path in missing)
        bar = Bar(progress, self.text, total=total, done=had)
        size = megabytes(total)
        sums: dict[str, str] = {}
        with (
            stage(progress, self.text, f"fetching {self.text}, {size}", f"fetched {self.text}, {size}"),
            client() as http,
        ):
            for path in missing:
                blob = blobs[path]
                # The lock that huggingface_hub takes for it: a tool that wants the same file waits for it.
                with held(self._locks() / f"{blob.etag}.lock", self.text, progress):
                    wanted = self._download(pin.revision, path, blob)
                    target = names.within(folder, path, where=self.text)
                    sha256 = self._bring(http, target, wanted, blob, bar)
                if sha256 is not None:
                    sums[path] = sha256
        return sums

    def begin_of(self, http: Client, pin: Pin, file: PinnedFile, length: int) -> bytes:
        """
        Return the first `length` bytes of one file of the repository; fewer where it has no more.

        No more is read than that, whether the server knows ranges or not. With HF_HUB_OFFLINE they come from
        the hub's cache, as the pin did. Raises what `pin` raises.
        """
        _require_library()
        from huggingface_hub import constants

        if constants.is_offline_mode():
            with self._explained(), (self._snapshot(pin) / file.path).open("rb") as cached:
                return cached.read(length)
        wanted = self._download(pin.revision, file.path, _Blob(etag="", size=file.size))
        with self._explained():
            return retry(lambda: begin_of(http, wanted, length), what=wanted.what)

    def discard(self, path: Path, *, keep_shared: bool = False) -> None:
        with writing(path):
            blob = path.resolve()
            path.unlink(missing_ok=True)
            if blob == path or (keep_shared and self._is_linked(blob)):
                return
            blob.unlink(missing_ok=True)

    def sweep(self, folder: Path) -> None:
        with writing(folder):
            for path in self._partials():
                drop(path)
        repo = self._repo_folder()
        folders = [*sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True), folder]
        with contextlib.suppress(OSError):  # one that is not empty stays, and so do those around it
            for empty in [*folders, folder.parent, repo / "blobs"]:
                empty.rmdir()
            repo.rmdir()

    def _bring(self, http: Client, target: Path, wanted: Download, blob: _Blob, bar: Bar) -> str | None:
        """Fetch one file to `target`; gives its sha256, or None where its bytes were in the cache."""
        sha256, final = None, wanted.part.with_name(blob.etag)
        if not final.exists():
            with self._explained():
                sha256 = _download_whole(http, wanted, blob, bar)
            keep(wanted.part, final)
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            try:
                target.symlink_to(os.path.relpath(final, target.parent))
            except OSError:  # a file system without links; huggingface_hub does the same there
                final.replace(target)
        return sha256

    def _download(self, commit: str, path: str, blob: _Blob) -> Download:
        from huggingface_hub import constants, hf_hub_url

        token = hub_token.find(self.token)
        return Download(
            what=f"hf:{self.repo}:{path} from {constants.ENDPOINT}",
            url=hf_hub_url(self.repo, path, revision=commit, endpoint=constants.ENDPOINT),
            part=self._part(blob),
            size=blob.size,
            # The client drops it where the hub sends it on to another host.
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )

    def _ask(self, revision: str | None, *, fetchable: bool = True) -> ModelInfo:
        """Return the repository's files at `revision`; with `fetchable`, once it is sure that they may be fetched."""
        _require_library()
        from huggingface_hub import HfApi, constants
        from huggingface_hub.errors import HfHubHTTPError

        by_environment()
        token = hub_token.find(self.token)
        api = HfApi(endpoint=constants.ENDPOINT, library_name="homeport", token=token)

        def ask() -> ModelInfo:
            try:
                info = api.model_info(self.repo, revision=revision, files_metadata=True, timeout=30)
                if info.gated and fetchable:  # The list of files is public where the files are not.
                    api.auth_check(self.repo)
            except HfHubHTTPError as error:
                status = error.response.status_code
                if status in PASSING:  # Tried again; at the end the hub's own sentence is shown.
                    raise Unexpected(str(error), status=status, said=error.server_message or "") from error
                raise
            return info

        with self._explained():
            return retry(ask, what=f"{self.text} from {constants.ENDPOINT}")

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self.repo, self.text, self.revision)

    def _pin_from_cache(self, wanted: Format) -> Pin:
        repo = self._repo_folder()
        commit = self.revision or "main"
        if not _COMMIT.fullmatch(commit):
            try:
                commit = (repo / "refs" / commit).read_text().strip()
            except (OSError, ValueError) as error:
                raise offline(self.text) from error
            commit = self._commit(commit)
        folder = repo / "snapshots" / commit
        paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        if not paths:
            raise offline(self.text)
        where = f"the hub's cache of {self.repo}"
        chosen = choose(paths, wanted, file=self.file, where=where)
        needed = checkpoint.whole(chosen, wanted, lambda name: paths[name].read_bytes(), where=where)
        files = (
            PinnedFile(
                path=name,
                size=names.inside(paths[name], (repo,), where=where).stat().st_size,
                sha256=etag if _SHA256.fullmatch(etag := paths[name].resolve().name) else None,
            )
            for name in needed
        )
        return Pin(source=self.text, revision=commit, files=tuple(files))

    def _commit(self, sha: str | None) -> str:
        """Return the commit that a hub or its cache tells, once it is sure that it is one: a folder is called by it."""
        if not isinstance(sha, str) or not _COMMIT.fullmatch(sha):
            raise WeightsError(
                f"hf:{self.repo} tells a commit that is none: {names.shown(str(sha or ''))}",
                hint="check HF_ENDPOINT",
            )
        return sha

    def _blobs(self, info: ModelInfo) -> dict[str, _Blob]:
        """Return what is told of every file. Its checksum names a file of the cache, so it must be one."""
        blobs = {}
        with self._explained():
            for sibling in info.siblings or ():
                etag, size = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id, sibling.size
                if not isinstance(etag, str) or type(size) is not int or size < 0:
                    raise ValueError(f"no size or checksum of {names.shown(sibling.rfilename)}")
                if not (_SHA256 if sibling.lfs else _SHA1).fullmatch(etag):
                    raise ValueError(
                        f"{names.shown(sibling.rfilename)} has the checksum {names.shown(etag)}, which is none"
                    )
                blobs[sibling.rfilename] = _Blob(etag=etag, size=size)
        return blobs

    def _repo_folder(self) -> Path:
        _require_library()
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE).expanduser() / f"models--{self.repo.replace('/', '--')}"

    def _snapshot(self, pin: Pin) -> Path:
        return self._repo_folder() / "snapshots" / pin.revision

    def _locks(self) -> Path:
        repo = self._repo_folder()
        return repo.parent / ".locks" / repo.name

    def _part(self, blob: _Blob) -> Path:
        return self._repo_folder() / "blobs" / f"{blob.etag}{_PARTIAL}"

    def _partials(self) -> list[Path]:
        return list((self._repo_folder() / "blobs").glob(f"*{_PARTIAL}"))

    def _had(self, blob: _Blob) -> int:
        for path in (self._part(blob), self._part(blob).with_name(blob.etag)):
            with contextlib.suppress(OSError):
                return path.stat().st_size
        return 0

    def _is_linked(self, blob: Path) -> bool:
        snapshots = self._repo_folder() / "snapshots"
        return any(path.is_symlink() and path.resolve() == blob for path in snapshots.rglob("*"))


def _download_whole(http: Client, wanted: Download, blob: _Blob, bar: Bar) -> str:
    """Return the sha256 of the file, which is what the hub announced. Tried twice: the first may be an old bad start."""
    for _ in range(2):
        download(http, wanted, bar)
        sha256 = sha256_of(wanted.part, lambda _: None)
        if blob.etag == (sha256 if blob.in_lfs else git_blob_of(wanted.part, blob.size)):
            return sha256
        bar.add(-wanted.part.stat().st_size)
        drop(wanted.part)
    raise WeightsError(
        f"{wanted.what} arrived damaged: its checksum is not the one that the hub announced",
        hint="a proxy may have changed it; try again later or from another network",
    )


def _require_library() -> None:
    if find_spec("huggingface_hub") is None:
        raise missing("hf: sources need huggingface-hub", "local")
    if "HF_ENDPOINT" in os.environ:
        # With another its library cannot even be imported.
        ensure_address(os.environ["HF_ENDPOINT"], called="HF_ENDPOINT")
