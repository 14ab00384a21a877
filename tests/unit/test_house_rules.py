"""The rules of the house, where a machine can hold to them. Each test names everything that breaks its rule."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from homeport.engines.names import NAMES
from homeport.engines.registry import module
from homeport.targets.registry import TITLES
from source_tree import (
    DATA,
    HOMEPORT,
    MODULES,
    REHEARSAL,
    SRC,
    any_without_reason,
    by_unjudged_proxies,
    circles,
    class_names,
    import_graph,
    imports,
    name,
    texts,
    tree,
    within,
    without_timeout,
)

TERMINAL = (
    "homeport.cli",
    "homeport.terminal",
    "homeport.typed",
    "homeport.__main__",
    "gcp_rehearsal.__main__",
)
"""Who may print, and import what draws. `reference` documents the command line."""
LAYERS = {
    "homeport.engines": ("homeport.targets", "homeport.resources", "homeport.google"),
    "homeport.reconcile": ("homeport.google", "homeport.resources", "homeport.targets"),
    "homeport.google": ("homeport.resources", "homeport.targets", "homeport.reconcile"),
    "homeport.resources": ("homeport.targets", "homeport.export"),
    "homeport.catalog": ("homeport.google", "homeport.resources", "homeport.targets"),
}
"""Packages, and those that they must not know."""
KNOW_THE_REHEARSAL = ("homeport.cli.rehearse", "homeport.google.validation")
ADDRESS = re.compile(
    r"https?://(?!NAME\.|…)[^\s/]*(?:googleapis\.com|run\.app|pkg\.dev|gcr\.io|accounts\.google\.com)"
    r"|metadata\.google\.internal|169\.254\.169\.254"
)
"""Of a server of Google's; pages for people, on other hosts, are none."""
NAMES_ADDRESSES = ("homeport.google", "homeport.catalog", "homeport.weights.transfer")
"""The door, what is known with its sources, and the script that runs in Cloud Build with nothing of homeport's."""
NAME_ENGINES = ("homeport.cli.rehearse_programs",)
"""It runs other people's images on this machine, and so goes by their programs, whatever homeport calls its engines."""
DATA_NAMES_ENGINES = ("homeport.catalog", "homeport.spec.homeport.schema")
"""What is published of each, by its name, with sources; and the schema of the file, which is made of the names."""
SHARED_NAMES = {
    "Access": "the rehearsal's policies, and the protocol by which its handlers see them; homeport's [access]",
    "Cloud": "the rehearsal's cloud, and the protocol by which its handlers see it",
}
"""Classes that may be called alike, and why."""
VERBS = """
Abort Accept Act Add Adopt Align Allow Answer Append Apply Ask Assert Assign Attach Await Begin Bind
Block Bring Build Cache Calculate Call Cancel Change Check Choose Classify Clean Clear Close Collect
Combine Compare Compose Compute Configure Connect Convert Copy Correct Count Create Cut Decide Declare
Decode Delete Deploy Derive Describe Detect Disable Discard Divide Do Download Drain Draw Drop Emit
Enable Encode End Enter Escape Estimate Evaluate Exchange Execute Exit Expect Explain Export Fail Fetch
Fill Filter Find Finish Fit Flush Fold Follow Forget Format Forward Free Generate Get Give Go Grant
Group Guard Hand Handle Hash Have Hide Hold Identify Ignore Import Indent Infer Insert Install Interrupt
Invoke Join Judge Keep Kill Launch Leave Let Limit List Load Lock Log Look Lower Make Map Mark Match
Measure Merge Mount Move Name Normalize Note Observe Offer Open Order Parse Pass Patch Pause Pick Pin
Place Plan Poll Post Predict Prepare Print Probe Produce Prompt Protect Prove Publish Pull Push Put
Quote Raise Read Rebuild Receive Record Redact Reduce Refresh Refuse Register Reject Release Remember
Remove Rename Render Replace Reply Report Request Require Reserve Reset Resolve Restart Restore Resume
Retry Return Reuse Reverse Revoke Roll Round Route Run Save Say Scale Scan Schedule Score Screen Search
Seed Select Send Serve Set Shorten Show Shut Sign Size Skip Sleep Sort Split Start Stop Store Stream
Strip Submit Substitute Summarize Suppress Swap Switch Take Tell Test Trace Track Translate Trim Try
Turn Undo Unmake Unmount Unpack Update Upload Use Validate Verify Visit Wait Wake Walk Warm Warn Watch
Work Wrap Write Yield
"""
"""What the docstring of a function may begin with. Another verb in the imperative belongs here, too; a noun does not."""


