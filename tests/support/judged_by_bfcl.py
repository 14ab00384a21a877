"""
Holds homeport's grading of BFCL's tasks against BFCL's own checker: `judged_by_bfcl.py SITE_PACKAGES`.

Each call of each key is made in a dozen ways, right and wrong; both say whether it is right. Prints JSON: how often they
agreed, and by kind where homeport took what BFCL refuses (`laxer`) or refused what BFCL takes (`stricter`).
"""

from __future__ import annotations

import copy
import json
import sys
import types
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import Any

Made = list[tuple[str, dict[str, Any]]]


def variants(calls: Made) -> Iterator[tuple[str, Made]]:
    """Give the calls as they are right, and each of them changed in one place."""
    yield "right", calls
    yield "other order", calls[::-1]
    yield "one missing", calls[:-1]
    yield "one twice", [*calls, calls[-1]]
    for place, (name, arguments) in enumerate(calls):
        for kind, changed in of_one(arguments):
            yield kind, [*calls[:place], (name, changed), *calls[place + 1 :]]


def of_one(arguments: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the arguments of one call, changed."""
    yield "no arguments", {}
    yield "one more argument", {**arguments, "zzz": 1}
    for name, value in arguments.items():
        yield "left out", {key: one for key, one in arguments.items() if key != name}
        for kind, changed in of_value(value):
            yield kind, {**arguments, name: changed}


def of_value(value: Any) -> Iterator[tuple[str, Any]]:
    """Give a value, changed."""
    if isinstance(value, bool):
        yield "the contrary", not value
    elif isinstance(value, int | float):
        yield "one more", value + 1
        yield "a number as text", str(value)
        if isinstance(value, int):
            yield "a whole number as a float", float(value)
    elif isinstance(value, str):
        yield "capitals", value.upper()
        yield "a space before", f" {value}"
        yield "another text", f"{value} zebra"
    elif isinstance(value, list):
        yield "a longer list", [*value, value[-1] if value else 1]
        yield "a list the other way round", value[::-1]
    elif isinstance(value, dict):
        yield "an empty object", {}


def theirs() -> Any:
    """BFCL's checker, without the clients of a dozen makers that its modules import beside it."""

    class Named:
        underscore_to_dot = True

    converters = "bfcl_eval.eval_checker.ast_eval.type_convertor"
    stand_ins: dict[str, dict[str, Any]] = {
        "bfcl_eval.constants.model_config": {"MODEL_CONFIG_MAPPING": {"m": Named}},
        f"{converters}.java_type_converter": {"java_type_converter": None},
        f"{converters}.js_type_converter": {"js_type_converter": None},
    }
    for module, names in stand_ins.items():
        stand_in = types.ModuleType(module)
        vars(stand_in).update(names)
        sys.modules[module] = stand_in
    python = import_module("bfcl_eval.constants.enums").Language.PYTHON
    ast_checker = import_module("bfcl_eval.eval_checker.ast_eval.ast_checker").ast_checker

    def right(asked: Any, key: Any, category: str, made: Made) -> bool:
        said = [{name: copy.deepcopy(arguments)} for name, arguments in made]
        tools, keys = copy.deepcopy((asked["function"], key["ground_truth"]))
        return bool(ast_checker(tools, said, keys, python, category, "m")["valid"])

    return right


def main() -> None:
    """Compare, and print."""
    sys.path.append(sys.argv[1])
    from homeport.agents.evaluation import bfcl
    from homeport.agents.evaluation.arguments import fit_together, usual

    checker = theirs()
    agreed = 0
    laxer, stricter = Counter[str](), Counter[str]()
    for category in (one for suite in bfcl.SUITES.values() for one in suite if "irrelevance" not in one):
        for asked, key in bfcl._pairs(bfcl._folder(), category):
            try:
                (expected,) = bfcl._task(category, asked, key).calls
            except bfcl._LeftOut:
                continue
            for kind, made in variants([(one.tool, usual(one)) for one in expected]):
                ours = fit_together(expected, made)
                if ours == checker(asked, key, category, made):
                    agreed += 1
                else:
                    (laxer if ours else stricter)[kind] += 1
    print(json.dumps({"agreed": agreed, "laxer": laxer, "stricter": stricter}))


if __name__ == "__main__":
    main()
