"""Regions: the sets of values that events are made of. Knows numbers; knows nothing of columns."""

from __future__ import annotations

import math
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

    @property
    def is_empty(self) -> bool:
        closed = self.includes_low and self.includes_high
        return self.low > self.high or (self.low == self.high and not closed)

    @property
    def is_point(self) -> bool:
        return self.low == self.high


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
    def everything(cls) -> Region:
        """Return the region of all outcomes, missing among them."""
        return cls((Interval(-math.inf, math.inf),), missing=True)

    @classmethod
    def of_values(cls, values: Iterable[float], *, missing: bool = False) -> Region:
        return cls(tuple(Interval(value, value) for value in sorted(set(values))), missing)

    def contains(self, values: Tensor) -> Tensor:
        """Return which of ``values`` belong to the region; NaN is missing."""
        inside = torch.isnan(values) & self.missing
        for interval in self.intervals:
            inside = inside | interval.contains(values)
        return inside

    @property
    def is_empty(self) -> bool:
        return not self.intervals and not self.missing

    @property
    def is_everything(self) -> bool:
        return self == Region.everything()

    def complement(self) -> Region:
        """Return all outcomes that do not belong to the region.

        Examples
        --------
        >>> Region((Interval(2, 3),)).complement().contains(torch.tensor([1.0, 2.0, torch.nan]))
        tensor([ True, False,  True])
        """
        gaps, low, includes_low = [], -math.inf, True
        for part in sorted(self.intervals, key=lambda part: (part.low, part.high)):
            gaps.append(Interval(low, part.low, includes_low, not part.includes_low))
            low, includes_low = part.high, not part.includes_high
        gaps.append(Interval(low, math.inf, includes_low, True))
        return Region(tuple(gap for gap in gaps if not gap.is_empty), not self.missing)

    def __and__(self, other: Region) -> Region:
        parts = [_overlap(one, two) for one in self.intervals for two in other.intervals]
        kept = tuple(part for part in parts if not part.is_empty)
        return Region(tuple(sorted(kept, key=lambda part: part.low)), self.missing & other.missing)

    def __or__(self, other: Region) -> Region:
        ordered = sorted(
            (*self.intervals, *other.intervals), key=lambda part: (part.low, not part.includes_low)
        )
        merged: list[Interval] = []
        for part in ordered:
            if merged and _touch(merged[-1], part):
                merged[-1] = _span(merged[-1], part)
            else:
                merged.append(part)
        return Region(tuple(merged), self.missing | other.missing)


def _overlap(one: Interval, two: Interval) -> Interval:
    low, high = max(one.low, two.low), min(one.high, two.high)
    # An end belongs to the overlap if it belongs to both.
    includes_low = all(part.includes_low for part in (one, two) if part.low == low)
    includes_high = all(part.includes_high for part in (one, two) if part.high == high)
    return Interval(low, high, includes_low, includes_high)


def _touch(left: Interval, right: Interval) -> bool:
    """Return whether nothing lies between two intervals, of which ``left`` begins first."""
    return right.low < left.high or (
        right.low == left.high and (left.includes_high or right.includes_low)
    )


def _span(left: Interval, right: Interval) -> Interval:
    last = max(left, right, key=lambda part: (part.high, part.includes_high))
    return Interval(left.low, last.high, left.includes_low, last.includes_high)