def test_the_core_neither_prints_nor_knows_terminal_and_command_line() -> None:
    broken = []
    for path in MODULES:
        if within(name(path), *TERMINAL, "homeport.cli", "homeport.reference"):
            continue
        knows = [
            one for one in imports(path) if within(one, "rich", "click", "homeport.terminal", "homeport.cli")
        ]
        prints = [
            node.func.id
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"print", "input"}
        ]
        broken += [f"{name(path)}: {one}" for one in (*knows, *prints)]
    assert not broken


def test_each_layer_knows_only_those_below_it() -> None:
    broken = [
        f"{name(path)} imports {module}"
        for path in HOMEPORT
        for layer, above in LAYERS.items()
        if within(name(path), layer)
        for module in imports(path)
        if within(module, *above) or (layer == "homeport.reconcile" and "Google" in module)
    ]
    assert not broken


def test_engines_alone_say_what_is_true_of_engines() -> None:
    """
    Nothing else names one in a string that is no documentation, or imports from its folder; and no other data names one at
    all, by its name or its makers' spelling.
    """
    named = re.compile(rf"(?<![\w.])(?:{'|'.join(NAMES)})(?!\w)")
    folders = [f"homeport.engines.{engine}" for engine in NAMES]
    titled = re.compile(
        "|".join(re.escape(one) for engine in NAMES for one in (engine, module(engine).TITLE)), re.IGNORECASE
    )
    broken = [
        f"{path.relative_to(SRC)}: {line}"
        for path in DATA
        if not within(name(path), "homeport.engines", *DATA_NAMES_ENGINES)
        for line in path.read_text(errors="ignore").splitlines()
        if titled.search(line)
    ]
    for path in HOMEPORT:
        if within(name(path), "homeport.engines", *NAME_ENGINES):
            continue
        broken += [f"{name(path)}: {text!r}" for text in texts(path) if named.search(text)]
        broken += [f"{name(path)} imports {module}" for module in imports(path) if within(module, *folders)]
    assert not broken


def test_targets_alone_say_what_is_true_of_targets() -> None:
    """Nothing else compares with the name of one; where it must differ, it asks the target, its capabilities or the registry."""
    broken = [
        f"{name(path)}: {ast.unparse(node)}"
        for path in HOMEPORT
        if not within(name(path), "homeport.targets")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Compare) and names_target(node)
    ]
    assert not broken


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ('on == "cloudrun"', True),
        ('"local" != self.on', True),
        ("on == registry.DEFAULT", True),
        ('on in {"cloudrun", "gke"}', True),
        ("on in registry.CLOUDS", False),
        ('guard.screen == "local"', False),
    ],
)
def test_a_comparison_with_the_name_of_a_target_is_seen_however_it_is_written(code: str, seen: bool) -> None:
    (node,) = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Compare)]
    assert names_target(node) is seen


def names_target(node: ast.Compare) -> bool:
    """Return whether an operand is the name of a target, or has one; a screen of `[guard]` is called `local`, too."""
    operands = [ast.unparse(one) for one in (node.left, *node.comparators)]
    if any(operand.rpartition(".")[2] == "screen" for operand in operands):
        return False
    words = {
        one.value
        for operand in (node.left, *node.comparators)
        for one in (operand.elts if isinstance(operand, ast.Set | ast.Tuple | ast.List) else (operand,))
        if isinstance(one, ast.Constant)
    }
    return "registry.DEFAULT" in operands or not TITLES.keys().isdisjoint(words)


def test_google_is_reached_through_one_door() -> None:
    """No other module names an address of Google's, or imports what google-auth brings."""
    broken = []
    for path in HOMEPORT:
        if not within(name(path), *NAMES_ADDRESSES):
            broken += [f"{name(path)}: {text!r}" for text in texts(path) if ADDRESS.search(text)]
        if not within(name(path), "homeport.google"):
            broken += [
                f"{name(path)} imports {module}" for module in imports(path) if within(module, "google")
            ]
    assert not broken


def test_homeport_and_the_rehearsal_do_not_know_each_other() -> None:
    """Except for the command, which starts one, and the switch for validation."""
    broken = [
        f"{name(path)} imports {module}"
        for path in HOMEPORT
        if not name(path).startswith(KNOW_THE_REHEARSAL)
        for module in imports(path)
        if within(module, "gcp_rehearsal")
    ]
    broken += [
        f"{name(path)} imports {module}"
        for path in REHEARSAL
        for module in imports(path)
        if within(module, "homeport")
    ]
    assert not broken


