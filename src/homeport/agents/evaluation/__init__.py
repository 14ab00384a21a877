"""How well a model chooses tools: a graded set, run through the real loop, with chance and intervals beside each figure."""

from homeport.agents.evaluation.evaluate import evaluate
from homeport.agents.evaluation.options import EvalOptions
from homeport.agents.evaluation.report import EvalReport

__all__ = ["EvalOptions", "EvalReport", "evaluate"]
