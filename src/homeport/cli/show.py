"""Plans, reports and states as people read them."""

from __future__ import annotations

from homeport.catalog import Model
from homeport.lifecycle import Status, Up
from homeport.reconcile import Kind, Plan
from homeport.terminal import pairs
from homeport.verify import Outcome, Report, Result

_SIGNS = {Kind.CREATE: "+", Kind.UPDATE: "~", Kind.NONE: " "}
_MARKS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.SKIPPED: "–"}


def plan_text(plan: Plan) -> str:
    """The plan: what will be so, what is done for it, what to know before saying yes."""
    lines = [f"{plan.name} on this machine", pairs(dict(plan.facts)), ""]
    for action in plan.actions:
        lines.append(f"  {_SIGNS[action.kind]} {action.resource.id}: {action.summary}")
        lines += [f"      {change.path}: {change.before} → {change.after}" for change in action.changes]
    lines += [f"  note: {warning}" for warning in plan.warnings]
    count = len(plan.pending)
    lines += ["", f"{count} to do: + create, ~ change" if count else "nothing to do: it is as the file says"]
    return "\n".join(lines)


def model_text(model: Model) -> str:
    """All that the catalog knows of one model."""
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
        "tools": f"yes (vllm's parser {model.tool_parser})"
        if model.tool_parser
        else "not trained to call them",
        "reasoning": f"yes (vllm's parser {model.reasoning_parser})" if model.reasoning_parser else "none",
    }
    if architecture is not None:
        window = f", window {architecture.sliding_window}" if architecture.sliding_window else ""
        facts["layers"] = f"{architecture.layers}, {architecture.global_layers} of them global{window}"
    for engine, source in model.weights.items():
        size = f" ({model.sizes[engine] / 1e9:.1f} GB)" if engine in model.sizes else ""
        facts[f"for {engine}"] = source + size
    for variant in model.variants:
        size = f" ({variant.size / 1e9:.1f} GB{'?' if variant.unconfirmed else ''})" if variant.size else ""
        facts[f"as {variant.quantization}"] = f"{variant.source}{size}, for vllm"
    facts["note"] = model.note
    facts["unconfirmed"] = ", ".join(model.unconfirmed)
    facts["sources"] = "; ".join(model.sources)
    return pairs({label: value for label, value in facts.items() if value})


def result_line(result: Result) -> str:
    """One check's outcome."""
    detail = " ".join("".join(c for c in result.detail if c.isprintable() or c.isspace()).split())
    return f"  {_MARKS[result.outcome]} {result.title}: {detail} ({result.seconds:.1f} s)"


def report_summary(report: Report) -> str:
    """How many checks passed, failed and were skipped."""
    counts = {outcome: sum(result.outcome is outcome for result in report.results) for outcome in Outcome}
    verdict = "verified" if report.passed else "NOT verified"
    parts = [f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome]]
    return f"{verdict}: {', '.join(parts)} in {report.seconds:.0f} s"


def timeline(seconds: dict[str, float]) -> str:
    """Where the time of a start went."""
    return " · ".join(f"{part.replace('_', ' ')} {value:.2f} s" for part, value in seconds.items())


def up_text(up: Up) -> str:
    """The endpoint, and what to do with it."""
    endpoint = up.endpoint
    facts = {
        "endpoint": endpoint.base_url,
        "model": endpoint.model,
        "key": "wanted: `homeport env` prints it"
        if endpoint.api_key
        else "none; only this machine can reach it",
    }
    return pairs(facts)


def status_row(status: Status) -> tuple[str, ...]:
    """One endpoint in the table of `homeport status`."""
    remembered = status.record
    receipt = remembered.receipt
    verified = (
        "not verified"
        if receipt is None
        else ("verified " if receipt["passed"] else "failed ") + receipt["at"]
    )
    return (
        status.name,
        status.state,
        f"{remembered.url}/v1",
        str(remembered.launch["model"]),
        f"{remembered.launch['engine']} pid {remembered.pid}",
        f"{status.resident / 2**20:,.0f} MiB",
        remembered.started_at,
        verified,
    )
