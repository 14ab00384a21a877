"""What was checked in several regions as one report: the results of a further one are called REGION/NAME."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from homeport.targets.base import OnResult
from homeport.verify import Report, Result


def placed(result: Result, region: str) -> Result:
    """Return a result by the name that it has in a further region."""
    return replace(result, name=f"{region}/{result.name}", title=f"{result.title}, in {region}")


def heard_in(region: str, on_result: OnResult | None) -> OnResult:
    """Return what tells `on_result` of the results of a further region."""

    def hear(result: Result) -> None:
        if on_result is not None:
            on_result(placed(result, region))

    return hear


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


__all__ = ["heard_in", "merged", "placed"]
