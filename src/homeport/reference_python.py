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
    functions = [_function(name, one) for name, one in public.items() if not inspect.isclass(one)]
    classes = [_class(name, one) for name, one in public.items() if inspect.isclass(one)]
    return "\n".join((_BEGIN, "## Functions\n", *functions, "## Classes\n", *classes)).rstrip("\n") + "\n"


def _function(name: str, one: object) -> str:
    return f"### `homeport.{name}{_signature(one)}`\n\n{_prose(one)}\n"


def _class(name: str, one: type) -> str:
    lines = [f"### `homeport.{name}`\n", _prose(one), ""]
    rows = [f"| `{member}` | {said} |" for member, said in _members(one)]
    return "\n".join((*lines, *(("| | |", "|---|---|", *rows, "") if rows else ())))


def _members(one: type) -> Iterator[tuple[str, str]]:
    """Yield the public methods and properties of a class itself, with the first sentence of each."""
    for name, member in vars(one).items():
        made = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if name.startswith("_") or not (inspect.isfunction(made) or isinstance(made, property)):
            continue
        shown = name if isinstance(made, property) else f"{name}{_signature(made)}"
        if said := inspect.getdoc(made):
            yield shown.replace("|", "\\|"), " ".join(said.split("\n\n")[0].split()).replace("|", "\\|")
    if dataclasses.is_dataclass(one):
        fields = ", ".join(
            f"`{field.name}`" for field in dataclasses.fields(one) if not field.name.startswith("_")
        )
        yield "…", f"Fields: {fields}."


def _signature(one: object) -> str:
    assert callable(one)
    text = str(inspect.signature(one))
    bare = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)
    return re.sub(r"\(self(?:, )?", "(", bare)


def _prose(one: object) -> str:
    """Return a docstring with its code in blocks of their own."""
    paragraphs = (inspect.getdoc(one) or "").split("\n\n")
    return "\n\n".join(
        f"```python\n{inspect.cleandoc(text)}\n```" if text.startswith("    ") else " ".join(text.split())
        for text in paragraphs
    )