def test_commands_write_files_of_the_users_in_one_step() -> None:
    """By `write_whole`: what writes into a file that is there loses it where it is stopped half-way."""
    broken = [
        f"{name(path)}:{node.lineno}"
        for path in MODULES
        if within(name(path), "homeport.cli") and name(path) != "homeport.cli.rehearse_programs"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in {"write_text", "write_bytes"}
    ]
    assert not broken


def test_modules_do_not_import_each_other_in_circles() -> None:
    """Imports for typing and within functions count."""
    found = [*circles(import_graph(HOMEPORT)), *circles(import_graph(REHEARSAL))]
    assert not [sorted(circle) for circle in found]


def test_modules_and_functions_stay_small() -> None:
    broken = [
        f"{name(path)} has more than 400 lines" for path in MODULES if path.read_text().count("\n") > 400
    ]
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > 50:
                    broken.append(f"{name(path)}.{node.name} has {length} lines, more than 50")
    assert not broken


def test_every_module_and_public_function_says_what_the_caller_gets() -> None:
    broken = [name(path) for path in MODULES if not ast.get_docstring(tree(path))]
    for path in MODULES:
        for node in tree(path).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            documented = ast.get_docstring(node)
            if name(path) == "homeport.errors" and isinstance(node, ast.ClassDef):
                documented = node.name if node.name in (ast.get_docstring(tree(path)) or "") else ""
            if not node.name.startswith("_") and not documented:
                broken.append(f"{name(path)}.{node.name}")
    assert not broken


def test_the_docstring_of_a_function_begins_with_a_verb() -> None:
    """Those of properties, too, which D401 leaves out; and it takes any word that it does not know for a verb."""
    verbs = set(VERBS.split())
    broken = []
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            first, second, *_ = [*(ast.get_docstring(node) or "Return").split(), ""]
            # "List of …" is a noun.
            if first.rstrip(",.:;") not in verbs or second == "of":
                broken.append(f"{name(path)}:{node.lineno} {node.name}: {first} {second}")
    assert not broken


def test_every_http_client_names_how_long_it_waits() -> None:
    """What httpx2 waits of itself is another time in tests (conftest.py), so that none of them would see how short it is."""
    broken = [f"{name(path)}:{line}" for path in MODULES for line in without_timeout(tree(path))]
    assert not broken


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("import httpx2\nhttpx2.AsyncClient(trust_env=False)", [2]),
        ("import httpx2 as http\nhttp.get('x')\nhttp.get('x', timeout=5)", [2]),
        ("from httpx2 import Client as Sync, Response\nSync(**more)\nResponse(200)", [2]),
        ("import httpx2\nhttpx2.Client(timeout=None)\nhttpx2.URL('x')", []),
        ("from mcp import Client\nClient(server)\nmine.get('x')", []),
    ],
)
def test_a_client_that_names_no_timeout_is_seen_however_it_is_imported(code: str, lines: list[int]) -> None:
    assert without_timeout(ast.parse(code)) == lines


def test_every_http_client_goes_by_no_proxy_that_nobody_has_judged() -> None:
    broken = [f"{name(path)}:{line}" for path in MODULES for line in by_unjudged_proxies(tree(path))]
    assert not broken


def test_a_client_that_goes_by_an_unjudged_proxy_is_seen() -> None:
    code = (
        "import httpx2\nhttpx2.Client()\nhttpx2.Client(trust_env=True)\nhttpx2.get('x', trust_env=not mine)\n"
        "httpx2.Client(trust_env=False)\nhttpx2.Client(trust_env=by_environment(not mine))"
    )
    assert by_unjudged_proxies(ast.parse(code)) == [2, 3, 4]


def test_every_any_says_why() -> None:
    """JSON has a name of its own: `Json`, `JsonObject`."""
    assert not [f"{name(path)}:{line}" for path in MODULES for line in any_without_reason(path)]


def test_an_any_without_a_reason_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    file.write_text(
        "def one(x: Any) -> None:  # Any: as click has it\n    y: Any = x\n\n\n"
        "def two(\n    x: Any,  # Any: whatever it is\n) -> dict[str, Any]:\n    z: Any = x  # Any: as above\n    return z\n\n\n"
        "three = cast(Any, 3)\n"
    )
    assert [*any_without_reason(file)] == [2, 12]


def test_no_two_classes_have_one_name() -> None:
    twice = {one: modules for one, modules in class_names().items() if len(modules) > 1}
    assert not {one: modules for one, modules in twice.items() if one not in SHARED_NAMES}
