"""
The shapes of what `--json` prints, as types: their JSON Schemas are generated from here and from the results themselves.

Nothing at run time depends on them; a test holds what the commands print to them.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from homeport.agents.evaluation.report import EvalReport
from homeport.bench.comparison import BenchComparison
from homeport.bench.engines import EnginesBench
from homeport.bench.result import BenchResult
from homeport.capacity.answer import CapacityPlan
from homeport.catalog.card import ModelCard
from homeport.fit.outlook import CloudRunOutlook
from homeport.fit.own_starts import Correction, OwnStart
from homeport.json_types import Json, JsonObject
from homeport.observe.check import ObserveFinding
from homeport.reconcile.duration_fact import DurationFact
from homeport.reconcile.fact import Fact
from homeport.results import Status
from homeport.shapes.access import ConsoleShape, KeyShape, Variables
from homeport.shapes.answers import AgentRunShape, CompletionShape
from homeport.shapes.base import PrintedSchema
from homeport.shapes.benches import BenchRowShape
from homeport.shapes.estimates import CostShape, FitAnswerShape
from homeport.shapes.results import (
    ContractShape,
    DoctorFindingShape,
    ErrorShape,
    ExportedShape,
    ForgottenShape,
    GuardProbeShape,
    GuardTryShape,
    ListShape,
    PlanShape,
    RemovalShape,
    ReportShape,
    RollbackShape,
    UpShape,
    WakeShape,
    WrittenShape,
)
from homeport.shapes.watched import LiveEndpointShape, LogLinesShape
from homeport.shapes.weights import CheckedWeightsShape, RemovedWeightsShape, StoredWeightsShape
from homeport.targets.cloudrun import facts as of_cloudrun
from homeport.targets.cloudrun.agent.fact import AgentFact
from homeport.targets.cloudrun.api_gateway.fact import ApiGatewayFact
from homeport.targets.cloudrun.edge.fact import EdgeFact
from homeport.targets.cloudrun.encryption_fact import EncryptionFact
from homeport.targets.cloudrun.guard.road import GuardRoadFact
from homeport.targets.cloudrun.guard.screen import GuardCostFact
from homeport.targets.cloudrun.iap.fact import IapFact
from homeport.targets.cloudrun.observe.fact import ObserveFact
from homeport.targets.cloudrun.regions.fact import RegionsFact
from homeport.targets.cloudrun.startup_cache.fact import StartupCacheFact
from homeport.targets.facts import ModelFact
from homeport.targets.local import facts as of_local
from homeport.targets.local.guard import GuardFact
from homeport.usage.report import UsageRow

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FACTS: tuple[type[Fact], ...] = (
    ModelFact,
    of_local.EngineFact,
    of_local.ContextFact,
    of_local.FitsFact,
    of_local.ListensFact,
    of_local.KeyFact,
    of_local.RestartFact,
    of_local.TakeOverFact,
    of_local.AgentElsewhereFact,
    of_local.CallersElsewhereFact,
    GuardFact,
    GuardRoadFact,
    GuardCostFact,
    CloudRunOutlook,
    of_cloudrun.ProjectFact,
    of_cloudrun.ImageFact,
    of_cloudrun.WeightsFact,
    of_cloudrun.AdaptersFact,
    of_cloudrun.InstanceFact,
    of_cloudrun.CompanionsFact,
    AgentFact,
    EdgeFact,
    ApiGatewayFact,
    RegionsFact,
    EncryptionFact,
    ObserveFact,
    of_cloudrun.ConcurrencyFact,
    of_cloudrun.QuotasFact,
    of_cloudrun.HubTokenFact,
    of_cloudrun.PriceFact,
    of_cloudrun.WarmFact,
    of_cloudrun.StayingFact,
    of_cloudrun.ColdStartFact,
    StartupCacheFact,
    DurationFact,
    of_cloudrun.CallersFact,
    IapFact,
)
RESULTS: dict[str, Any] = {  # Any: types
    "error": ErrorShape,
    "models": list[ModelCard],
    "models-show": ModelCard,
    "plan": PlanShape,
    "up": UpShape | list[UpShape],
    "swap": UpShape,
    "rollback": RollbackShape,
    "wake": WakeShape,
    "cold-start-calibrate": list[Correction],
    "cold-start-forget": ForgottenShape,
    "cold-start-list": list[OwnStart],
    "guard-test": list[GuardProbeShape],
    "guard-try": GuardTryShape,
    "down": RemovalShape,
    "status": Status | list[Status],
    "list": ListShape,
    "verify": ReportShape,
    "doctor": list[DoctorFindingShape] | ContractShape,
    "observe-check": list[ObserveFinding],
    "fit": FitAnswerShape,
    "cost": CostShape,
    "capacity": CapacityPlan,
    "agent-eval": EvalReport,
    "bench": BenchResult,
    "bench-list": list[BenchRowShape],
    "bench-compare": BenchComparison,
    "bench-engines": EnginesBench,
    "weights": list[StoredWeightsShape],
    "weights-fetch": list[StoredWeightsShape],
    "weights-check": list[CheckedWeightsShape],
    "weights-remove": RemovedWeightsShape,
    "chat": CompletionShape,
    "agent-run": AgentRunShape,
    "env": Variables,
    "proxy": Variables,
    "key": KeyShape,
    "key-show": KeyShape,
    "key-rotate": UpShape,
    "console": ConsoleShape,
    "top": list[LiveEndpointShape],
    "usage": list[UsageRow],
    "logs": LogLinesShape,
    "export": WrittenShape | ExportedShape,
}
"""What each command prints with `--json`; `error` is what any prints instead."""


def schema(name: str) -> JsonObject:
    """Return the JSON Schema of what the command `name` prints."""
    described = TypeAdapter(RESULTS[name]).json_schema(mode="serialization", schema_generator=PrintedSchema)
    if name == "plan":
        _with_facts(described)
    return {"$schema": DIALECT, "title": f"homeport {words(name)} --json", **_tidy(described)}


def words(name: str) -> str:
    """Return the command that prints the schema `name`, as it is typed behind `homeport`."""
    return name.replace("cold-start", "cold_start").replace("-", " ").replace("cold_start", "cold-start")


def _with_facts(plan: JsonObject) -> None:
    """Describe each key of a plan's facts: it has one of the kinds that have that key."""
    kinds: dict[str, list[JsonObject]] = {}
    for kind in FACTS:
        described = TypeAdapter(kind).json_schema(mode="serialization", schema_generator=PrintedSchema)
        plan["$defs"] |= described.pop("$defs", {})  # References count from the top.
        described["properties"]["text"] = {"type": "string", "description": "Everything of it in a line."}
        described["required"] = sorted(described["properties"])
        described["additionalProperties"] = False
        kinds.setdefault(kind.key, []).append(described)
    plan["properties"]["facts"] = {
        "description": "What will be so, by key.",
        "type": "object",
        "properties": {
            key: schemas[0] if len(schemas) == 1 else {"anyOf": schemas} for key, schemas in kinds.items()
        },
        "additionalProperties": False,
    }


def _tidy(node: Json) -> Json:
    """Leave out the titles that only repeat a name, and let no object have other keys than its own."""
    if isinstance(node, dict):
        tidy = {
            key: _tidy(value)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str))
        }
        if node.get("type") == "object" and "properties" in node:
            tidy.setdefault("additionalProperties", False)
        return tidy
    return [_tidy(child) for child in node] if isinstance(node, list) else node
