"""What was checked in several regions as one report: the results of a further one are called REGION/NAME."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from homeport import patterns
from homeport.errors import Unsupported
from homeport.targets.base import OnResult
from homeport.targets.cloudrun.verification.checks import AGENT, ROUTE
from homeport.verify import Report, Result


def placed(result: Result, region: str) -> Result:
    """Return a result by the name that it has in a further region."""
    return replace(result, name=f"{region}/{result.name}", title=f"{result.title}, in {region}")


_ONCE = (AGENT, ROUTE)


def check_of(name: str) -> str:
    """Return the check of a name such as `chat`, or `us-central1/chat` for one region's."""
    region, _, check = name.rpartition("/")
    return check if check and re.match(patterns.REGION, region) else name


def checks_in(region: str, only: Sequence[str]) -> tuple[str, ...]:
    """Return the checks of `only` that are made in a region: those that name it, and those that name none."""
    there = [check_of(name) for name in only if name in {check_of(name), f"{region}/{check_of(name)}"}]
    return tuple(dict.fromkeys(there))


def refuse_elsewhere(only: Sequence[str], regions: Sequence[str]) -> None:
    """Raise `Unsupported` for a check of a region that is none of `regions`, and for one in a region that is made once for all."""
    for name in only:
        region, check = name.rpartition("/")[0], check_of(name)
        if region and check in _ONCE:
            raise Unsupported(f"{check} is checked once, and in no region", hint=f"say --only {check}")
        if region and region not in regions:
            raise Unsupported(
                f"{name} names a region that does not serve it",
                hint=f"the regions that serve it are {', '.join(regions)}",
            )


def heard_in(region: str, on_result: OnResult | None) -> OnResult:
    """Return what tells `on_result` of the results of a further region."""

    def hear(result: Result) -> None:
        if on_result is not None:
            on_result(placed(result, region))

    return hear


def with_region(report: Report, there: Report) -> Report:
    """Return a report with the results of another region behind its own."""
    return replace(report, results=(*report.results, *there.results), seconds=report.seconds + there.seconds)


def merged(reports: Mapping[str, Report], first: str) -> Report | None:
    """Return the reports of regions as one; None where there is none. `first` is the region whose results keep their names."""
    if not reports:
        return None
    results = [
        result if region == first else placed(result, region)
        for region, report in reports.items()
        for result in report.results
    ]
    whole = next(iter(reports.values()))
    return replace(whole, results=tuple(results), seconds=sum(report.seconds for report in reports.values()))


__all__ = ["check_of", "checks_in", "heard_in", "merged", "placed", "refuse_elsewhere", "with_region"]
