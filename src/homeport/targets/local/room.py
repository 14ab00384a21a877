"""What would fit this machine where something does not."""

from __future__ import annotations

from homeport.fit import Fit


def what_would_fit(size: Fit) -> str:
    """Return what to change of the file, in words."""
    context, settings = size.longest_context(), size.what.settings
    if context:
        return (
            f"set engine.context to at most {context}, or engine.parallel to fewer than {settings.parallel}"
        )
    single = size.wanting(parallel=1).longest_context()
    if single:
        return f"set engine.parallel = 1 and engine.context to at most {single}"
    return "choose a smaller model; `homeport models` lists them"
