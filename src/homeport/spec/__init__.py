"""The file the user writes: `homeport.toml`, typed. Unknown keys are errors with a suggestion."""

from homeport.spec.agent import Agent
from homeport.spec.edge import Edge, split_way
from homeport.spec.guard import Guard
from homeport.spec.load import ensure_no_weights, load, parse, with_local
from homeport.spec.observe import Observe, ObserveSlo
from homeport.spec.renamed import brought_up
from homeport.spec.scaling import Scaling
from homeport.spec.schema import (
    FILE_NAME,
    NAME_PATTERN,
    SCHEMA_NAME,
    TABLES,
    Access,
    Adapter,
    CloudRun,
    Delivery,
    Engine,
    Local,
    Spec,
)
from homeport.spec.template import descriptions, json_schema, template

__all__ = [
    "FILE_NAME",
    "NAME_PATTERN",
    "SCHEMA_NAME",
    "TABLES",
    "Access",
    "Adapter",
    "Agent",
    "CloudRun",
    "Delivery",
    "Edge",
    "Engine",
    "Guard",
    "Local",
    "Observe",
    "ObserveSlo",
    "Scaling",
    "Spec",
    "brought_up",
    "descriptions",
    "ensure_no_weights",
    "json_schema",
    "load",
    "parse",
    "split_way",
    "template",
    "with_local",
]
