"""What an engine does otherwise: a failure where it was promised, else something to be told."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from homeport.engines.conformance import Conformance, Feature, Stance
from homeport.engines.registry import module
from homeport.errors import EndpointError, NetworkError
from homeport.verify.report import Finding, VerificationSubject, failed, noted, passed

LATER = frozenset((408, 429, 503))
"""By these nobody refuses for good: an engine that is busy, or Cloud Run before it."""
NOT_ITS_OWN = LATER | {401, 403}
"""What is answered to whoever asks, whatever is asked: no trait of the engine, so a check that gets it could not tell."""


def standing(subject: VerificationSubject, feature: Feature) -> Conformance:
    """Return how the engine of an endpoint stands to a feature, as it says itself."""
    return module(subject.engine).HONOURS[feature]


def finding(
    subject: VerificationSubject, troubles: Mapping[Feature, str], seen: str, **evidence: Any
) -> Finding:  # Any: JSON
    """
    Return the finding where `troubles` are what is otherwise, and `seen` is what is right.

    It has failed where one of them was promised. Otherwise they are told, with what is known of the engine.
    """
    if not troubles:
        return passed(seen, **evidence)
    title, stands = (
        module(subject.engine).TITLE,
        {feature: standing(subject, feature).standing for feature in troubles},
    )
    broken = [feature for feature in troubles if stands[feature] is Stance.HONOURED]
    if broken:
        return failed("; ".join(troubles[feature] for feature in broken), **evidence)
    known = all(stand is Stance.NOT_HONOURED for stand in stands.values())
    why = f"known of {title}" if known else f"not promised: nobody has checked here what {title} does"
    return noted(f"{'; '.join(troubles.values())} ({why})", **evidence)


async def judged(subject: VerificationSubject, feature: Feature, look: Awaitable[Finding]) -> Finding:
    """
    Return what `look` finds; where the API refuses, breaks off or answers in another shape, that is otherwise, too.

    What says nothing of the engine is raised: see `NOT_ITS_OWN`.
    """
    try:
        return await look
    except EndpointError as error:
        if error.status in NOT_ITS_OWN:
            raise
        return finding(subject, {feature: str(error)}, "")
    except NetworkError as error:
        return finding(subject, {feature: str(error)}, "")
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        shape = f"the answer is not what its API describes: {type(error).__name__} {error}"
        return finding(subject, {feature: shape}, "")
