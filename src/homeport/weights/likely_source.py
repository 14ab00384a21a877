"""Which source somebody likely meant who wrote the page of a hub, a scheme in capitals, or quotes."""

from __future__ import annotations

import re

_PAGE_OF_A_HUB = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<repo>[\w.-]+/[\w.-]+)"
    r"(?:/(?:tree|blob|resolve)/(?P<revision>[\w.-]+)(?:/(?P<file>[^?#\s]+\.gguf))?)?"
)
_REPOSITORY = re.compile(r"hf:(?://)?(?P<rest>[\w.-]+/[\w.@:/-]+)", re.IGNORECASE)
_AROUND = " \t'\"\u201c\u201d\u2018\u2019\u00ab\u00bb`"


def likely(text: str) -> str:
    """Return the beginning of a hint that asks whether a source was meant, by what was written in its place; else ''."""
    bare = text.strip(_AROUND)
    page, repository = _PAGE_OF_A_HUB.match(bare), _REPOSITORY.fullmatch(bare)
    if page:
        revision = f"@{page['revision']}" if page["revision"] not in {None, "main"} else ""
        meant = f"hf:{page['repo']}{revision}" + (f":{page['file']}" if page["file"] else "")
    elif repository:
        meant = f"hf:{repository['rest']}"
    else:
        return ""
    return f"did you mean {meant}? " if meant != text else ""
