"""
Carries weights from a hub, or from a bucket, into a bucket or a folder, without ever holding a whole file.

It runs as a step of Cloud Build in a plain Python image, so it knows the standard library and nothing else. What
there is to do stands in HOMEPORT_JOB, a JSON table:

    from       hf:ORG/NAME@COMMIT or gs://BUCKET/PREFIX
    to         gs://BUCKET/PREFIX or a folder such as /workspace
    files      [{"path": ..., "size": bytes or 0, "sha256": hex or null, "as": another path at the goal}];
               those of a bucket have "generation", "crc32c" and "md5", too, as far as the bucket tells them
    source, revision    for the manifest, which is written last, into a bucket only

A file that lies at its goal with the right size and sha256 stays. A broken connection is taken up again where it
broke; the last piece of an object is only sent once the sha256 of the whole is the right one, so that no damaged
object ever has its name. From bucket to bucket Cloud Storage copies by itself, and the checksums that it tells are
compared. It ends with homeport's own exit codes: 12 damaged, 13 gated, 19 out of reach.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import sys
import threading
import time
import urllib.error
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any
from urllib.parse import quote, urlencode

from homeport.path_rules import followed, problem, shown
from homeport.weights.transfer.http import (
    BLOCK,
    BROKEN,
    DAMAGED,
    FIRST_PAUSE_S,
    GATED,
    PASSING,
    TRIES,
    UNREACHABLE,
    Begin,
    Stop,
    Storage,
    Upload,
    ask,
    message,
)

MANIFEST = "homeport-manifest.json"
AT_ONCE = 4
CHECKSUMS = ("crc32c", "md5")
TELL_EVERY_S = float(os.environ.get("HOMEPORT_TELL_EVERY_S", "10"))  # for tests


class Origin:
    """Where the files come from."""

    def __init__(self, job: Mapping[str, Any], env: Mapping[str, str], storage: Storage) -> None:  # Any: JSON
        kind, _, address = job["from"].partition(":")
        self.storage, self.kind, self.where = storage, kind, job["from"]
        self.hub = (env.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        self.repo, _, self.commit = address.partition("@")
        self.bucket, _, self.prefix = address.removeprefix("//").partition("/")
        self._generations = {file["path"]: file.get("generation") for file in job["files"]}
        self._hub_token = env.get("HF_TOKEN", "").strip()

    def url(self, path: str) -> str:
        """Return where a file's bytes are."""
        if self.kind == "hf":
            return f"{self.hub}/{self.repo}/resolve/{self.commit}/{quote(path)}"
        generation = self._generations.get(path)
        suffix = f"&generation={generation}" if generation else ""
        return self.storage.object(self.bucket, f"{self.prefix}/{path}".lstrip("/")) + f"?alt=media{suffix}"

    def blocks(self, path: str, size: int) -> Iterator[bytes]:
        """Return the file's bytes. A connection that breaks is taken up again, for as long as each brings some."""
        received, failed = 0, 0
        while True:
            fresh = 0
            try:
                with self._opened(path, received) as answer:
                    # Not every server knows ranges: what is here already is read over.
                    skip = 0 if answer.status == 206 else received
                    size = size or received - skip + int(answer.headers.get("Content-Length") or 0)
                    while block := answer.read(BLOCK):
                        block, skip = block[skip:], max(0, skip - len(block))
                        received, fresh = received + len(block), fresh + len(block)
                        yield block
            except urllib.error.HTTPError as error:
                if error.code == 416 and received:
                    return  # It ends here, whatever the pin says: its sha256 will tell.
                if error.code not in PASSING:
                    raise self._refused(path, error) from error
                trouble = f"HTTP {error.code}"
            except BROKEN as error:
                trouble = str(error) or type(error).__name__
            else:
                if not size or received >= size:
                    return
                trouble = f"it broke off after {received} of {size} bytes"
            failed = 0 if fresh else failed + 1
            if failed >= TRIES:
                raise Stop(UNREACHABLE, f"{self.where} could not be reached for {path}: {trouble}; "
                                        "run the same command again, and it goes on")  # fmt: skip
            time.sleep(min(FIRST_PAUSE_S * 2**failed, 60))

    def _opened(self, path: str, received: int) -> http.client.HTTPResponse:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={received}-"} if received else {})
        if self.kind == "hf":
            return ask("GET", self.url(path), self._hub_token, None, headers)
        return self.storage.ask("GET", self.url(path), None, headers)

    def _refused(self, path: str, error: urllib.error.HTTPError) -> Stop:
        if self.kind != "hf":
            return self.unread(path, error.code, message(error.read()))
        page = f"{self.hub}/{self.repo}"
        if error.code in {401, 403}:
            whose = "with this token" if self._hub_token else "without a token"
            return Stop(GATED, f"the hub does not give {self.repo} {whose} (HTTP {error.code}): it is gated, private "
                               f"or not there; accept its licence on {page}, and give homeport a token that may read "
                               "it")  # fmt: skip
        missing = f"{path} in {self.repo} at {self.commit}"
        return Stop(DAMAGED, f"the hub has no {missing} (HTTP {error.code}); see {page}")

    def unread(self, path: str, status: int, why: str) -> Stop:
        """Return why an object of the bucket cannot be read."""
        if status == 404:
            return Stop(DAMAGED, f"{path} of {self.where} is not there any more as it was pinned: {why}; run the same "
                                 "command again to take what is there now")  # fmt: skip
        if status in {401, 403}:
            account = next((word for word in why.split() if word.endswith(".gserviceaccount.com")), "ACCOUNT")
            return Stop(DAMAGED, f"{path} of {self.where} may not be read: {why}; somebody who may do so can grant it: "
                                 f"gcloud storage buckets add-iam-policy-binding gs://{self.bucket} --member="
                                 f"serviceAccount:{account} --role=roles/storage.objectViewer (a grant may take minutes "
                                 "to be seen)")  # fmt: skip
        return Stop(DAMAGED, f"{path} of {self.where} cannot be read (HTTP {status}): {why}")


