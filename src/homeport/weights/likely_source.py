"""Which source somebody likely meant who wrote the page of a hub, a scheme in capitals, quotes, or a path of another system."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from homeport.path_rules import problem
from homeport.weights.hub_name import hub_name

_AROUND = " \t'\"\u201c\u201d\u2018\u2019\u00ab\u00bb`"
_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<path>[^?#]*)(?:[?#].*)?", re.IGNORECASE
)
_NO_OWNERS = frozenset(
    {
        *("api", "blog", "brand", "buckets", "changelog", "chat", "collections", "datasets", "docs", "enterprise"),
        *("inference", "inference-endpoints", "join", "kernels", "languages", "learn", "login", "logout", "metrics"),
        *("models", "new", "notifications", "oauth", "organizations", "papers", "posts", "pricing", "privacy"),
        *("search", "settings", "spaces", "storage", "subscribe", "support", "tasks", "terms-of-service"),
    }
)  # fmt: skip
"""With what a page of the hub begins that is of no model."""
_OF_FILES = frozenset({"tree", "blob", "resolve", "raw"})
_OLLAMAS_DEFAULT = re.compile(r":latest$", re.IGNORECASE)
"""A tag that is written though it says nothing: of a repository, Ollama takes the quantization that it likes best."""
SCHEMES = ("hf", "gs", "wheel", "file")
"""Those of `sources/registry.py`, which imports this."""
_OF_KIND = {
    "gs": re.compile(r"/{0,2}(?P<name>[a-z0-9][a-z0-9._-]+/(?P<path>[^\s:]+))"),
    "wheel": re.compile(r"/{0,2}(?P<name>[A-Za-z0-9][\w.-]*(?:==[\w.+!-]+)?)", re.ASCII),
    "file": re.compile(r"(?P<name>.+)"),
}
"""What is written behind a scheme; that of a hub has more ways, see `_REPOSITORY`."""
_REPOSITORY = re.compile(r"(?:hf|huggingface):/{0,2}(?P<name>.+?)/?", re.IGNORECASE)
_PATH = re.compile(r"(?:file:|\.{0,2}/|~/).+|.+\.gguf")
_WINDOWS = re.compile(r"(?P<drive>[A-Za-z])?(?(drive):(?:[\\/]|$)|\\\\)")
_OF_FILE = re.compile(r"file:(?://(?:localhost(?=/))?/?)?", re.IGNORECASE)
"""With what a URL of a file begins, up to the drive of Windows or a variable."""
_VARIABLE = re.compile(r"\$[\w{(]|^%\w+%")
_HOST = re.compile(r"file://(?P<host>[^/]+)(?P<path>.*)")


@dataclass(frozen=True, slots=True)
class Misread:
    """What a text is in the place of a source, and what to write instead."""

    what: str
    """Goes on after the text."""
    do: str

    @property
    def lead(self) -> str:
        """Return the beginning of a hint, before which sources there are."""
        return f"{self.do} " if self.do.endswith("?") else f"{self.do}; "


def misread(text: str) -> Misread | None:
    """Return what a text that would count as a path, or as the name of a model, is instead; None where it may be one."""
    return _of_another_system(text.strip(_AROUND)) or likely(text)


def likely(text: str) -> Misread | None:
    """Return which source was meant by what was written in its place, if one that can be read was."""
    bare = text.strip(_AROUND)
    meant = (
        _of_page(bare) or _of_repository(bare) or _of_kind(bare) or (bare if _PATH.fullmatch(bare) else "")
    )
    if not meant or meant == text:
        return None
    return Misread("is no path, and no source as one is written", f"did you mean {meant}?")


def _of_page(text: str) -> str:
    """Return the source that a page of the hub, or what Ollama calls a model of it, is about; '' where it is about none."""
    page = _PAGE.fullmatch(_OLLAMAS_DEFAULT.sub("", text))
    parts = [unquote(part) for part in page["path"].strip("/").split("/")] if page else []
    if len(parts) < 2 or parts[0].lower() in _NO_OWNERS:
        return ""
    repo, rest = "/".join(parts[:2]), parts[2:]
    if not rest:
        return _readable(repo)
    if rest[0] not in _OF_FILES or len(rest) < 2:
        return ""
    # A pull request's files are a revision with slashes.
    length = 3 if rest[1:3] == ["refs", "pr"] else 1
    revision, file = "/".join(rest[1 : 1 + length]), "/".join(rest[1 + length :])
    if revision == "refs" or (file and not file.endswith(".gguf")):
        return ""
    return _readable(repo + (f"@{revision}" if revision != "main" else "") + (f":{file}" if file else ""))


def _of_repository(text: str) -> str:
    match = _REPOSITORY.fullmatch(text)
    return _readable(match["name"]) if match else ""


def _of_kind(text: str) -> str:
    """Return the source of another kind with its scheme as it is written; '' where its own parser would not take it."""
    written, _, rest = text.partition(":")
    scheme = written.lower()
    found = _OF_KIND[scheme].fullmatch(rest.strip()) if scheme in _OF_KIND else None
    if found is None or (scheme == "gs" and problem(found["path"].rstrip("/"))):
        return ""
    return f"{scheme}:{'//' if scheme == 'gs' else ''}{found['name']}"


def _readable(name: str) -> str:
    """Return the source of this name; '' where its own parser would not take it."""
    try:
        hub_name(name)
    except ValueError:
        return ""
    return f"hf:{name}"


def _of_another_system(text: str) -> Misread | None:
    """Return what a path is that means something to Windows, to a shell, or in a URL; None for any other."""
    path = _OF_FILE.sub("", text, count=1)
    windows, variable, host = _WINDOWS.match(path), _VARIABLE.search(path), _HOST.fullmatch(text)
    if windows:
        drive, rest = windows["drive"], path[windows.end() :].replace("\\", "/")
        return Misread(
            "is a path of Windows, where homeport does not run",
            f"in WSL it is /mnt/{drive.lower()}/{rest}"
            if drive
            else "copy the file to a disk of this machine",
        )
    if variable and "://" not in path:
        return Misread(
            "has a variable, which only a shell replaces",
            "write the path out" if variable.start() else "write the path out, or with ~",
        )
    if host:
        return Misread(
            "names the host of a URL, and a path was expected", _without_host(host["host"], host["path"])
        )
    return None


def _without_host(host: str, path: str) -> str:
    """Return what to write instead of the URL of a file with a host, which often is the first folder of a path."""
    local = path if host.lower() == "localhost" else f"{host}{path}"
    if not local.strip("/~"):
        return "write the path of the weights behind file:"
    whole = "" if local.startswith(("/", "~")) else f", or file:///{local} from the root of the disk on"
    return f"such as file:{local}{whole}"
