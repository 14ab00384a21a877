"""Cloud Run in a rehearsal, by commands."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from gcloud import Served
from places import TAUGHT
from user import Ran, User

FILE = """
name = "demo"
model = "file:./first.gguf"
[engine]
kind = "ollama"
context = 1024
parallel = 2
[access]
callers = ["user:friend@example.com"]
"""


class OnCloudRun:
    """A user with a file, and a rehearsal that stands in for Google Cloud."""

    patience_s = 600.0
    """For one command."""

    def __init__(self, user: User, rehearsal: Served) -> None:
        self.user, self.rehearsal = user, rehearsal
        shutil.copyfile(TAUGHT, user.folder / "first.gguf")
        shutil.copyfile(TAUGHT, user.folder / "second.gguf")
        user.write(FILE)

    def run(self, *arguments: str, code: int | None = 0, caller: str = "", inside: bool = False) -> Ran:
        env = self.environment(inside=inside)
        if caller:
            env |= self.rehearsal.login(caller)
        return self.user.run(
            *arguments, "--on", "cloudrun", code=code, cwd=None, timeout=self.patience_s, **env
        )

    def environment(self, *, inside: bool = False) -> dict[str, str]:
        served = self.rehearsal.within if inside else self.rehearsal
        ours = ("HOMEPORT_GOOGLE", "GOOGLE_", "CLOUDSDK_")
        return {name: value for name, value in served.environment.items() if name.startswith(ours)}

    def proxy(self) -> str:
        """What the proxy says before it serves."""
        with self.proxying() as said:
            return said

    def proxied_env(self) -> Ran:
        """What `env` says while a proxy runs."""
        with self.proxying():
            return self.run("env", "--json")

    @contextmanager
    def proxying(self, *arguments: str) -> Iterator[str]:
        """What a proxy says before it serves, while it runs."""
        process = self.user.begin("proxy", "--port", "0", *arguments, **self.environment())
        assert process.stderr is not None
        said = ""
        while "Open WebUI" not in said and (line := process.stderr.readline()):
            said += line
        try:
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)

    def asked_by(self, who: str) -> int:
        """The status with which the front answers a person's token."""
        host = self.status["url"].removeprefix("https://").removesuffix("/v1")
        with httpx2.Client(base_url=self.rehearsal.url, trust_env=False, verify=False, timeout=60) as client:
            made = self.rehearsal.id_token(who)
            return client.get(
                "/v1/models", headers={"host": host, "authorization": f"Bearer {made}"}
            ).status_code

    @property
    def status(self) -> Any:  # Any: JSON
        return self.run("status", "--json").json
