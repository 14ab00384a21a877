"""Whether what would have to be done now is what the plan said."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from homeport.errors import PlanStale
from homeport.json_types import Json
from homeport.reconcile.plan import MAY_GO, Action, ActionKind
from homeport.reconcile.references import is_known
from homeport.reconcile.resource import KNOWN_AFTER_APPLY, Change, shown
from homeport.secret import Secret


def ensure_within_plan(planned: Action, now: Action) -> None:
    """Raise `PlanStale` if `now` is more than what was approved, saying what is different.

    Less is no breach: what another has done meanwhile just as it was wanted need not be done again.
    """
    deviation = _deviation(planned, now)
    if deviation:
        raise PlanStale(
            f"{planned.resource.id} has changed since the plan was shown: {deviation}",
            hint="run the same command again: it plans again, from what is live now; "
            "if this happens again, somebody else is changing the same things",
        )


def _deviation(planned: Action, now: Action) -> str:
    if now.kind is ActionKind.NONE:
        return ""
    if now.kind is ActionKind.CREATE:
        return (
            ""
            if planned.kind in {ActionKind.CREATE, ActionKind.REPLACE} or _may_be_gone(planned)
            else "it is gone"
        )
    news = [change for change in now.changes if not any(_covers(old, change) for old in planned.changes)]
    if planned.kind is ActionKind.CREATE:
        return f"it exists now, and not as it is wanted: {_in_words(now.changes)}"
    if news:
        return _in_words(news, planned.changes)
    if now.kind is ActionKind.REPLACE and planned.kind is not ActionKind.REPLACE:
        return "it would have to be replaced now"
    return ""


def _may_be_gone(planned: Action) -> bool:
    """Return True if the plan said of it as a whole that it is known after apply."""
    return any(not change.path and change.after == KNOWN_AFTER_APPLY for change in planned.changes)


def _covers(old: Change, new: Change) -> bool:
    """Return True if who said yes to `old` has said yes to `new`."""
    if new.replaces and not old.replaces:
        return False
    if old.path == new.path:
        return bool(old.before == new.before) and _matches(old.after, new.after)
    if old == MAY_GO:
        return False
    below = not old.path or new.path.startswith((f"{old.path}.", f"{old.path}["))
    return below and not is_known(old.after)


def _matches(planned: object, now: object) -> bool:
    """Return True if `planned` is `now`, where what was not known may have become anything."""
    if isinstance(planned, Secret) and isinstance(now, Secret):
        return _matches(planned.compared(), now.compared())
    if planned == KNOWN_AFTER_APPLY:
        return True
    if isinstance(planned, str) and isinstance(now, str):
        pattern = ".*".join(re.escape(part) for part in planned.split(KNOWN_AFTER_APPLY))
        return re.fullmatch(pattern, now, re.DOTALL) is not None
    if isinstance(planned, Mapping) and isinstance(now, Mapping):
        return planned.keys() == now.keys() and all(_matches(planned[key], now[key]) for key in planned)
    if isinstance(planned, list | tuple) and isinstance(now, list | tuple):
        return len(planned) == len(now) and all(map(_matches, planned, now))
    return bool(planned == now)


def _in_words(changes: Sequence[Change], planned: Sequence[Change] = ()) -> str:
    were = {old.path: _text(old.before) for old in planned}
    lines = []
    for change in changes:
        now, was = _text(change.before), were.get(change.path)
        lines.append(f"{change.path or 'it'} is {now}{'' if was in {None, now} else f', was {was}'}")
    return "; ".join(lines[:3]) + (f"; and {len(lines) - 3} more" if len(lines) > 3 else "")


def _text(value: Json) -> str:
    if value is None:
        return "not there"
    plain = shown(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}…"
