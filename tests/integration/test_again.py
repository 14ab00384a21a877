"""What fetches something for `make` outlives a hiccup of an index, and says soon that there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub import Answer, Server
from made_wheels import build
from nobody import nobody_at
from places import ROOT

pytestmark = pytest.mark.long  # pip is started six times.

_BACKOFFS = """
import sys
from pip._internal.network.session import PipSession
retry = PipSession(retries=int(sys.argv[1])).get_adapter("https://x").max_retries
waited = 0.0
while retry.total:
    retry = retry.increment("GET", "/simple/", error=OSError())
    waited += retry.get_backoff_time()
print(waited)
"""
"""How long real pip pauses between its tries of one request, without pausing."""


class Hiccup(Server):
    """A package index that answers 503 so many times, and is well then."""

    def __init__(self, wheel: Path, bad: int) -> None:
        super().__init__()
        self.wheel, self.bad = wheel, bad
        self.address = self.listen(self._answer)

    def _answer(self, answer: Answer) -> None:
        if self.bad:
            self.bad -= 1
            answer.reply(503, b"")
        elif answer.path.startswith("/simple/"):
            answer.reply(
                200, f'<a href="/files/{self.wheel.name}">w</a>'.encode(), {"Content-Type": "text/html"}
            )
        else:
            answer.reply(200, self.wheel.read_bytes())


def said_by_make(**own: str) -> dict[str, str]:
    """The environment of what `make` runs for a user who has this `own`, and no other word on pip."""
    asked = ("PIP_RETRIES", "PIP_TIMEOUT")
    apart = {*asked, "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    bare = {name: value for name, value in os.environ.items() if name not in apart}
    rule = "told:; @echo " + " ".join(f"$${name}" for name in asked)
    told = subprocess.run(
        ["make", "--silent", "--eval", rule, "told"],
        cwd=ROOT,
        env={**bare, **own},
        capture_output=True,
        text=True,
        check=True,
    )
    return {**bare, **dict(zip(asked, told.stdout.split(), strict=True))}


@pytest.fixture
def made() -> dict[str, str]:
    """The environment of what `make` runs."""
    return said_by_make()


def fetch(env: dict[str, str], index: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Let pip download `home-parcel`, as scripts do."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    where = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "NO_PROXY": "*",
        "PIP_INDEX_URL": f"{index}/simple",
    }
    return subprocess.run(
        ["sh", "scripts/again.sh", *pip, "-d", str(folder), "home-parcel"],
        cwd=ROOT, env={**env, **where, "AGAIN_PAUSES": "0 0", "PIP_TIMEOUT": "600"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_what_an_index_refuses_through_all_of_pips_own_tries_is_there_at_the_next(
    tmp_path: Path, made: dict[str, str]
) -> None:
    wheel = build(tmp_path / "wheels", "home-parcel", {"data.txt": b"x"})
    with Hiccup(wheel, bad=1 + int(made["PIP_RETRIES"])) as index:
        ran = fetch(made, index.address, tmp_path / "came")
    assert ran.returncode == 0, ran.stderr
    assert [path.name for path in (tmp_path / "came").iterdir()] == [wheel.name]
    assert ran.stderr.count("it failed, and is tried again") == 1


def test_where_nobody_answers_it_ends_with_pips_own_error_after_three_tries(
    tmp_path: Path, made: dict[str, str]
) -> None:
    with nobody_at() as port:
        ran = fetch(made, f"http://127.0.0.1:{port}", tmp_path / "came")
    assert ran.returncode == 1
    assert ran.stderr.count("it failed, and is tried again") == 2
    assert "behind a proxy, pip wants HTTPS_PROXY or PIP_INDEX_URL" in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("ERROR: No matching distribution found")


def test_the_first_try_ends_within_about_a_minute_even_where_an_index_says_nothing_at_all(
    made: dict[str, str],
) -> None:
    """Reckoned from what pip itself would wait, not waited for."""
    retries, silence = int(made["PIP_RETRIES"]), float(made["PIP_TIMEOUT"])
    told = subprocess.run(
        [sys.executable, "-c", _BACKOFFS, str(retries)], env=made, capture_output=True, text=True, check=True
    )
    assert (retries + 1) * silence + float(told.stdout) <= 75


def test_whoever_has_a_slow_index_gives_pip_more_time_by_their_own_environment() -> None:
    assert said_by_make(PIP_TIMEOUT="99")["PIP_TIMEOUT"] == "99"
