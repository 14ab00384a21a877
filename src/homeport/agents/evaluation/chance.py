"""What would be right by chance: computed from the tools that are offered, not assumed."""

from __future__ import annotations

from collections import Counter
from math import factorial, prod

from homeport.agents.evaluation.graded import GradedTask


def chance(task: GradedTask) -> float:
    """
    Return how often a task is right where every choice is drawn uniformly from the offered tools and none.

    Such a draw knows how many choices there are, and the right arguments of what it draws: it is the chance of
    choosing alone, and no less than that of guessing all. With n tools, a step of k calls is k draws; their order does
    not matter: k! / (m1! m2! …) / (n + 1)^k, for calls of which m1, m2 … are of one tool. No tool is one draw.
    """
    options = len(task.offers) + 1
    if not task.calls:
        return 1 / options
    chances = [
        factorial(len(step))
        / prod(factorial(times) for times in Counter(call.tool for call in step).values())
        / options ** len(step)
        for step in task.calls
    ]
    return prod(chances, start=1.0)
