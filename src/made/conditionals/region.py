"""Regions: the sets of values that events are made of. Knows numbers; knows nothing of columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from made.errors import OptionError


@dataclass(frozen=True)
class Interval:
    """The values between ``low`` and ``high``; each end belongs to it or not."""

    low: float
    high: float
    includes_low: bool = True
    includes_high: bool = True

    def contains(self, values: Tensor) -> Tensor:
        above = values >= self.low if self.includes_low else values > self.low
        below = values <= self.high if self.includes_high else values < self.high
        return above & below


@dataclass(frozen=True)
class Region:
    """A union of disjoint intervals, and perhaps the outcome "missing".

    A set of values is a union of intervals of one point.

    Examples
    --------
    >>> Region.of_values([1.0]).contains(torch.tensor([0.0, 1.0])).tolist()
    [False, True]
    """

    intervals: tuple[Interval, ...]
    missing: bool = False

    def __post_init__(self) -> None:
        for part in self.intervals:
            if part.low != part.low or part.high != part.high:
                raise OptionError(
                    f"An end of an interval is no number: {part}. For cells that are missing, "
                    "pass missing=True."
                )
        ordered = sorted(self.intervals, key=lambda part: (part.low, part.high))
        for left, right in pairwise(ordered):
            touching = left.high == right.low and left.includes_high and right.includes_low
            if left.high > right.low or touching:
                raise OptionError(f"The intervals of a region must not overlap: {left}, {right}.")

    @classmethod
    def of_values(cls, values: Iterable[float], *, missing: bool = False) -> Region:
        return cls(tuple(Interval(value, value) for value in sorted(set(values))), missing)

    def contains(self, values: Tensor) -> Tensor:
        """Return which of ``values`` belong to the region; NaN is missing."""
        inside = torch.isnan(values) & self.missing
        for interval in self.intervals:
            inside = inside | interval.contains(values)
        return inside
