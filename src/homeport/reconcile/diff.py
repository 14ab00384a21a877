"""How live differs from what is wanted: nested values, compared as the one who wrote the file means them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from homeport.json_types import Json
from homeport.reconcile.equality import is_empty, is_same, is_same_reference
from homeport.reconcile.references import is_known
from homeport.reconcile.resource import KNOWN_AFTER_APPLY, Change
from homeport.secret import Secret

_PLAIN = re.compile(r"[\w$-]+")
_QUANTITIES = frozenset({"limits", "requests", "sizeLimit"})
"""Fields that hold amounts of CPU, memory or disk, or maps of such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """
    What a kind of thing has of its own. A path holds for everything below it, too; `[]` stands for any element
    of a list: `template.containers[].ports`.
    """

    immutable: frozenset[str] = frozenset()
    """Paths that cannot be changed: the thing is replaced."""
    sensitive: frozenset[str] = frozenset()
    """Paths whose values nobody may see."""
    unread: frozenset[str] = frozenset()
    """Paths that are sent and not compared: what is read there is the server's finding, and not what was asked for."""
    whole: frozenset[str] = frozenset()
    """Paths of maps that must have the wanted keys and no others. In all other maps, others' keys are left alone."""
    unordered: frozenset[str] = frozenset()
    """Paths of lists of scalars whose order means nothing."""
    references: frozenset[str] = frozenset()
    """Paths of names of other things: read back they may be a whole path, or an address."""
    defaults: Mapping[str, Json] = field(default_factory=dict)
    """What is meant where live says nothing: the server may leave out what has its default."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """By which field the objects of a list are told apart, where it is not `name`."""


_NONE = Rules()


def differences(wanted: Json, live: Json, *, rules: Rules = _NONE) -> tuple[Change, ...]:
    """
    Return how `live` differs from `wanted`, as far as `wanted` goes: what it does not mention is the server's
    business.

    None in `wanted` must be absent. Lists are compared whole: an element that is not wanted is removed. A value
    that is known only after apply differs from every other: what it comes from is yet to be made.
    """
    return tuple(_compare(wanted, live, _Place(rules=rules)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in the body we are."""

    rules: Rules
    path: str = ""
    rule: str = ""
    """The path as rules write it."""
    quantity: bool = False

    def key(self, key: str) -> _Place:
        step = (f".{key}" if self.path else key) if _PLAIN.fullmatch(key) else f"[{key}]"
        return _Place(
            rules=self.rules,
            path=self.path + step,
            rule=f"{self.rule}.{key}" if self.rule else key,
            quantity=self.quantity or key in _QUANTITIES,
        )

    def element(self, name: object) -> _Place:
        return _Place(
            rules=self.rules, path=f"{self.path}[{name}]", rule=f"{self.rule}[]", quantity=self.quantity
        )

    def change(self, before: Json, after: Json) -> Change:
        return Change(
            path=self.path,
            before=self.masked(before, hide=_has_secret(after)),
            after=self.masked(after),
            replaces=self.is_immutable(before) or self.is_immutable(after),
        )

    def masked(self, value: Json, *, hide: bool = False) -> Json:
        if isinstance(value, Secret) or value is None or value == KNOWN_AFTER_APPLY:
            return value
        if hide or self.among(self.rules.sensitive):
            return Secret(
                value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=repr)
            )
        if isinstance(value, Mapping):
            return {key: self.key(key).masked(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.element("").masked(inner) for inner in value]
        return value

    def is_immutable(self, value: Json) -> bool:
        if self.among(self.rules.immutable):
            return True
        if isinstance(value, Mapping):
            return any(
                self.key(key).is_immutable(inner) for key, inner in value.items() if not is_empty(inner)
            )
        return isinstance(value, list | tuple) and any(
            self.element("").is_immutable(inner) for inner in value
        )

    def among(self, paths: frozenset[str]) -> bool:
        return any(self.rule == path or self.rule.startswith((f"{path}.", f"{path}[")) for path in paths)


def _compare(wanted: Json, live: Json, place: _Place) -> Iterator[Change]:
    if place.among(place.rules.unread) or (is_empty(wanted) and is_empty(live)):
        return
    if is_empty(live) and place.rule in place.rules.defaults:
        live = place.rules.defaults[place.rule]
    if place.among(place.rules.references) and is_same_reference(wanted, live):
        return
    if isinstance(wanted, Mapping) and (isinstance(live, Mapping) or live is None):
        yield from _compare_maps(wanted, live, place)
    elif isinstance(wanted, list | tuple) and isinstance(live, list | tuple):
        yield from _compare_lists(wanted, live, place)
    elif (
        _is_nested(wanted)
        or _is_nested(live)
        or not is_known(wanted)
        or not is_same(wanted, live, quantity=place.quantity)
    ):
        yield place.change(live, wanted)


def _compare_maps(
    wanted: Mapping[str, Json], live: Mapping[str, Json] | None, place: _Place
) -> Iterator[Change]:
    if live is None:
        yield place.change(None, {key: value for key, value in wanted.items() if not is_empty(value)})
        return
    for key, value in wanted.items():
        yield from _compare(value, live.get(key), place.key(key))
    if place.rule in place.rules.whole:
        for key, value in live.items():
            if key not in wanted and not is_empty(value):
                yield place.key(key).change(value, None)


def _compare_lists(wanted: Sequence[Json], live: Sequence[Json], place: _Place) -> Iterator[Change]:
    if not any(_is_nested(element) for element in (*wanted, *live)):
        if not _same_scalars(wanted, live, place):
            yield place.change(list(live), list(wanted))
        return
    by = place.rules.keys.get(place.rule, "name")
    if not all(is_known(element.get(by)) for element in wanted if isinstance(element, Mapping)):
        yield place.change(list(live), list(wanted))
        return
    wanted_items, live_items = _named(wanted, by), _named(live, by)
    if wanted_items is None or live_items is None:
        wanted_items, live_items = dict(enumerate(wanted)), dict(enumerate(live))
    for name, element in wanted_items.items():
        if name in live_items:
            yield from _compare(element, live_items[name], place.element(name))
        else:
            yield place.element(name).change(None, element)
    for name, element in live_items.items():
        if name not in wanted_items:
            yield place.element(name).change(element, None)


def _same_scalars(wanted: Sequence[Json], live: Sequence[Json], place: _Place) -> bool:
    if len(wanted) != len(live) or not is_known(wanted):
        return False
    if place.rule not in place.rules.unordered:
        return all(
            is_same(desired, actual, quantity=place.quantity)
            for desired, actual in zip(wanted, live, strict=True)
        )
    left = list(live)
    for desired in wanted:
        match = next((actual for actual in left if is_same(desired, actual, quantity=place.quantity)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _named(elements: Sequence[Json], by: str) -> dict[object, Json] | None:
    """Return the elements by the field that tells them apart; None where it does not."""
    names = [element.get(by) for element in elements if isinstance(element, Mapping)]
    if len(names) < len(elements) or not all(isinstance(name, str | int) for name in names):
        return None
    return dict(zip(names, elements, strict=True)) if len(set(names)) == len(names) else None


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _has_secret(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_has_secret(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(_has_secret(inner) for inner in value)
    return isinstance(value, Secret)
