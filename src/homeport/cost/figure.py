"""A number of dollars or seconds, with the arithmetic that it comes from and what of it is unconfirmed."""

from __future__ import annotations

from dataclasses import dataclass

_WORTH_A_MARK = 0.01
"""An unconfirmed price marks a figure of which it makes at least this share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number, with where it comes from."""

    value: float
    unit: str
    how: str
    """The arithmetic, as text."""
    low: float | None = None
    """With the shortest cold start; None where a cold start has no part in it."""
    high: float | None = None
    """With the longest."""
    unconfirmed: tuple[str, ...] = ()
    """Keys of the unconfirmed prices that make at least a hundredth of it."""

    def __add__(self, other: Figure) -> Figure:
        """Return the sum, which is as unconfirmed as its larger parts."""
        value = self.value + other.value
        marks = [
            key for part in (self, other) if part.value >= _WORTH_A_MARK * value for key in part.unconfirmed
        ]
        spread = self.low is not None or other.low is not None
        return Figure(
            value=value,
            unit=self.unit,
            how=f"{self.how} + {other.how}",
            low=self._low + other._low if spread else None,
            high=self._high + other._high if spread else None,
            unconfirmed=tuple(dict.fromkeys(marks)),
        )

    @property
    def _low(self) -> float:
        return self.value if self.low is None else self.low

    @property
    def _high(self) -> float:
        return self.value if self.high is None else self.high

    def over(self, divisor: float, unit: str, how: str) -> Figure:
        """Return the figure divided, such as a month's by its hours."""
        return Figure(
            value=self.value / divisor,
            unit=unit,
            how=f"({self.how}) ÷ {how}",
            low=None if self.low is None else self.low / divisor,
            high=None if self.high is None else self.high / divisor,
            unconfirmed=self.unconfirmed,
        )
