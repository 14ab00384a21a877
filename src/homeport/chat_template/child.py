"""The process that tries one template, given on standard input, and has limits: a template comes from outside."""

from __future__ import annotations

import json
import resource
import sys

MOST_CPU_S = 2
"""Seconds of processor time for everything; a long template of 100 KB takes a tenth of one."""
MOST_MEMORY = 1 << 30
"""Bytes of addresses; not bounded on macOS."""


def bound(which: int, soft: int, hard: int) -> None:
    """Limit this process, which may be limited to less already."""
    _, least = resource.getrlimit(which)
    most = hard if least == resource.RLIM_INFINITY else min(hard, least)
    resource.setrlimit(which, (min(soft, most), most))


def main() -> None:
    """Read both templates, and write what was found as JSON."""
    bound(resource.RLIMIT_CPU, MOST_CPU_S, MOST_CPU_S + 1)
    if sys.platform != "darwin":  # Which refuses it.
        bound(resource.RLIMIT_AS, MOST_MEMORY, MOST_MEMORY)
    bound(resource.RLIMIT_CORE, 0, 0)
    from homeport.chat_template.trial import answered

    found = answered(sys.stdin.read())
    json.dump([[finding.kind, finding.text] for finding in found], sys.stdout)


if __name__ == "__main__":
    main()
