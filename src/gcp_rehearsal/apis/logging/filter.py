"""Filters of Cloud Logging: comparisons, AND, OR, NOT and brackets. Everything else of its query language is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gcp_rehearsal.clock import moment
from gcp_rehearsal.errors import ApiError, invalid, unimplemented
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.schema import camel

SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
"""From the least to the most."""
Entry = Mapping[str, Json]
Test = Callable[[Entry], bool]

_LONGEST = 20_000
_SKIPPED = re.compile(r"(?:\s+|--[^\n]*)*")
_TOKEN = re.compile(
    r"""(?P<op>=~|!~|!=|<=|>=|=|:|<|>)
    |(?P<mark>[(),])
    |(?P<minus>-)(?=[("\w])
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<word>[^\s()"'=:<>!~,]+(?:"(?:[^"\\]|\\.)*"|[^\s()"'=:<>!~,]+)*)""",
    re.VERBOSE,
)
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"|([^."]+)')
_MOMENTS = ("receiveTimestamp", "receive_timestamp", "timestamp")
_FUNCTIONS = ("SEARCH", "cast", "ip_in_net", "regexp_extract", "sample", "source")
_SEVERITY_NUMBERS = {str(100 * number): name for number, name in enumerate(SEVERITIES)}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """`op`, `mark`, `minus`, `text` (quoted) or `word`."""
    text: str
    at: int


def parse(text: str) -> Test:
    """
    Return what tells whether an entry passes a filter; '' lets all pass.

    Raises `ApiError`: 400 for what cannot be read, 501 for what Cloud Logging knows and the rehearsal does not.
    """
    if len(text) > _LONGEST:
        raise invalid(f"The filter is longer than {_LONGEST} characters.")
    return _FilterReader(text).whole()


class _FilterReader:
    """Reads a filter from left to right. OR binds closer than AND, which may be left out."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0

    def whole(self) -> Test:
        """Return the test of the whole filter."""
        if not self._tokens:
            return lambda _: True
        test = self._all()
        if self._at < len(self._tokens):
            raise self._wrong()
        return test

    def _all(self) -> Test:
        tests = [self._any()]
        while (token := self._next()) is not None and token.text != ")":
            if token.kind == "word" and token.text == "AND":
                self._at += 1
            tests.append(self._any())
        return lambda entry: all(test(entry) for test in tests)

    def _any(self) -> Test:
        tests = [self._not()]
        while (token := self._next()) is not None and token.kind == "word" and token.text == "OR":
            self._at += 1
            tests.append(self._not())
        return lambda entry: any(test(entry) for test in tests)

    def _not(self) -> Test:
        token = self._next()
        if token is not None and (token.kind == "minus" or (token.kind == "word" and token.text == "NOT")):
            self._at += 1
            test = self._not()
            return lambda entry: not test(entry)
        return self._one()

    def _one(self) -> Test:
        token = self._take()
        if token.kind == "mark" and token.text == "(":
            test = self._all()
            self._close()
            return test
        if token.kind not in {"word", "text"} or token.text in {"AND", "OR", "NOT"}:
            raise self._wrong(token)
        after = self._next()
        if after is not None and after.text == "(" and after.at == token.at + len(token.text):
            return self._function(token)
        if after is None or after.kind != "op":
            return _anywhere(_plain(token))
        self._at += 1
        path = [quoted or other for quoted, other in _PATH.findall(token.text)]
        return self._compared(path, after.text)

    def _compared(self, path: list[str], op: str) -> Test:
        token = self._take()
        if token.kind == "minus":
            token = _Token("word", f"-{self._take().text}", token.at)
        if token.kind == "mark" and token.text == "(":
            test = self._values(path, op)
            self._close()
            return test
        if token.kind not in {"word", "text"}:
            raise self._wrong(token)
        return _comparison(path, op, _plain(token))

    def _values(self, path: list[str], op: str) -> Test:
        """Read several values in brackets: `severity=(ERROR OR CRITICAL)`."""
        tests, words = [self._compared(path, op)], set()
        while (token := self._next()) is not None and token.text != ")":
            word = token.text if token.kind == "word" and token.text in {"AND", "OR"} else "AND"
            self._at += 1 if word == token.text else 0
            words.add(word)
            tests.append(self._compared(path, op))
        if len(words) > 1:
            raise unimplemented("AND and OR between the values of one comparison")
        return lambda entry: (any if words == {"OR"} else all)(test(entry) for test in tests)

    def _function(self, name: _Token) -> Test:
        if name.text != "log_id":
            raise (
                unimplemented(f"{name.text}() in a filter") if name.text in _FUNCTIONS else self._wrong(name)
            )
        self._at += 1
        log_id = _plain(self._take())
        self._close()
        return lambda entry: str(entry["logName"]).partition("/logs/")[2].replace("%2F", "/") == log_id

    def _next(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self) -> _Token:
        token = self._next()
        if token is None:
            raise self._wrong()
        self._at += 1
        return token

    def _close(self) -> None:
        if self._take().text != ")":
            self._at -= 1
            raise self._wrong()

    def _wrong(self, token: _Token | None = None) -> ApiError:
        return _unparseable(self._text, token or self._next())


def _tokens(text: str) -> Iterator[_Token]:
    at = _skipped(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unparseable(text, _Token("", text[at], at))
        yield _Token(match.lastgroup or "", match[0], at)
        at = _skipped(text, match.end())


def _skipped(text: str, at: int) -> int:
    """Return where the next token begins, after space and comments."""
    match = _SKIPPED.match(text, at)
    return match.end() if match else at


def _unparseable(text: str, token: _Token | None) -> ApiError:
    if token is None:
        return invalid("Unparseable filter: syntax error: the filter ends too early")
    line = text.count("\n", 0, token.at) + 1
    column = token.at - (text.rfind("\n", 0, token.at) + 1) + 1
    return invalid(f"Unparseable filter: syntax error at line {line}, column {column}, token '{token.text}'")


def _plain(token: _Token) -> str:
    if token.kind != "text" and token.text[:1] not in {'"', "'"}:
        return token.text
    return re.sub(r"\\(.)", r"\1", token.text[1:-1])


def _comparison(path: list[str], op: str, operand: str) -> Test:
    if op in {"!=", "!~"}:
        test = _comparison(path, {"!=": "=", "!~": "=~"}[op], operand)
        return lambda entry: not test(entry)
    if op == "=~":
        try:
            pattern = re.compile(operand)
        except re.error as error:
            raise invalid(f"Unparseable filter: regular expressions must be valid: {error}") from error
        return lambda entry: any(pattern.search(str(have)) for have in _values_at(entry, path))
    if path == ["severity"]:
        operand = _severity(operand)
    if path[0] in _MOMENTS:
        try:
            moment(operand)
        except ValueError as error:
            raise invalid(f"Unparseable filter: timestamps must be in RFC 3339 format: {operand}") from error
    if op == ":" and operand == "*":
        return lambda entry: bool(list(_values_at(entry, path)))
    return lambda entry: any(_holds(path, have, op, operand) for have in _values_at(entry, path))


def _severity(text: str) -> str:
    name = _SEVERITY_NUMBERS.get(text, text.upper())
    if name not in SEVERITIES:
        raise invalid(f"Unparseable filter: unknown severity {text}")
    return name


def _holds(path: list[str], have: Json, op: str, operand: str) -> bool:
    if op == ":" and isinstance(have, Mapping):
        return operand in have
    if isinstance(have, bool):
        return op in "=:" and str(have).lower() == operand.lower()
    left, right = _ordered(path, have, operand)
    if op == ":" and isinstance(left, str):
        return str(right) in left
    return bool(
        {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}.get(
            op, left == right
        )
    )


def _ordered(
    path: list[str], have: Any, operand: str
) -> tuple[Any, Any]:  # Any: two of a kind that has an order
    if path == ["severity"]:
        return SEVERITIES.index(have), SEVERITIES.index(operand)
    if path[0] in _MOMENTS:
        return moment(str(have)), moment(operand)
    if isinstance(have, int | float):
        with suppress(ValueError):
            return float(have), float(operand)
    return str(have).lower(), operand.lower()


def _values_at(entry: Json, path: list[str]) -> Iterator[Json]:
    """Return the values at a path; the elements, where there is a list."""
    if isinstance(entry, list):
        for item in entry:
            yield from _values_at(item, path)
    elif not path:
        yield entry
    elif isinstance(entry, Mapping):
        # A label's name may have dots, and is then quoted; a severity that was not given is the least.
        value = entry.get(path[0], entry.get(camel(path[0]), "DEFAULT" if path == ["severity"] else None))
        if value is not None:
            yield from _values_at(value, path[1:])


def _anywhere(text: str) -> Test:
    """Return a test that looks for words without a field in all that an entry says."""

    def inside(value: Json) -> bool:
        if isinstance(value, Mapping):
            return any(inside(item) for item in value.values())
        if isinstance(value, list):
            return any(inside(item) for item in value)
        return text.lower() in str(value).lower()

    return inside
