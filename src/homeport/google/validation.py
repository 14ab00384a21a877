"""Whether a request is one that Google's own documents allow, asked before it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Protocol

from homeport.errors import HomeportError
from homeport.json_types import Json

if TYPE_CHECKING:
    from gcp_rehearsal.schema import SchemaCheck


class Violation(Protocol):
    """One thing that is wrong with a request."""

    @property
    def field(self) -> str:
        """Return the field's path, such as `service.template.containers[0].image`."""

    @property
    def description(self) -> str:
        """Describe what is wrong."""


class Validator(Protocol):
    """Says what is wrong with a request."""

    def __call__(self, host: str, verb: str, path: str, body: Json) -> Sequence[Violation]:
        """Return everything that is wrong. `path` is as sent, with its query; `body` is None where there is none."""


class Malformed(ValueError):
    """A request that Google's documents do not allow: a mistake of homeport's, and nobody's who uses it."""

    def __init__(self, request: str, violations: Sequence[Violation]) -> None:
        wrong = "\n".join(f"  {item.field}: {item.description}" for item in violations)
        super().__init__(f"{request} is not a request that Google knows:\n{wrong}")
        self.violations = tuple(violations)


@cache
def by_documents() -> Validator:
    """Return a validator by Google's discovery documents. Raises `HomeportError` where they are not installed."""
    from gcp_rehearsal import discovery
    from gcp_rehearsal.errors import RehearsalError
    from gcp_rehearsal.schema import SchemaCheck

    try:
        discovery.load("run.v2")
    except RehearsalError as error:
        raise HomeportError(str(error), hint=error.hint) from error
    return _ByDocuments({}, SchemaCheck)


class _ByDocuments:
    def __init__(self, checks: dict[str, SchemaCheck], make: type[SchemaCheck]) -> None:
        self._checks = checks
        self._make = make
        self._without_body = lru_cache(maxsize=1024)(
            lambda host, verb, path: tuple(self._wrong(host, verb, path, None))
        )

    def __call__(self, host: str, verb: str, path: str, body: Json) -> Sequence[Violation]:
        if body is None:  # Most only read, and many read the same again.
            return self._without_body(host, verb, path)
        return self._wrong(host, verb, path, body)

    def _wrong(self, host: str, verb: str, path: str, body: Json) -> Sequence[Violation]:
        from urllib.parse import parse_qs

        from gcp_rehearsal import discovery
        from gcp_rehearsal.schema import SchemaViolation as Wrong

        plain, _, query = path.partition("?")
        method = discovery.find(host, verb, plain)
        if method is None:
            return (Wrong("", "there is no such method"),)
        name = method.document.name
        check = self._checks.get(name) or self._checks.setdefault(name, self._make(method.document))
        parameters: Mapping[str, Sequence[str]] = parse_qs(query, keep_blank_values=True)
        _, wrong = check.query(method.method, parameters)
        if not method.upload:
            wrong = [*wrong, *check.body(method.method, body)[1]]
        return wrong
