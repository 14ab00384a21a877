"""
Proof that an endpoint is what it promises: small independent checks, each with its evidence.

What a report is made of is here at once; the checks are imported when one of the other names is asked for, since commands
that verify nothing import this package, too.
"""

from typing import TYPE_CHECKING, Any

from homeport.verify.report import Finding, Outcome, Report, Result, VerificationSubject

if TYPE_CHECKING:
    from homeport.verify.runner import CHECKS, checks_of, verify

__all__ = ["CHECKS", "Finding", "Outcome", "Report", "Result", "VerificationSubject", "checks_of", "verify"]


def __getattr__(name: str) -> Any:  # Any: what is asked for
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from homeport.verify import runner

    return getattr(runner, name)
