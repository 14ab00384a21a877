"""What preflight says of the chat template: before weights are carried, since it lies in their headers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from homeport.catalog import Model
from homeport.catalog.inspect import NO_TEMPLATE
from homeport.chat_template.finding import TemplateFinding
from homeport.engines.base import EngineModule
from homeport.spec import Spec
from homeport.targets.chat_template import ANOTHER, tried_template
from homeport.targets.cloudrun.preflight import PreflightFinding
from homeport.targets.cloudrun.preflight.finding import not_checked, ok, warning

_SUBJECT = "chat template"


async def template_findings(
    model: Model, spec: Spec, engine: EngineModule, root: Path
) -> tuple[PreflightFinding, ...]:
    """Return what was found of the template that the engine would take, as `tried_template`; nothing where none was looked at."""
    found = await asyncio.to_thread(tried_template, model, spec, engine, root)
    if found is None:
        return ()
    if not found:
        return (ok(_SUBJECT, "a question, a system message, tools and a tool's result come to prompts"),)
    # The note on the model, which a plan tells, too, says that there is none.
    return tuple(_finding(one) for one in found if one.kind != "none" or NO_TEMPLATE not in model.note)


def _finding(found: TemplateFinding) -> PreflightFinding:
    if found.kind == "unchecked":
        return not_checked(_SUBJECT, found.text)
    return warning(_SUBJECT, f"{found.text}; {ANOTHER}", ANOTHER, kind=found.kind)
