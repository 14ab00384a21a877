"""A secret is judged where it comes in, and is in nothing that is printed."""

from __future__ import annotations

import base64
import inspect
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport import cli, errors, redaction, secret
from homeport.cli import hub_token as command
from homeport.cli.last_line import say
from homeport.endpoint import Endpoint
from homeport.errors import HomeportError, NoCredentials, SpecError
from homeport.google import credentials as google_credentials
from homeport.redaction import redacted, remember
from homeport.secret import Secret, judged, resolve
from homeport.targets.cloudrun import hub_token
from homeport.terminal import Terminal
from homeport.weights import hub_token as found
from places import TAUGHT
from typist import Typist
from unsendable import KINDS, PLAIN, bad, says_nothing

PLANTED = 'sk-planted/4f"9c\\1e+77=a0'
"""With characters that JSON, URLs and Python's own texts write otherwise."""
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=60)
AROUND = st.text(st.sampled_from(" \t\r\n\f\v\u00a0\u2028\ufeff"), max_size=4)
UNSENDABLE = st.sampled_from("\r\n \t\0\x1b\x7f\x85é✓\u202e\u00a0")


@given(VISIBLE, AROUND, AROUND)
def test_white_space_around_a_secret_is_no_part_of_it(value: str, before: str, after: str) -> None:
    assert judged(before + value + after, called="it").compared() == value


