"""What Google's uptime checks of an endpoint say, as a panel and an alert: whether it can be reached from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.observe.chart import Alert, Curve, Panel

EVERY_S = 300
PLACES = ("ASIA_PACIFIC", "EUROPE", "USA_VIRGINIA")
"""Three is the least that Google takes, and each of these has one checker."""
TIMEOUT_S = 30
_WINDOW, _LASTS = "7m", "6m"
"""Of each place one check at least, and then a second: one that got no answer alone is told of by nobody."""
_UNTRIED = "no check has been made in the last minutes"


@dataclass(frozen=True, slots=True)
class UptimeWatch:
    """The uptime checks of one service."""

    name: str
    region: str

    def panel(self) -> Panel:
        """Return the chart of how many places get an answer."""
        curve = Curve(name="answered", query=f"sum({self._answered})", empty_while=_UNTRIED)
        return Panel(title="Places from which it answers", unit="short", curves=(curve,))

    def alert(self) -> Alert:
        """Return the rule that fires where two places get no answer, twice in a row. It does not where nobody asks."""
        return Alert(
            name="HomeportUnreachable", value=f"sum(1 - {self._answered})", compared="> 1", lasts=_LASTS, severity="critical",
            summary=f"{self.name} does not answer Google's uptime checks from two places or more",
            todo="`homeport status --on cloudrun` and `homeport verify --on cloudrun` tell whether it serves; `homeport observe check "
            "--on cloudrun` whether the checks may call it",
            empty_while=_UNTRIED,
        )  # fmt: skip

    @property
    def _answered(self) -> str:
        """Return the query that is 1 for each place with an answer: by whichever check of this service, since a name is Google's choice."""
        labels = (
            f'monitored_resource="cloud_run_revision",service_name="{self.name}",location="{self.region}"'
        )
        series = f"monitoring_googleapis_com:uptime_check_check_passed{{{labels}}}"
        return f"max by (checker_location) (max_over_time({series}[{_WINDOW}]))"
