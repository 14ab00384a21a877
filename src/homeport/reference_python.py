"""The page of the Python API, generated from what `homeport` makes public."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator

import homeport

_BEGIN = """# Python

Generated from the code by `make schema`: what `import homeport` offers. Each function waits until it is done; within an
event loop call it in a thread. The command line does the same: [commands](commands.md); each error is below `HomeportError`
([exit codes](exit-codes.md)). Clients: [Python without a proxy](clients.md#python-without-a-proxy).
"""


def page() -> str:
    """Return the text of the page."""
    public = {name: getattr(homeport, name) for name in homeport.__all__}
    functions = [
        _function(name, documented) for name, documented in public.items() if not inspect.isclass(documented)
    ]
    classes = [_class(name, documented) for name, documented in public.items() if inspect.isclass(documented)]
    return "\n".join((_BEGIN, "## Functions\n", *functions, "## Classes\n", *classes)).rstrip("\n") + "\n"


def _function(name: str, function: object) -> str:
    return f"### `homeport.{name}{_signature(function)}`\n\n{_prose(function)}\n"


def _class(name: str, class_: type) -> str:
    lines = [f"### `homeport.{name}`\n", _prose(class_), ""]
    rows = [f"| `{member}` | {sentence} |" for member, sentence in _members(class_)]
    return "\n".join((*lines, *(("| | |", "|---|---|", *rows, "") if rows else ())))


def _members(class_: type) -> Iterator[tuple[str, str]]:
    """Yield the public methods and properties of a class itself, with the first sentence of each."""
    for name, member in vars(class_).items():
        unwrapped = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if name.startswith("_") or not (inspect.isfunction(unwrapped) or isinstance(unwrapped, property)):
            continue
        shown = name if isinstance(unwrapped, property) else f"{name}{_signature(unwrapped)}"
        if doc := inspect.getdoc(unwrapped):
            yield shown.replace("|", "\\|"), " ".join(doc.split("\n\n")[0].split()).replace("|", "\\|")
    if dataclasses.is_dataclass(class_):
        fields = ", ".join(
            f"`{field.name}`" for field in dataclasses.fields(class_) if not field.name.startswith("_")
        )
        yield "…", f"Fields: {fields}."


def _signature(function: object) -> str:
    assert callable(function)
    text = str(inspect.signature(function))
    bare = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)
    return re.sub(r"\(self(?:, )?", "(", bare)


def _prose(documented: object) -> str:
    """Return a docstring with its code in blocks of their own."""
    paragraphs = (inspect.getdoc(documented) or "").split("\n\n")
    return "\n\n".join(
        f"```python\n{inspect.cleandoc(text)}\n```" if text.startswith("    ") else " ".join(text.split())
        for text in paragraphs
    )