@given(VISIBLE, UNSENDABLE, VISIBLE)
def test_a_secret_that_cannot_be_sent_is_refused_and_nothing_of_it_is_told(
    one: str, between: str, other: str
) -> None:
    """Every such error is the same: it tells neither parts nor lengths."""
    with pytest.raises(SpecError) as first:
        judged(one + between + other, called="local.api_key (env:MINE)")
    with pytest.raises(SpecError) as second:
        judged("a b", called="local.api_key (env:MINE)")
    assert str(first.value) == str(second.value)
    assert "local.api_key (env:MINE)" in str(first.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flags", [(), ("--json",), ("--debug",)], ids=str)
def test_a_key_that_cannot_be_sent_is_named_by_its_reference(
    typist: Typist, kind: str, flags: tuple[str, ...]
) -> None:
    typist.write(f'name = "home"\nmodel = "file:{TAUGHT}"\n[local]\nport = 0\napi_key = "env:MINE"\n')
    before, after = (
        [flag for flag in flags if flag == "--debug"],
        [flag for flag in flags if flag == "--json"],
    )
    refused = typist.run(*before, "up", "--yes", *after, code=10, MINE=bad(kind))
    assert "local.api_key (env:MINE) is no key or token" in refused.err
    says_nothing(refused.out + refused.err)


def test_a_key_file_that_is_no_text_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(PLAIN.encode() + b"\xff\xfe")
    with pytest.raises(SpecError, match=r"local.api_key \(file:key\) is no key or token") as refused:
        resolve("file:key", key="local.api_key", base=tmp_path)
    says_nothing("".join(traceback.format_exception(refused.value)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_the_hub_that_cannot_be_sent_is_refused_wherever_it_comes_from(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = bad(kind)
    if kind == "inner newline":  # One line is read of standard input, and the hub's own library joins lines.
        token = f"{PLAIN}\u2028more"
    monkeypatch.setattr("sys.stdin", io.StringIO(token))
    with pytest.raises(SpecError, match="standard input") as refused:
        command.from_stdin("cloudrun", wanted=True)
    says_nothing("".join(traceback.format_exception(refused.value)))

    terminal = Terminal()
    monkeypatch.setattr(Terminal, "interactive", True)
    monkeypatch.setattr(terminal, "ask_secret", lambda _: token)
    ask = command.asking(terminal)
    assert ask is not None
    with pytest.raises(SpecError, match="what was typed"):
        ask("a page")

    (tmp_path / "token").write_text(token.replace("\r", "\x01"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(SpecError, match=r"HF_TOKEN, or the one of `hf auth login`") as refused:
        found.find(None)
    says_nothing("".join(traceback.format_exception(refused.value)))


def test_a_token_of_the_environment_is_judged_before_it_is_offered_to_the_hub() -> None:
    import asyncio
    from unittest.mock import AsyncMock

    from homeport.errors import PermissionDenied

    class Door:
        """A project whose secrets nobody may read."""

        project = "mine"
        get = AsyncMock(side_effect=PermissionDenied("no"))

    async def offered(env: str) -> list[hub_token.HubToken]:
        return [one async for one in hub_token.offered(Door(), "mine", "a page", env=env)]  # type: ignore[arg-type]

    (one,) = asyncio.run(offered(f" {PLAIN}\r\n"))
    assert one.value.compared() == PLAIN
    with pytest.raises(SpecError, match="the variable HF_TOKEN") as refused:
        asyncio.run(offered(bad("inner newline")))
    says_nothing("".join(traceback.format_exception(refused.value)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_googles_that_cannot_be_sent_is_refused(kind: str) -> None:
    import asyncio

    async def token(env: dict[str, str]) -> Secret:
        return await (await google_credentials.find(env)).token()

    with pytest.raises(NoCredentials, match="CLOUDSDK_AUTH_ACCESS_TOKEN") as refused:
        asyncio.run(token({"CLOUDSDK_AUTH_ACCESS_TOKEN": bad(kind)}))
    says_nothing("".join(traceback.format_exception(refused.value)))
    given = {"CLOUDSDK_AUTH_ACCESS_TOKEN": f"{PLAIN}\r\n"}
    assert asyncio.run(token(given)).reveal() == PLAIN


def test_a_key_that_a_program_gives_an_endpoint_is_judged_too() -> None:
    endpoint = Endpoint(name="x", base_url="http://127.0.0.1:1/v1", model="m", api_key=Secret(f"{PLAIN}\r\n"))
    assert endpoint.env()["OPENAI_API_KEY"] == PLAIN
    with pytest.raises(SpecError) as refused:
        Endpoint(name="x", base_url="http://127.0.0.1:1/v1", model="m", api_key=Secret(f"{PLAIN}\nx"))
    says_nothing(str(refused.value))


@pytest.mark.parametrize("line", ["[local]\napi_key = {}", "[cloudrun]\nhub_token = {}"])
@pytest.mark.parametrize("value", [f'"{PLAIN}"', f'["{PLAIN}"]', f'{{a = "{PLAIN}"}}'])
def test_a_secret_that_stands_in_the_file_itself_is_not_repeated(
    typist: Typist, line: str, value: str
) -> None:
    typist.write(f'model = "smollm2-135m"\n{line.format(value)}\n')
    for arguments in (("plan",), ("--debug", "plan"), ("plan", "--json")):
        refused = typist.run(*arguments, code=10)
        assert "does not belong in this file" in refused.err
        says_nothing(refused.out + refused.err)


def every_class() -> Iterator[type[HomeportError]]:
    waiting = [HomeportError]
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting += kind.__subclasses__()


def an_error(kind: type[HomeportError], text: str) -> HomeportError:
    """One of each class, with `text` wherever it takes any."""
    takes = inspect.signature(kind).parameters
    named = {
        name: text for name, of in takes.items() if of.kind is of.KEYWORD_ONLY and of.annotation == "str"
    }
    numbers = {name: 1 for name, of in takes.items() if of.kind is of.KEYWORD_ONLY and of.annotation == "int"}
    return kind(text, **named, **numbers)  # type: ignore[arg-type]


FORMS = {
    "as it is": PLANTED,
    "in JSON": json.dumps({"a": PLANTED}),
    "in a repr": repr(PLANTED.encode()),
    "in a query": quote(PLANTED, safe=""),
    "in a path": quote(PLANTED),
    "in a form": quote_plus(PLANTED),
    "for basic authentication": base64.b64encode(f"user:{PLANTED}".encode()).decode(),
    "within base64": base64.urlsafe_b64encode(f"ab{PLANTED}, and so on".encode()).decode(),
}


def shows(text: str) -> bool:
    """Whether a part of the secret is in `text`, in any of its forms."""
    parts = [PLANTED[:9], PLANTED[-8:], "planted", base64.b64encode(b'planted/4f"')[:12].decode(),
             *(form.split("user")[-1][6:22] for name, form in FORMS.items() if "base" in name)]  # fmt: skip
    return any(part in text for part in parts)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("flags", [(), ("--json",), ("--debug",), ("--debug", "--json")], ids=str)
def test_no_error_of_any_class_shows_a_secret_that_was_revealed(
    form: str, flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = list(every_class())
    assert len(kinds) > 30
    for revealed_first in (True, False):
        for kind in kinds:
            monkeypatch.setattr(redaction, "_revealed", {})
            monkeypatch.setattr(redaction, "_pattern", None)
            if revealed_first:
                Secret(PLANTED).reveal()

            def fails(_: click.Context, kind: type[HomeportError] = kind) -> None:
                error = an_error(kind, f"the server said: {FORMS[form]} (500)")
                Secret(PLANTED).reveal()
                raise error from ValueError(f"cause: {FORMS[form]}")

            monkeypatch.setattr(cli.cli, "invoke", fails)
            assert (
                cli.run(["--debug"] * ("--debug" in flags) + ["status"] + ["--json"] * ("--json" in flags))
                == kind.exit_code
            )
            out, err = capsys.readouterr()
            assert "***" in err
            assert not shows(out + err)
            if revealed_first:
                error = an_error(kind, FORMS[form])
                assert not shows(f"{error} {error.hint} {error.as_json()} {vars(error)}"), (
                    "for callers from Python"
                )


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=str)
@pytest.mark.parametrize(
    "error", [ValueError, OSError, KeyError, click.UsageError, click.ClickException, click.BadParameter]
)
def test_no_mistake_and_no_wrong_usage_shows_a_secret(
    error: type[Exception],
    debug: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Secret(PLANTED).reveal()
    for text in FORMS.values():

        def fails(_: click.Context, text: str = text) -> None:
            raise error(text)

        monkeypatch.setattr(cli.cli, "invoke", fails)
        assert cli.run([*debug, "status"]) in {1, 64}
        out, err = capsys.readouterr()
        assert not shows(out + err)
        assert "***" in err


@given(VISIBLE, st.text(max_size=20), st.text(max_size=20), st.booleans())
def test_a_secret_is_found_in_every_form_whatever_stands_around_it(
    value: str, before: str, after: str, lower: bool
) -> None:
    remember(value)
    quoted = quote(value, safe="")
    for form in (value, json.dumps(value)[1:-1], repr(value)[1:-1], quoted.lower() if lower and "%" in quoted and
                 not any(letter.isupper() for letter in value) else quoted):  # fmt: skip
        assert form not in redacted(before + form + after).replace("***", "")
    encoded = base64.b64encode((before + value + after).encode()).decode()
    whole = len(before.encode()) // 3 * 4 + 4
    core = encoded[whole : whole + len(value) // 3 * 4 - 8]
    if len(core) >= 12:
        assert core not in redacted(encoded)


def test_a_secret_whose_end_was_cut_off_is_known_by_its_beginning() -> None:
    token = "ya29." + "a0AfH6SMBx" * 8
    remember(token)
    assert redacted(f'{{"token": "{token[:40]}…') == '{"token": "***…'


def test_a_private_key_of_many_lines_is_known_by_each_of_them() -> None:
    lines = [base64.b64encode(os.urandom(48)).decode() for _ in range(26)]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])
    remember(key)
    for text in (key, json.dumps({"private_key": key}), repr(key), lines[7], quote(lines[8], safe="")):
        shown = redacted(text)
        assert not any(line[:16] in shown or line[-16:] in shown for line in lines)
    assert redacted("a PRIVATE KEY") == "a PRIVATE KEY"


def test_what_a_json_web_token_says_is_as_secret_as_all_of_it() -> None:
    said = (
        base64.urlsafe_b64encode(json.dumps({"email": "you@example.com", "aud": "x"}).encode())
        .decode()
        .rstrip("=")
    )
    token = f"eyJhbGciOiJSUzI1NiJ9.{said}.{'s' * 86}"
    remember(token)
    assert redacted(f"payload {said}, signature {'s' * 86}") == "payload ***, signature ***"
    assert redacted("eyJhbGciOiJSUzI1NiJ9") == "eyJhbGciOiJSUzI1NiJ9", "the head of many"


def test_a_short_secret_is_replaced_where_it_is_a_word_and_not_within_others() -> None:
    remember("test")
    assert (
        redacted("contest, testing, latest: test 'test' x=test")
        == "contest, testing, latest: *** '***' x=***"
    )


def test_what_is_made_up_and_what_is_only_compared_is_no_secret() -> None:
    Secret("wrong", made_up=True).reveal()
    assert Secret("ready").compared() == "ready"
    assert redacted("wrong, but ready") == "wrong, but ready"


def test_json_stays_json_whatever_the_secret_is(capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("8080", "true", '"', "port", "{"):
        remember(value)
    Terminal(json_output=True).result("", {"port": 8080, "on": True, "said": ["port", 'a " b', "8080"]})
    assert json.loads(capsys.readouterr().out) == {"***": 8080, "on": True, "said": ["***", "a *** b", "***"]}


@given(st.data())
def test_a_secret_that_comes_in_pieces_is_found_across_their_borders(data: st.DataObject) -> None:
    text = data.draw(
        st.lists(
            st.sampled_from([PLANTED, PLAIN, "sk-", "sk-planted", "test", " ", "x", "é", "testing"]),
            max_size=8,
        )
    )
    whole = "".join(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    for value in (PLANTED, PLAIN):
        remember(value)
    stream, terminal = io.StringIO(), Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            terminal.write(whole[start:end])
        terminal.flush()
    assert PLANTED not in stream.getvalue()
    assert PLAIN not in stream.getvalue()
    if PLANTED not in whole and PLAIN not in whole:
        assert stream.getvalue() == whole


def test_an_answer_is_not_kept_waiting_for_more_than_the_beginning_of_a_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    remember(PLAIN)
    terminal = Terminal()
    terminal.write("Rome")
    assert capsys.readouterr().out == "Rome"
    terminal.write(" is s")
    assert capsys.readouterr().out == " is "
    terminal.write("o")
    assert capsys.readouterr().out == "so"


@pytest.mark.parametrize("name", ["say", "note", "started", "finished"])
def test_nothing_that_is_said_shows_a_secret(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Secret(PLANTED).reveal()
    terminal = Terminal()
    for text in FORMS.values():
        arguments = ("key", text) if name in {"started", "finished"} else (text,)
        getattr(terminal, name)(*arguments)
        terminal.result(text)
        terminal.table(("what",), [(text,)], data=None)
        say(text)
    out, err = capsys.readouterr()
    assert not shows(out + err)


def test_the_registry_forgets_the_oldest_of_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_MOST", 3)
    for number in range(5):
        remember(f"secret-number-{number}")
    assert redacted("secret-number-0 secret-number-4") == "secret-number-0 ***"


def test_every_error_of_the_tree_is_tried_here() -> None:
    named = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HomeportError)
    }
    assert named <= set(every_class())
    assert secret.Secret is Secret


def test_without_a_hubs_token_the_hint_is_where_to_get_one_and_no_random_number() -> None:
    with pytest.raises(SpecError) as refused:
        resolve("env:HF_TOKEN", key="cloudrun.hub_token", env={}, example=hub_token.EXAMPLE)
    assert refused.value.hint.startswith("export HF_TOKEN=hf_…")
    assert "huggingface.co/settings/tokens" in refused.value.hint


@pytest.mark.parametrize("known_already", [True, False])
def test_what_is_printed_while_a_secret_is_being_remembered_does_not_keep_it_from_being_hidden(
    known_already: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[str] = []

    class Interrupted(dict[str, tuple[str, ...]]):
        """The known secrets, with something that prints just before or after one is added."""

        def __setitem__(self, key: str, value: tuple[str, ...]) -> None:
            if known_already:
                super().__setitem__(key, value)
            printed.append(redacted(f"token {key}"))
            super().__setitem__(key, value)

    monkeypatch.setattr(redaction, "_revealed", {})
    monkeypatch.setattr(redaction, "_pattern", None)
    remember("the-first-secret-of-many-letters")
    assert redacted("the-first-secret-of-many-letters") == "***"
    monkeypatch.setattr(redaction, "_revealed", Interrupted(redaction._revealed))
    remember(PLANTED)
    assert not shows(redacted(f"token {PLANTED}"))
    assert shows(printed[0]) is not known_already, "what nobody remembers yet cannot be hidden"


def test_a_secret_that_is_revealed_while_the_patterns_are_compiled_is_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redaction, "_revealed", {})
    monkeypatch.setattr(redaction, "_pattern", None)
    remember("the-first-secret-of-many-letters")
    compiles = re.compile
    with monkeypatch.context() as meanwhile:

        def interrupted(pattern: str) -> re.Pattern[str]:
            made = compiles(pattern)
            meanwhile.undo()
            remember(PLANTED)
            return made

        meanwhile.setattr(re, "compile", interrupted)
        assert redacted("the-first-secret-of-many-letters") == "***"
    assert not shows(redacted(f"token {PLANTED}"))
