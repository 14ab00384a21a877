"""The key of an endpoint: there by default, kept for its user alone, and never printed as right when it is wrong."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

import homeport
from homeport.errors import SpecError, WrongKey
from homeport.verify.checks.access import paths
from kept_files import contents
from places import TAUGHT
from schemas import ensure_valid
from user import User

pytestmark = pytest.mark.long

SECRET = "a-secret-of-the-users-own"


def spec(local: str = "", *, context: int = 256) -> str:
    return (
        f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = {context}\n[local]\nport = 0\n{local}\n'
    )


@pytest.fixture
def keyed(user: User) -> User:
    """A user whose tiny model runs with the key that homeport made."""
    user.write(spec())
    user.run("up", "--yes", "--no-verify")
    return user


@pytest.fixture
def owning(user: User) -> User:
    """A user whose tiny model runs with the key that was in MYKEY."""
    user.write(spec('api_key = "env:MYKEY"'))
    user.run("up", "--yes", "--no-verify", MYKEY=SECRET)
    return user


def env(user: User, MYKEY: str = "") -> dict[str, str]:  # noqa: N803 - as the variable is called
    told: dict[str, str] = user.run("env", "--json", MYKEY=MYKEY).json
    ensure_valid("env", told)
    return told


def record(user: User) -> Path:
    return user.home / "endpoints" / "home" / "record.json"


def key_file(user: User) -> Path:
    return user.home / "endpoints" / "home" / "api_key"


def pid(user: User) -> int:
    return int(json.loads(record(user).read_text())["pid"])


def status_of(variables: dict[str, str], key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx2.Client(trust_env=False, verify=False) as client:
        return client.get(f"{variables['OPENAI_BASE_URL']}/models", headers=headers).status_code


def as_version_1(user: User, **changes: Any) -> None:
    """Make the record what an earlier version of homeport wrote: it knew no hash of the key."""
    told = json.loads(record(user).read_text())
    kept = {name: value for name, value in told.items() if name not in {"key", "start_ticks", "supervisor"}}
    record(user).write_text(json.dumps({**kept, "version": 1, **changes}))


def test_a_key_is_wanted_by_default_and_everything_of_homeports_uses_it(keyed: User) -> None:
    variables = env(keyed)
    key = variables["OPENAI_API_KEY"]
    assert len(key) >= 43
    assert (status_of(variables, key), status_of(variables, ""), status_of(variables, "unused")) == (
        200,
        401,
        401,
    )
    assert keyed.run("chat", "Hello", "--max-tokens", "4").out
    assert homeport.connect("home").ask("Hello", max_tokens=4)
    (checked,) = keyed.run("verify", "--only", "key", "--json").json["results"]
    assert checked["outcome"] == "passed"


def test_the_key_that_homeport_made_is_in_one_private_file_and_nowhere_else(keyed: User) -> None:
    key = env(keyed)["OPENAI_API_KEY"]
    assert stat.S_IMODE(key_file(keyed).stat().st_mode) == 0o600
    assert key_file(keyed).read_text().strip() == key
    engine = psutil.Process(pid(keyed))
    dumped = [" ".join(engine.cmdline()), json.dumps(engine.environ())]
    dumped += [
        keyed.run(*command).out
        for command in (("plan", "--json"), ("status", "--json"), ("key", "show"), ("key",))
    ]
    assert not any(key in text for text in dumped)
    assert [path for path, content in contents(keyed.home) if key.encode() in content] == [key_file(keyed)]


def test_the_key_lasts_as_long_as_the_endpoint(keyed: User) -> None:
    key = env(keyed)["OPENAI_API_KEY"]
    before = pid(keyed)
    keyed.run("up", "--yes", "--no-verify")
    assert (pid(keyed), env(keyed)["OPENAI_API_KEY"]) == (before, key)
    keyed.write(spec(context=512))
    keyed.run("up", "--yes", "--no-verify")
    assert pid(keyed) != before
    assert env(keyed)["OPENAI_API_KEY"] == key
    assert "removed key of home" in keyed.run("down", "home", "--yes").out
    assert not key_file(keyed).exists()
    keyed.run("up", "--yes", "--no-verify")
    assert env(keyed)["OPENAI_API_KEY"] != key


def test_two_endpoints_have_two_keys(keyed: User) -> None:
    keyed.write(spec().replace('name = "home"', 'name = "other"'))
    keyed.run("up", "--yes", "--no-verify")
    one, other = (keyed.run("env", name, "--json").json for name in ("home", "other"))
    assert one["OPENAI_API_KEY"] != other["OPENAI_API_KEY"]
    assert status_of(one, other["OPENAI_API_KEY"]) == 401


def test_a_plan_makes_no_key_and_says_that_one_will_be_wanted(user: User) -> None:
    user.write(spec())
    assert "wanted; homeport makes it" in user.run("plan").out
    assert not key_file(user).exists()


def test_none_switches_the_key_off_and_the_plan_says_what_that_means(user: User) -> None:
    user.write(spec('api_key = "none"'))
    up = user.run("up", "--yes", "--no-verify")
    said = " ".join(up.err.split())
    assert "every web page that is open in a browser on it, can use the model" in said
    variables = env(user)
    assert variables["OPENAI_API_KEY"] == "unused"
    assert status_of(variables, "") == 200
    assert not key_file(user).exists()
    assert "no key is wanted" in " ".join(user.run("plan").out.split())
    assert "there is none to replace" in user.run("key", "rotate", "--yes", code=10).err


@pytest.mark.parametrize("key", ['api_key = "none"', ""])
def test_an_address_that_others_reach_is_not_served_without_a_key_of_ones_own(user: User, key: str) -> None:
    user.write(spec(f'host = "0.0.0.0"\n{key}'))
    assert "can be reached from other machines" in user.run("up", "--yes", code=10).err


def test_an_endpoint_of_an_earlier_version_without_a_key_gets_one_and_the_plan_says_so(user: User) -> None:
    user.write(spec('api_key = "none"'))
    user.run("up", "--yes", "--no-verify")
    told = json.loads(record(user).read_text())
    as_version_1(user, spec={**told["spec"], "local": {**told["spec"]["local"], "api_key": None}})
    user.write(spec())
    assert env(user)["OPENAI_API_KEY"] == "unused", "as it runs now"
    said = " ".join(user.run("plan", "--detailed-exitcode", code=2).out.split())
    assert "--api-key-on-stdin: none → on" in said
    assert "runs without a key now; once this is done, its clients must send one" in said
    user.run("up", "--yes", "--no-verify")
    assert status_of(env(user), "") == 401
    user.run("plan", "--detailed-exitcode", code=0)


def test_a_new_key_is_made_on_demand_and_the_old_one_is_refused(keyed: User) -> None:
    old, before = env(keyed), pid(keyed)
    assert "nobody can be asked" in keyed.run("key", "rotate", code=23).err
    assert (env(keyed), pid(keyed)) == (old, before)
    ensure_valid("key-rotate", keyed.run("key", "rotate", "--yes", "--no-verify", "--json").json)
    rotated = keyed.run("key", "rotate", "--yes", "--no-verify")
    assert "api key: *** → *** (a new one)" in rotated.err
    new = env(keyed)
    assert (new["OPENAI_BASE_URL"], pid(keyed) == before) == (old["OPENAI_BASE_URL"], False)
    assert (status_of(new, new["OPENAI_API_KEY"]), status_of(new, old["OPENAI_API_KEY"])) == (200, 401)
    assert new["OPENAI_API_KEY"] not in rotated.out + rotated.err
    keyed.run("plan", "--detailed-exitcode", code=0)


def test_where_the_key_is_can_be_asked_for(keyed: User) -> None:
    told = keyed.run("key", "--json").json
    ensure_valid("key", told)
    ensure_valid("key-show", keyed.run("key", "show", "--json").json)
    assert (told["reference"], told["path"], told["is_the_engines"]) == (
        "generated",
        str(key_file(keyed)),
        True,
    )
    assert "was started with it" in keyed.run("key", "show", "home").out


def test_a_key_of_homeports_that_is_gone_or_changed_is_never_printed_and_up_mends_it(keyed: User) -> None:
    before = pid(keyed)
    for text in ("another-key", ""):
        key_file(keyed).write_text(text)
        said = keyed.run("env", code=22)
        assert (said.out, "`homeport up`" in said.err) == ("", True)
        keyed.run("chat", "Hello", code=22)
        assert keyed.run("status", "--json").json[0]["state"] == "ready", "it lives all the same"
    assert "*** (another)" in keyed.run("plan").out
    keyed.run("up", "--yes", "--no-verify")
    assert pid(keyed) != before
    variables = env(keyed)
    assert status_of(variables, variables["OPENAI_API_KEY"]) == 200


@pytest.mark.parametrize(
    "command", [("env",), ("chat", "Hello"), ("verify", "--only", "chat"), ("up", "--yes")]
)
def test_a_shell_without_the_users_key_is_told_that_the_engine_runs_with_it(
    owning: User, command: tuple[str, ...]
) -> None:
    before = pid(owning)
    said = owning.run(*command, code=10)
    assert "MYKEY, which is not set in this shell" in said.err
    assert "runs with the key that was there when it was started" in " ".join(said.err.split())
    assert "do: export MYKEY with that key" in said.err
    assert "openssl" not in said.err
    assert (said.out, pid(owning)) == ("", before)


@pytest.mark.parametrize("command", [("env",), ("chat", "Hello"), ("verify", "--only", "chat")])
def test_a_shell_with_another_key_is_told_so_and_it_is_not_printed(
    owning: User, command: tuple[str, ...]
) -> None:
    said = owning.run(*command, code=22, MYKEY="another-key-altogether")
    assert "was started with another key than the variable MYKEY of this shell holds" in " ".join(
        said.err.split()
    )
    assert said.out == ""
    assert "another-key-altogether" not in said.err
    assert "openssl" not in said.err


def test_a_record_of_an_earlier_version_has_the_engine_asked_for_the_key(owning: User) -> None:
    as_version_1(owning)
    assert env(owning, MYKEY=SECRET)["OPENAI_API_KEY"] == SECRET
    said = owning.run("env", code=22, MYKEY="another-key-altogether")
    assert "started with another key" in said.err
    assert said.out == ""


def test_the_users_key_is_changed_by_up_which_says_so_first(owning: User) -> None:
    said = owning.run("up", "--yes", "--no-verify", MYKEY="another-key-altogether").err
    assert "api key: *** → *** (another)" in said
    assert "its clients must send this one once this is done" in " ".join(said.split())
    variables = env(owning, MYKEY="another-key-altogether")
    assert status_of(variables, SECRET) == 401


def test_an_engine_that_died_with_the_users_key_is_not_started_without_it(owning: User) -> None:
    (seen,) = owning.run("status", "--json").json
    # Its supervisor first: it holds the key in memory, and would start the engine again.
    ended = [psutil.Process(seen[key]) for key in ("supervisor_pid", "pid")]
    for process in ended:
        process.kill()
    psutil.wait_procs(ended, timeout=60)
    said = " ".join(owning.run("up", "--yes", code=10).err.split())
    assert "was started with the key that was there, and has ended since" in said
    assert "do: export MYKEY with that key, then `homeport up`" in said
    owning.run("up", "--yes", "--no-verify", MYKEY=SECRET)
    assert env(owning, MYKEY=SECRET)["OPENAI_API_KEY"] == SECRET


def test_a_first_up_without_the_users_key_may_propose_to_make_one(user: User) -> None:
    user.write(spec('api_key = "env:MYKEY"'))
    assert "openssl rand" in user.run("up", "--yes", code=10).err


def test_a_key_of_the_users_is_not_homeports_to_replace(owning: User) -> None:
    said = owning.run("key", "rotate", "--yes", code=10, MYKEY=SECRET).err
    assert "do: export MYKEY with another key, then `homeport up`" in " ".join(said.split())
    told = owning.run("key", "--json", MYKEY=SECRET).json
    assert (told["reference"], told["path"], told["is_the_engines"]) == ("env:MYKEY", None, True)
    assert owning.run("key", "--json").json["is_the_engines"] is False


def test_the_record_knows_the_key_by_a_salted_hash_alone(owning: User) -> None:
    first = json.loads(record(owning).read_text())["key"]
    assert set(first) == {"reference", "salt", "scrypt"}
    assert first["reference"] == "env:MYKEY"
    owning.run("down", "home", "--yes")
    owning.run("up", "--yes", "--no-verify", MYKEY=SECRET)
    second = json.loads(record(owning).read_text())["key"]
    assert first["scrypt"] != second["scrypt"], "the same key, another salt"


def test_a_key_file_that_others_can_read_is_told_with_what_to_do(user: User) -> None:
    file = user.folder / "key"
    file.write_text(SECRET)
    user.write(spec('api_key = "file:key"'))
    file.chmod(0o640)
    assert f"chmod 600 {file}" in " ".join(user.run("plan").out.split())
    file.chmod(0o600)
    assert "chmod" not in user.run("plan").out


def test_a_short_key_is_told_where_other_machines_can_try_it(user: User) -> None:
    user.write(spec('host = "0.0.0.0"\napi_key = "env:MYKEY"'))
    assert "fewer than 16 characters" in " ".join(user.run("plan", MYKEY="short").out.split())
    assert "characters" not in user.run("plan", MYKEY="long-enough-not-to-be-guessed").out
    user.write(spec('api_key = "env:MYKEY"'))
    assert "characters" not in user.run("plan", MYKEY="short").out


def test_ollama_is_served_without_a_key_on_loopback_and_the_plan_says_so(user: User) -> None:
    program = user.folder / "ollama"
    program.write_text("#!/bin/sh\necho ollama version is 0.33.4\n")
    program.chmod(0o755)
    path = f"{user.folder}:{os.environ['PATH']}"
    ollama = 'model = "gemma-4-e2b"\n[engine]\nkind = "ollama"\ncontext = 256\n[local]\nport = 0\n'
    user.write(ollama)
    assert "ollama cannot ask for a key: every program and user" in " ".join(
        user.run("plan", PATH=path).out.split()
    )
    user.write(ollama + 'api_key = "env:MYKEY"\n')
    assert "would protect nothing" in user.run("plan", code=10, PATH=path, MYKEY=SECRET).err
    user.write(ollama + 'host = "0.0.0.0"\n')
    assert "can be reached from other machines" in user.run("plan", code=10, PATH=path).err


def test_a_web_page_gets_nothing_from_llama_cpp_and_changes_nothing(keyed: User) -> None:
    """Every path, as a page would ask that a person visits: another Host, another Origin, no preflight."""
    variables = env(keyed)
    address = variables["OPENAI_BASE_URL"].removesuffix("/v1")
    simple = {"Origin": "https://evil.example", "Host": "evil.example", "Content-Type": "text/plain"}
    told: list[str] = []
    with httpx2.Client(base_url=address, trust_env=False, timeout=120) as client:
        for method, path in paths().requests:
            body = json.dumps(
                {"prompt": "hi", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
            )
            response = client.request(
                method, path, headers=simple, content=body if method == "POST" else None
            )
            let_in = response.status_code not in {401, 403, 404, 405, 415}
            allowed = response.headers.get(
                "access-control-allow-origin", ""
            )  # llama.cpp sends it empty: nobody.
            if (let_in and path not in paths().may_be_open) or allowed:
                told.append(f"{method} {path}: {response.status_code} {allowed!r}")
    assert told == []


def test_the_python_api_says_the_same_of_the_users_key(owning: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MYKEY", raising=False)
    with pytest.raises(SpecError, match="not set in this shell"):
        homeport.connect("home")
    monkeypatch.setenv("MYKEY", "another-key-altogether")
    with pytest.raises(WrongKey, match="started with another key"):
        homeport.connect("home")
    monkeypatch.setenv("MYKEY", SECRET)
    assert homeport.connect("home").ask("Hello", max_tokens=4)


def test_a_refusal_of_the_key_does_not_promise_what_env_cannot_keep(keyed: User) -> None:
    from dataclasses import replace

    from homeport.errors import EndpointError

    with pytest.raises(EndpointError, match="401") as refused:
        replace(homeport.connect("home"), api_key=None).ask("Hello")
    assert "prints the right one, or says why it cannot" in refused.value.hint
