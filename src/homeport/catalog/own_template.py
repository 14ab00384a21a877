"""The chat template that a model's own files have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeport.errors import WeightsError

if TYPE_CHECKING:
    from homeport.catalog.untrusted import Table

_USUAL, _FOR_TOOLS = "default", "tool_use"
"""What transformers calls them where there are several."""
_MOST_BYTES = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTemplate:
    """What files say of a template."""

    where: str = ""
    """Such as `chat_template.jinja`; '' where there is none."""
    text: str = ""
    """'' also where there is something in its place that cannot be read."""
    for_tools: str = ""
    """Another one for requests with tools, where there is one."""

    @property
    def there(self) -> bool:
        """Return True where there is one, readable or not."""
        return bool(self.where)


def of_gguf(values: Table) -> OwnTemplate:
    """Return the template of a GGUF."""
    key = "tokenizer.chat_template"
    text = values.text(key)
    return (
        OwnTemplate(where=key, text=text, for_tools=values.text(f"{key}.{_FOR_TOOLS}"))
        if text
        else OwnTemplate()
    )


def of_folder(folder: Path, tokenizer: Table) -> OwnTemplate:
    """
    Return the template of a folder as transformers takes it: of `chat_template.jinja`, else of tokenizer_config.json, whose
    table is `tokenizer`, else of a processor's chat_template.json.
    """
    file, processor = folder / "chat_template.jinja", folder / "chat_template.json"
    if file.is_file():
        return OwnTemplate(where=file.name, text=_text(file))
    if tokenizer.values.get("chat_template") is not None:
        return _of_value(tokenizer.values["chat_template"], "tokenizer_config.json")
    if not processor.is_file():
        return OwnTemplate()
    from homeport.catalog.untrusted import read_json

    try:
        return _of_value(read_json(processor).values.get("chat_template"), processor.name)
    except WeightsError:
        return OwnTemplate(where=processor.name)


def _of_value(value: Any, where: str) -> OwnTemplate:  # Any: JSON of a stranger's
    named = {_USUAL: value}
    if isinstance(value, list):
        named = {str(one.get("name")): one.get("template") for one in value if isinstance(one, dict)}
    text, for_tools = named.get(_USUAL), named.get(_FOR_TOOLS)
    return OwnTemplate(
        where=where,
        text=text if isinstance(text, str) else "",
        for_tools=for_tools if isinstance(for_tools, str) else "",
    )


def _text(file: Path) -> str:
    """Return what the file says; '' where that is no text, which an engine cannot read either."""
    try:
        with file.open("rb") as opened:
            return opened.read(_MOST_BYTES).decode()
    except (OSError, ValueError):
        return ""
