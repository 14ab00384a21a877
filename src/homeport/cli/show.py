"""Plans, reports and states as people read them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from homeport.catalog import Model
from homeport.engines.registry import UNTRIED, modalities, of_files, with_weights
from homeport.keys import Whereabouts
from homeport.printable import printable
from homeport.reconcile import KNOWN_AFTER_APPLY, ActionKind, Change, Plan
from homeport.reconcile.fact import labelled
from homeport.reconcile.plan import MAY_GO
from homeport.reconcile.resource import shown
from homeport.reconcile.teardown import Teardown
from homeport.targets import registry
from homeport.terminal import pairs

if TYPE_CHECKING:
    from homeport.results import Status, UpResult

_SIGNS = {
    ActionKind.CREATE: "+",
    ActionKind.UPDATE: "~",
    ActionKind.REPLACE: "-/+",
    ActionKind.DELETE: "-",
    ActionKind.NONE: " ",
}
_VERBS = {
    ActionKind.CREATE: "create",
    ActionKind.UPDATE: "change",
    ActionKind.REPLACE: "replace",
    ActionKind.DELETE: "delete",
}
_MOST_SAME = 5
"""More things than these that stay as they are have one line together."""
_WIDEST = 44
"""Columns that a path may have before those below it are no longer aligned with it."""


def plan_text(plan: Plan) -> str:
    """Return a plan in words: what will be so, what is done for it, what to know before saying yes."""
    lines = [
        f"{plan.name} {registry.place(plan.target)}",
        *([pairs(labelled(plan.facts))] if plan.facts else []),
        "",
    ]
    width = max((len(_SIGNS[action.kind]) for action in plan.actions), default=0)
    unchanged = [action for action in plan.actions if action.kind is ActionKind.NONE]
    for action in plan.actions if len(unchanged) <= _MOST_SAME else plan.pending:
        lines.append(f"  {_SIGNS[action.kind]:{width}} {action.resource.id}: {action.summary}")
        lines += [f"{'':{width + 5}}{line}" for line in _changes(action.changes)]
    if len(unchanged) > _MOST_SAME:
        lines.append(f"  {'':{width}} {len(unchanged)} things are as they should be")
    lines += [f"  note: {warning}" for warning in plan.warnings]
    lines += [f"  in the way: {problem}" for problem in plan.problems]
    counts = Counter(action.kind for action in plan.pending)
    summary = ", ".join(f"{counts[kind]} to {verb}" for kind, verb in _VERBS.items() if counts[kind])
    lines += ["", summary or "nothing to do: it is as the file says"]
    return "\n".join(lines)


def teardown_text(would_go: Teardown) -> str:
    """Return what `down` would end and remove: what to know before saying yes."""
    lines = [
        f"{would_go.name} {registry.place(would_go.target)}",
        *([pairs(dict(would_go.facts))] if would_go.facts else []),
        "",
    ]
    lines += [f"  - {id_}{f': {thing}' if thing else ''}" for id_, thing in would_go.things]
    lines += [f"  note: {note}" for note in would_go.notes]
    return "\n".join([*lines, "", f"{len(would_go.things)} to delete"])


def _changes(changes: tuple[Change, ...]) -> Iterator[str]:
    paths = [len(c.path) for c in changes if not (_is_long(c.before) or _is_long(c.after))]
    width = max((length for length in paths if length <= _WIDEST), default=0) + 1
    for change in changes:
        forces = "  (forces replacement)" if change.replaces else ""
        if change == MAY_GO:
            yield "may go with what it needs, and be recreated"
        elif not change.path and change.after == KNOWN_AFTER_APPLY:
            yield f"what changes: {KNOWN_AFTER_APPLY}{forces}"
        elif not _is_long(change.before) and not _is_long(change.after):
            path = f"{printable(change.path, keep='')}:"
            yield f"{path:{width}} {_value(change.before)} → {_value(change.after)}{forces}"
        else:
            yield f"{printable(change.path, keep='')}:{forces}"
            before, after = _leaves(shown(change.before)), _leaves(shown(change.after))
            for _, start, end, other_start, other_end in SequenceMatcher(
                None, before, after, autojunk=False
            ).get_opcodes():
                if before[start:end] != after[other_start:other_end]:
                    yield from (f"  - {line}" for line in before[start:end])
                    yield from (f"  + {line}" for line in after[other_start:other_end])


def _is_long(value: object) -> bool:
    """Return True if it takes several lines to show it."""
    return (isinstance(value, Mapping | list | tuple) and bool(value)) or (
        isinstance(value, str) and "\n" in value
    )


def _leaves(value: object, path: str = "") -> list[str]:
    """Yield a nested value as lines, each with where it stands."""
    if isinstance(value, Mapping) and value:
        return [
            line
            for key, inner in value.items()
            for line in _leaves(inner, f"{path}.{key}" if path else str(key))
        ]
    if isinstance(value, list) and value:
        nested = any(isinstance(inner, Mapping | list) for inner in value)
        names = (f"{path}[{index}]" if nested else path for index in range(len(value)))
        return [line for name, inner in zip(names, value, strict=True) for line in _leaves(inner, name)]
    if value is None:
        return []
    if not path and isinstance(value, str) and "\n" in value:
        return [printable(line, keep="") for line in value.splitlines()]
    return [f"{path}: {_value(value)}" if path else _value(value)]


def _value(value: object) -> str:
    if value is None:
        return "none"
    plain = shown(value)
    return printable(
        plain if plain and isinstance(plain, str) else json.dumps(plain, ensure_ascii=False), keep=""
    )


def model_text(model: Model) -> str:
    """Describe all that the catalog knows of one model."""
    architecture = model.architecture
    facts = {
        "name": model.name,
        "title": model.title,
        "kind": "instruction-tuned"
        if model.instruct
        else "pretrained: continues text, follows no instructions",
        "parameters": model.parameters,
        "context": f"{model.context:,} tokens",
        "modalities": ", ".join(model.modalities),
        "licence": model.licence,
        "hub's gate": model.gate,
        "sampling": ", ".join(f"{key} {value:g}" for key, value in model.sampling.items()),
        "tools": f"yes (parser {model.tool_parser})" if model.tool_parser else "not trained to call them",
        "reasoning": f"yes (parser {model.reasoning_parser})" if model.reasoning_parser else "none",
    }
    if architecture is not None:
        window = f", window {architecture.sliding_window}" if architecture.sliding_window else ""
        facts["layers"] = f"{architecture.layers}, {architecture.global_layers} of them global{window}"
    for engine, source in model.weights.items():
        size = f" ({model.sizes[engine] / 1e9:.1f} GB)" if engine in model.sizes else ""
        facts[f"for {engine}"] = source + size
    for variant in model.variants:
        size = f" ({variant.size / 1e9:.1f} GB{'?' if variant.unconfirmed else ''})" if variant.size else ""
        facts[f"as {variant.quantization}"] = (
            f"{variant.source}{size}, for {' and '.join(of_files('safetensors'))}"
        )
    facts["served"] = "; ".join(f"{engine}: {_served(model, engine)}" for engine in with_weights(model))
    facts["note"] = model.note
    facts["with our template"] = model.template_note
    facts["unconfirmed"] = ", ".join(model.unconfirmed)
    facts["sources"] = "; ".join(model.sources)
    return pairs({label: value for label, value in facts.items() if value})


def _served(model: Model, engine: str) -> str:
    """Return which of its modalities an engine serves, and which it would with a key of the file."""
    plain, more = modalities(model, engine), modalities(model, engine, projector=True)
    besides = [modality for modality in more if modality not in plain]
    named = [f"{modality} (not tried here)" if modality in UNTRIED else modality for modality in plain]
    return ", ".join(named) + (f" ({', '.join(besides)} with engine.projector)" if besides else "")


def timeline(seconds: dict[str, float]) -> str:
    """Return where the time of a start went."""
    return " · ".join(f"{part.replace('_', ' ')} {value:.2f} s" for part, value in seconds.items())


def up_text(result: UpResult) -> str:
    """Return the endpoint, and who may use it."""
    return pairs(
        {"endpoint": result.endpoint.base_url, "model": result.endpoint.model, **dict(result.access)}
    )


def key_text(found: Whereabouts) -> str:
    """Return where an endpoint's key is, and whether it is the engine's."""
    kinds = {
        "generated": "made by homeport: `homeport env` prints it, `homeport key rotate` makes another",
        "none": "none is wanted; all that runs on this machine can use it",
    }
    facts = {"endpoint": found.name, "key": kinds.get(found.reference, f"yours ({found.reference})")}
    if found.path is not None:
        facts["kept in"] = str(found.path)
    if found.reference != "none":
        facts["engine"] = found.problem or "was started with it"
    return pairs(facts)


def restarts_text(status: Status) -> str:
    """Return how often an endpoint was started again, and why the last time; '' where it never was."""
    if status.last_restart is None or status.state in {"dead", "failed"}:
        return ""
    often = "once" if status.restarts == 1 else f"{status.restarts} times"
    last = status.last_restart
    return f"{status.name} was started again {often} since `homeport up`; at {last['at']}, since {last['reason']}"


def usage_text(status: Status) -> str:
    """Return since when an endpoint serves, for which file, and what it was used for; '' where its record is unreadable."""
    if status.started_at is None:
        return ""
    file = f" for {status.spec_file}" if status.spec_file else ""
    return f"{status.name} since {status.started_at}{file}: {_used_text(status)}"


def _used_text(status: Status) -> str:
    """Return what an endpoint was used for, or why that is not known."""
    if status.usage_unknown:
        return f"not known: {status.usage_unknown}"
    if not status.usage:
        return "nothing was counted yet"
    used = status.usage
    counts = [
        f"{label} {'not known' if used.get(key) is None else f'{used[key]:,.0f}'}"
        for key, label in (("requests", "requests"), ("prompt_tokens", "tokens in"), ("output_tokens", "out"))
    ]
    cost = "not known" if used.get("usd") is None else f"${used['usd']:,.2f}"
    counted = f", counted since {used['since']}" if "since" in used else ""
    return f"{', '.join(counts)}; cost {cost}{counted}"


def status_row(status: Status) -> tuple[str, ...]:
    """Return the row of one endpoint in the table of `homeport status`."""
    memory = f"{status.resident_bytes / 2**20:,.0f} MiB" if status.resident_bytes is not None else ""
    if status.url is None:
        return (status.name, status.state, "", "", "", memory, "", status.reason)
    receipt = status.verified
    verified = (
        "not verified"
        if receipt is None
        else ("verified " if receipt["passed"] else "failed ") + receipt["at"]
    )
    engine = f"{status.engine} pid {status.pid}" if status.pid is not None else status.engine or ""
    return (
        status.name,
        status.state,
        status.url,
        status.model or "",
        engine,
        memory,
        status.started_at or "",
        verified,
    )


def _cache_text(digest: str) -> str:
    return "none was made: starts compile anew, and `homeport up` tries again" if digest == "none" else digest


def _through_iap(status: Status) -> str:
    who = "that is not known" if status.iap is None else ", ".join(status.iap) or "nobody"
    return f"through Identity-Aware Proxy, which stands before it: {who}"


def status_text(status: Status) -> str:
    """Describe one endpoint with its revisions, for people."""
    weights = (status.weights or {}).get("digest", "")
    receipts = [
        f"{name}, {receipt['at']}: {', '.join(f'{count} {outcome}' for outcome, count in receipt['counts'].items())}"
        for name, receipt in (status.receipts or {}).items()
    ]
    traffic = ", ".join(f"{percent} % {name}" for name, percent in (status.traffic or {}).items())
    rows = [
        ("state", f"{status.state}: {status.reason}" if status.reason else status.state),
        ("region", status.region or ""),
        ("url", status.url or ""),
        *(("behind it", text) for text in (status.behind or {}).values()),
        *([("gateway", f"{status.gateway}, for clients with a key")] if status.gateway else []),
        *([("comes in", _through_iap(status))] if status.behind_iap else []),
        ("model", f"{status.model or 'not known'} by {status.engine or 'an engine that it does not name'}"),
        ("image", status.image or ""),
        ("weights", weights or "in the image"),
        *([("cache", _cache_text(status.startup_cache))] if status.startup_cache else []),
        *(("adapter", f"{name}, {digest}") for name, digest in (status.adapters or {}).items()),
        ("traffic", traffic or "none"),
        ("since", status.started_at or "not known"),
        ("used for", _used_text(status)),
        *(
            ("price", f"${price:.2f} an hour of each instance that runs")
            for price in [status.usd_per_hour]
            if price is not None
        ),
        *(("verified", receipt) for receipt in receipts or ["never"]),
        *(("rollback", f"would let {status.rollback_to} serve") for _ in range(bool(status.rollback_to))),
        *(
            ("rollback", f"not known: {status.rollback_unknown}")
            for _ in range(bool(status.rollback_unknown))
        ),
        *(
            ("rollback", f"would be refused: {status.rollback_refused}")
            for _ in range(bool(status.rollback_refused))
        ),
        *(("in region", f"{place.region}: {place.text}") for place in status.regions),
        *(("also in", f"{region}: paid for, too; `homeport down` ends both") for region in status.also_in),
        *(("beside it", part.text) for part in status.parts),
        *(("not known", f"could not be read: {unread}") for unread in status.unread),
    ]
    return "\n".join([status.name, *(f"  {label:<10}{value}" for label, value in rows)])
