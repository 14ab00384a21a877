"""Whether a model can be served for what is asked of it: text, or vectors."""

from __future__ import annotations

from dataclasses import replace

from homeport.catalog import Model
from homeport.errors import SpecError
from homeport.task import Task


def served_for(model: Model, task: Task) -> Model:
    """
    Return the model as it is served for `task`. Raises `SpecError` for text of a model that gives vectors.

    One that writes text can embed, by the mean of its states; `untrained` says what that is worth.
    """
    if model.task == "embed" and task == "generate":
        raise SpecError(
            f"{model.name} is a model of embeddings: it gives vectors, and task is {task!r}",
            hint='set task = "embed" at the top of homeport.toml, or name a model that writes text',
        )
    return model if model.task == task else replace(model, task=task)


def untrained(model: Model | None, task: Task) -> str:
    """Return what to know where a model that was made to write text is to embed; '' where it was made for its task."""
    if model is None or task != "embed" or model.task == "embed":
        return ""
    return (
        f"{model.name} was made to write text, as far as is known: its vectors are a mean of its states, and texts that "
        "are alike need not be near each other"
    )
