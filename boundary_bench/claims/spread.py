"""Uncertainty of an estimate in a table: one-sided p-values, and intervals at other levels."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import betainc, betaincinv, stdtr, stdtrit


@dataclass(frozen=True)
class Mean:
    """A mean over problems with its interval, converted to other levels by Student's distribution.

    Each side is as wide as the interval on that side, or as half the interval if that is more: so at the table's level
    no value inside the table's interval is excluded. The tails have P - 1 degrees of freedom.
    """

    estimate: float
    low: float
    high: float
    level: float
    problems: int

    @property
    def _freedom(self) -> int:
        return max(self.problems - 1, 1)

    def _unit(self, above: bool) -> float:
        own = self.estimate - self.low if above else self.high - self.estimate
        return float(max(own, (self.high - self.low) / 2) / stdtrit(self._freedom, (1 + self.level) / 2))

    def chance_not(self, above: bool, threshold: float) -> float:
        """One-sided p-value of the truth not being above (below) the threshold."""
        distance = self.estimate - threshold if above else threshold - self.estimate
        return float(stdtr(self._freedom, -distance / self._unit(above)))

    def interval(self, level: float) -> tuple[float, float]:
        """The interval at another level."""
        width = float(stdtrit(self._freedom, (1 + level) / 2))
        return self.estimate - width * self._unit(True), self.estimate + width * self._unit(False)


@dataclass(frozen=True)
class Proportion:
    """A share of counted problems, with the Jeffreys posterior Beta(inside + 1/2, outside + 1/2)."""

    inside: int
    outside: int

    @property
    def estimate(self) -> float:
        """The share."""
        return self.inside / (self.inside + self.outside)

    def chance_not(self, above: bool, threshold: float) -> float:
        """One-sided p-value of the truth not being above (below) the threshold."""
        if not 0 < threshold < 1:  # a share is never beyond 0 and 1
            return 0.0 if (threshold <= 0) == above else 1.0
        below = float(betainc(self.inside + 0.5, self.outside + 0.5, threshold))
        return below if above else 1 - below

    def interval(self, level: float) -> tuple[float, float]:
        """The Jeffreys interval, with its end at 0 or 1 if all problems are on one side."""
        tails = ((1 - level) / 2, (1 + level) / 2)
        low, high = (float(betaincinv(self.inside + 0.5, self.outside + 0.5, tail)) for tail in tails)
        return (low if self.inside else 0.0), (high if self.outside else 1.0)