class Partial:
    """One file of a folder that is coming to be."""

    def __init__(self, path: str) -> None:
        self._path = path
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - paths are texts here
        self._file = open(f"{path}.part", "wb")  # noqa: PTH123, SIM115 - closed by finish and abandon
        self.write = self._file.write

    def finish(self) -> dict[str, Any]:  # Any: JSON
        """Give the file its name from now on."""
        self._file.close()
        os.replace(f"{self._path}.part", self._path)  # noqa: PTH105 - as above
        return {}

    def abandon(self) -> None:
        """Close the partial file; the next try writes over it."""
        self._file.close()


def judge(job: Mapping[str, Any]) -> None:  # Any: JSON
    """Raise `Stop` for a name that leads out of the goal, or that is our manifest's."""
    for file in job["files"]:
        for name in filter(None, (file["path"], file.get("as"))):
            why = problem(name) or ("is what homeport writes last" if name == MANIFEST else "")
            if why:
                raise Stop(
                    DAMAGED, f"{job['from']} names a file {shown(name)}, which {why}; name another source"
                )


def within(folder: str, name: str) -> str:
    """Return the path of `name` in `folder`. Raise `Stop` where a link on the way leads out of it, or nowhere."""
    path = f"{folder}/{name}"
    try:
        root, parent = followed(folder), followed(os.path.dirname(path))  # noqa: PTH120 - paths are texts here
    except OSError as error:
        raise Stop(DAMAGED, f"{shown(name)} cannot be written in {folder}: {error}") from error
    if os.path.commonpath((root, parent)) != root:
        raise Stop(DAMAGED, f"{shown(name)} would be written outside of {folder}, through a link on the way")
    return path


class TransferLog:
    """Says how far it is, now and then: a log is read by people."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._lock = total, 0, threading.Lock()
        self._begun = self._said = time.monotonic()

    def add(self, count: int) -> None:
        """Add `count` bytes to those that have come, and log the progress every few seconds."""
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._said >= TELL_EVERY_S:
                self._said = now
                speed = self._done / (now - self._begun) / 1e6
                say(f"{self._done / 1e6:.1f} of {self._total / 1e6:.1f} MB, {speed:.0f} MB/s")


def checksums(found: Mapping[str, Any]) -> dict[str, str]:  # Any: JSON
    """Return what Cloud Storage tells of an object's bytes."""
    return {"crc32c": found["crc32c"], **({"md5": found["md5Hash"]} if found.get("md5Hash") else {})}


