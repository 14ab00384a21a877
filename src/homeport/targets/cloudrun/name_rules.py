"""
The rules that Google has for the names of things, held against all names of an endpoint before anything is asked of it.

A name of homeport.toml is part of many names, and each kind of thing has a rule of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from homeport.errors import SpecError
from homeport.resources.google.repository import DOCKER_HUB
from homeport.targets.cloudrun.names import Names

_LOOKALIKES = str.maketrans("01", "ol")


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRule:
    """What the name of one kind of thing may be."""

    kind: str
    pattern: re.Pattern[str]
    words: str
    also: Callable[[str], str] = lambda _: ""
    """Says what else is wrong with a name that fits the pattern; '' for nothing."""

    def broken(self, name: str) -> str:
        """Return what is wrong with a name, in words; '' where nothing is."""
        return self.also(name) if self.pattern.fullmatch(name) else f"must be {self.words}"


def _trademark(name: str) -> str:
    """Say that a bucket is called as Google is: it refuses also what only looks like it, such as g00gle."""
    if name.startswith("goog"):
        return "must not begin with goog"
    return "must not contain google, or what looks like it" if "google" in name.translate(_LOOKALIKES) else ""


_LABEL = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
RULES = {
    rule.kind: rule
    for rule in (
        # https://docs.cloud.google.com/storage/docs/buckets#naming; dots would want a domain that is verified.
        NameRule(
            kind="bucket", pattern=re.compile(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]"), also=_trademark,
            words="3 to 63 lower-case letters, digits and dashes",
        ),
        NameRule(
            kind="service", pattern=re.compile(r"[a-z](?:[a-z0-9-]{0,47}[a-z0-9])?"),
            words="up to 49 lower-case letters, digits and dashes, a letter first and no dash at its end",
        ),
        NameRule(
            kind="service account", pattern=re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]"),
            words="6 to 30 lower-case letters, digits and dashes, a letter first and no dash at its end",
        ),
        NameRule(
            kind="secret", pattern=re.compile(r"[A-Za-z0-9_-]{1,255}"),
            words="up to 255 letters, digits, dashes and underscores",
        ),
        *(
            NameRule(
                kind=kind, pattern=re.compile(_LABEL),
                words="up to 63 lower-case letters, digits and dashes, a letter first and no dash at its end",
            )
            for kind in ("repository", "network", "subnetwork", "firewall rule", "private zone")
        ),
        NameRule(
            kind="label", pattern=re.compile(r"[a-z0-9_-]{0,63}"),
            words="up to 63 lower-case letters, digits, dashes and underscores",
        ),
    )
}  # fmt: skip
"""By kind, as resources say it; `label` is the value of our own."""


def every_name(names: Names, dns_names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield kind and name of everything that a deployment may make."""
    yield "label", names.name
    yield "service", names.name
    yield "repository", names.name
    yield "repository", names.registry(DOCKER_HUB)
    yield "network", names.name
    yield "subnetwork", names.name
    yield "bucket", names.bucket
    yield "secret", names.secret
    for account in (names.builder, names.carrier, names.runner):
        yield "service account", account
    for rule in names.firewall_rules:
        yield "firewall rule", rule
    for dns_name in dns_names:
        yield "private zone", names.zone(dns_name)


def ensure_possible(names: Names, dns_names: Iterable[str]) -> None:
    """Raise `SpecError` naming every name that Google would refuse, with its rule."""
    refused = [
        (kind, name, broken)
        for kind, name in every_name(names, dns_names)
        if (broken := RULES[kind].broken(name))
    ]
    if not refused:
        return
    lines = "".join(f"\n  the {kind} would be {name}, and {broken}" for kind, name, broken in refused)
    # A project whose own name breaks a rule is not mended by another name of the endpoint.
    other = Names(name="home", project=names.project, region=names.region)
    in_project = any(RULES[kind].broken(name) for kind, name in every_name(other, dns_names))
    hint = "set cloudrun.project to another project" if in_project else "give the endpoint another `name`"
    raise SpecError(
        f"{names.name} in {names.project} makes names that Google does not take:{lines}",
        hint=f"{hint} in homeport.toml: all names follow from these two",
    )
