"""What a chart and an alert are made of, for every server that takes PromQL."""

from __future__ import annotations

from dataclasses import dataclass

LABEL = "namespace"
"""The label with the endpoint's name: that which Google's sidecar writes a Cloud Run service's name into."""
REGION = "location"
"""The label with the region: of Cloud Run's own counts, and of what the sidecar writes."""


def together(what: str, *, apart: bool) -> str:
    """Return an aggregation such as `sum` of all series, or `apart` for those of each region."""
    return f"{what} by ({REGION}) " if apart else what


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One query of a panel, and what its line is called."""

    name: str
    query: str
    empty_while: str = ""
    """When it has no data though nothing is wrong, such as `no request has come`; '' for never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart."""

    title: str
    unit: str
    """As Grafana names it: `s`, `percentunit`, `reqps`, `short`."""
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule: the `value`, and what `also` must be so, compared with a bound, for longer than `lasts`."""

    name: str
    value: str
    """A query of its own: where it has an answer, the rule can fire."""
    compared: str
    """Such as `> 0.95`."""
    lasts: str
    severity: str
    summary: str
    todo: str
    also: str = ""
    """A second query that is compared with the same bound, such as the same over less time; '' for none."""
    empty_while: str = ""
    """When the value has no answer though nothing is wrong, as with a curve."""

    @property
    def query(self) -> str:
        """Return the query that has an answer while it should fire."""
        second = f" and {self.also} {self.compared}" if self.also else ""
        return f"{self.value} {self.compared}{second}"