def checksum(file: Mapping[str, Any]) -> str:  # Any: JSON
    """Return what stands for a file's bytes in the manifest's digest."""
    return file["sha256"] or (f"md5:{file['md5']}" if file.get("md5") else f"crc32c:{file['crc32c']}")


def say(line: str) -> None:
    """Write one line of the log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Carrier:
    """Brings one file after another to the goal."""

    def __init__(self, job: Mapping[str, Any], env: Mapping[str, str]) -> None:  # Any: JSON
        self.job, self.storage = job, Storage(env)
        self.origin = Origin(job, env, self.storage)
        self.told = TransferLog(sum(file["size"] for file in job["files"]))
        self.bucket, _, self.prefix = job["to"].removeprefix("gs://").partition("/")
        self.folder = "" if job["to"].startswith("gs://") else job["to"]

    def carry(self, file: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
        """Return what lies at the goal then. A file that arrives damaged is asked for once more."""
        goal = file.get("as") or file["path"]
        existing = self._arrived(goal, file)
        if existing:
            self.told.add(file["size"])
            say(f"{goal} is there")
            return {
                "path": goal,
                "size": file["size"],
                "sha256": file["sha256"],
                "crc32c": existing["crc32c"],
            }
        if self.origin.kind == "gs" and not self.folder:
            return self._copied(goal, file)
        for _ in range(TRIES):
            try:
                return {"path": goal, **self._brought(goal, file)}
            except Begin:
                say(f"{goal}: the upload was lost, and starts over")
        raise Stop(UNREACHABLE, f"Cloud Storage lost every upload of {goal}; run the same command again")

    def seal(self, files: list[dict[str, Any]]) -> None:  # Any: JSON
        """Write the manifest: from now on the weights are there."""
        files = sorted(files, key=lambda file: str(file["path"]))
        lines = "".join(f"{checksum(file)}  {file['path']}\n" for file in files)
        manifest = {
            "source": self.job["source"],
            "revision": self.job["revision"],
            "digest": hashlib.sha256(lines.encode()).hexdigest(),
            "files": files,
        }
        name = f"{self.prefix}/{MANIFEST}"
        before = self.storage.find(self.bucket, name)
        generation = before["generation"] if before else 0
        query = {"uploadType": "media", "name": name, "ifGenerationMatch": generation}
        body = json.dumps(manifest, indent=1).encode()
        url = f"{self.storage.url}/upload/storage/v1/b/{self.bucket}/o?{urlencode(query)}"
        status, _, content = self.storage.call("POST", url, body, Content_Type="application/json")
        # 412: another build was quicker, or the answer to our own first try was lost.
        if status == 412 and self.storage.content(self.bucket, name) == body:
            return
        if status != 200:
            raise Stop(1, f"gs://{self.bucket}/{name} was not written (HTTP {status}): {message(content)}")

    def _arrived(self, goal: str, file: Mapping[str, Any]) -> dict[str, Any] | None:  # Any: JSON
        """Return the file, where it is at the goal already and is the right one."""
        if self.folder or self.origin.kind == "gs" or not file["sha256"]:
            return None  # To have Cloud Storage copy again is quick, and compares.
        existing = self.storage.find(self.bucket, f"{self.prefix}/{goal}") or {}
        actual = (existing.get("metadata", {}).get("sha256"), int(existing.get("size", 0)))
        return existing if actual == (file["sha256"], file["size"]) else None

    def _copied(self, goal: str, file: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
        """Return an object that Cloud Storage has copied by itself, and which is the pinned one."""
        origin, name = self.origin, f"{self.prefix}/{goal}"
        source = f"{origin.prefix}/{file['path']}".lstrip("/")
        status, content = self.storage.look(origin.bucket, source, file.get("generation"))
        if status != 200:
            raise origin.unread(file["path"], status, message(content))
        pinned = {**checksums(json.loads(content)), **{key: file[key] for key in CHECKSUMS if file.get(key)}}
        before = self.storage.find(self.bucket, name)
        if (
            before
            and {**checksums(before), **pinned} == checksums(before)
            and int(before["size"]) == file["size"]
        ):
            say(f"{goal} is there")
            self.told.add(file["size"])
            copied = before
        else:
            copied = self.storage.copy(
                (origin.bucket, source, file.get("generation")), (self.bucket, name), self.told.add
            )
            say(f"{goal}, {copied['size']} bytes, copied by Cloud Storage")
        actual = checksums(copied)
        if {**actual, **pinned} != actual or int(copied["size"]) != file["size"]:
            raise Stop(DAMAGED, f"{goal} was copied, and has {actual} and {copied['size']} bytes, should have {pinned} and "
                                f"{file['size']} bytes; there is no manifest; run the same command again")  # fmt: skip
        return {
            "path": goal,
            "size": file["size"],
            "sha256": None,
            "generation": file.get("generation"),
            **actual,
        }

    def _brought(self, goal: str, file: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
        for last_try in (False, True):
            hashed, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
            coming = self._coming(goal, file["sha256"])
            for block in self.origin.blocks(file["path"], file["size"]):
                hashed.update(block)
                if file.get("md5"):
                    md5.update(block)
                size += len(block)
                coming.write(block)
                self.told.add(len(block))
            sums = {
                "size": size,
                "sha256": hashed.hexdigest(),
                "md5": base64.b64encode(md5.digest()).decode(),
            }
            if not self._is_damaged(file, sums, last_try=last_try):
                uploaded = coming.finish()
                say(f"{goal}, {size} bytes")
                return {"size": size, "sha256": hashed.hexdigest(), "crc32c": uploaded.get("crc32c", "")}
            coming.abandon()
            self.told.add(-size)
        raise AssertionError("the last try returns or raises")

    def _coming(self, goal: str, sha256: str | None) -> Upload | Partial:
        if self.folder:
            return Partial(within(self.folder, goal))
        return Upload(self.storage, self.bucket, f"{self.prefix}/{goal}", sha256)

    def _is_damaged(
        self, file: Mapping[str, Any], sums: Mapping[str, Any], *, last_try: bool
    ) -> bool:  # Any: JSON
        kind = "md5" if file.get("md5") and not file["sha256"] else "sha256"
        if file.get(kind) in {None, sums[kind]} and file["size"] in {0, sums["size"]}:
            return False
        expected = f"{file.get(kind) or f'any {kind}'} and {file['size']} bytes"
        words = (f"{file['path']} of {self.origin.where} has the {kind} {sums[kind]} and {sums['size']} bytes, should "
                 f"have {expected}")  # fmt: skip
        if last_try:
            raise Stop(DAMAGED, f"{words}, twice; nothing of it was kept, and there is no manifest; the pinned file is "
                                "not what is published there any more, or something on the way changes it")  # fmt: skip
        say(f"{words}: once more")
        return True


def main(env: Mapping[str, str]) -> int:
    """Do the job; the exit code."""
    job = json.loads(env["HOMEPORT_JOB"])
    try:
        judge(job)
    except Stop as stop:
        say(f"homeport: {stop}")
        return stop.code
    carrier = Carrier(job, env)
    say(f"{len(job['files'])} files from {job['from']} to {job['to']}")
    # The largest first, so that none of them is alone at the end.
    files = sorted(job["files"], key=lambda file: -int(file["size"]))
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        carried = [
            future.result() for future in as_completed(pool.submit(carrier.carry, file) for file in files)
        ]
        if not carrier.folder:
            carrier.seal(carried)
    except Stop as stop:
        say(f"homeport: {stop}")
        os._exit(stop.code)  # The other files need not end first.
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told in words, and ends the build now
        say(f"homeport: the files could not be brought: {type(error).__name__}: {error}")
        os._exit(1)
    say("all of it is there")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
