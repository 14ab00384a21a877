"""The project's own source, as its rules look at it: modules, what they import, circles among them."""

from __future__ import annotations

import ast
import gc
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from places import ROOT

SRC = ROOT / "src"
HOMEPORT = sorted((SRC / "homeport").rglob("*.py"))
REHEARSAL = sorted((SRC / "gcp_rehearsal").rglob("*.py"))
MODULES = [*HOMEPORT, *REHEARSAL]
DATA = sorted(
    path for path in (SRC / "homeport").rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}
)

Graph = Mapping[str, frozenset[str]]


def name(path: Path) -> str:
    """Return a module's name, such as `homeport.google.client`; a package's is that of its folder."""
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    gc.disable()  # There are millions of nodes, all of which stay: to look for garbage among them takes longer than to make them.
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


@cache
def imports(path: Path) -> frozenset[str]:
    """Return all that a module imports anywhere in it, for typing and within functions included."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def within(module: str, *packages: str) -> bool:
    """Return True if a module is one of `packages`, or in one of them."""
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def import_graph(paths: list[Path]) -> Graph:
    """Return which of the modules at `paths` imports which other; of a package and its submodule the submodule."""
    names = {name(path) for path in paths}
    graph = {}
    for path in paths:
        edges: set[str] = set()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                edges |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                edges |= (inner & names) | ({node.module} if inner - names else set())
        graph[name(path)] = frozenset(edges & names - {name(path)})
    return graph


def circles(graph: Graph) -> list[frozenset[str]]:
    """Return the strongly connected components of more than one module (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[frozenset[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            at = stack.index(module)
            component, stack[at:] = stack[at:], []
            if len(component) > 1:
                found.append(frozenset(component))

    for module in graph:
        if module not in index:
            visit(module)
    return found


def class_names() -> Mapping[str, list[str]]:
    """Return the modules that define a class, by the class's name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(name(path))
    return found


_SENDS = frozenset(
    ("Client", "AsyncClient", "get", "options", "head", "post", "put", "patch", "delete", "request", "stream")
)
"""What of httpx2 sends a request, or makes what does."""


def without_timeout(module: ast.AST) -> list[int]:
    """Return the lines where a module makes a client of httpx2, or sends a request by httpx2 itself, and names no timeout."""
    return [call.lineno for call in _sending(module) if _named(call, "timeout") is None]


def by_unjudged_proxies(module: ast.AST) -> list[int]:
    """Return the lines where such a client may go by proxies of the environment that `by_environment` has not judged."""
    told = [(call.lineno, _named(call, "trust_env")) for call in _sending(module)]
    return [
        line
        for line, said in told
        if said is None or ast.unparse(said).partition("(")[0] not in {"False", "by_environment"}
    ]


def _named(call: ast.Call, name: str) -> ast.expr | None:
    """One that may be among `**more` is not seen, and so not taken to be there."""
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _sending(module: ast.AST) -> list[ast.Call]:
    nodes = list(ast.walk(module))
    modules, names = set(), set()
    for node in nodes:
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name == "httpx2"}
        elif isinstance(node, ast.ImportFrom) and node.module == "httpx2":
            names |= {alias.asname or alias.name for alias in node.names if alias.name in _SENDS}

    def sends(called: ast.expr) -> bool:
        if isinstance(called, ast.Attribute) and called.attr in _SENDS:
            return isinstance(called.value, ast.Name) and called.value.id in modules
        return isinstance(called, ast.Name) and called.id in names

    return [node for node in nodes if isinstance(node, ast.Call) and sends(node.func)]


def texts(path: Path) -> Iterator[str]:
    """Yield each string of a module that is no documentation; `{}` stands where a value is put in."""
    nodes = list(ast.walk(tree(path)))
    apart = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    parts: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in apart
            and id(node) not in parts
        ):
            yield node.value


def any_without_reason(path: Path) -> Iterator[int]:
    """Yield the lines in which a module says `Any`, with no comment in the same statement or signature that says why."""
    lines = path.read_text().splitlines()
    around = [*_without_bodies(tree(path))]
    for node in ast.walk(tree(path)):
        if not (isinstance(node, ast.Name) and node.id == "Any"):
            continue
        first, last = min((span for span in around if node.lineno in range(span[0], span[1] + 1)), key=lambda span: span[1] - span[0])  # fmt: skip
        if not any("Any:" in line.partition("#")[2] for line in lines[first - 1 : last]):
            yield node.lineno


def _without_bodies(module: ast.Module) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of each statement; of one with a body those above it, with a comment that stands before."""
    for node in ast.walk(module):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            yield (
                (max(node.lineno - 1, 1), body[0].lineno - 1) if body else (node.lineno, node.end_lineno or 0)
            )
