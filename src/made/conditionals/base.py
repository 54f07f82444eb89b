"""The contract of a conditional family, and the regions that events are made of.

A family turns a run of parameters (network outputs) into a one-dimensional distribution over
the values of a column. It knows nothing of networks, orderings or tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

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
    """A union of disjoint intervals; a set of values is a union of intervals of one point.

    Examples
    --------
    >>> Region.of_values([1.0]).contains(torch.tensor([0.0, 1.0])).tolist()
    [False, True]
    """

    intervals: tuple[Interval, ...]

    def __post_init__(self) -> None:
        ordered = sorted(self.intervals, key=lambda part: (part.low, part.high))
        for left, right in pairwise(ordered):
            touching = left.high == right.low and left.includes_high and right.includes_low
            if left.high > right.low or touching:
                raise OptionError(f"The intervals of a region must not overlap: {left}, {right}.")

    @classmethod
    def of_values(cls, values: Iterable[float]) -> Region:
        return cls(tuple(Interval(value, value) for value in sorted(set(values))))

    def contains(self, values: Tensor) -> Tensor:
        inside = torch.zeros_like(values, dtype=torch.bool)
        for interval in self.intervals:
            inside = inside | interval.contains(values)
        return inside


class ConditionalFamily(ABC):
    """A one-dimensional distribution whose parameters a network emits.

    Shapes: ``parameters`` is ``(..., n_parameters)``, ``values`` and ``uniforms`` are ``(...)``,
    and so is every result. Log-probabilities are in nats.
    """

    name: ClassVar[str]
    n_parameters: ClassVar[int]

    @abstractmethod
    def log_prob(self, parameters: Tensor, values: Tensor) -> Tensor:
        """Log mass or log density of ``values``."""

    @abstractmethod
    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """The value at which the cdf passes ``uniforms``: the same uniform, the same draw."""

    @abstractmethod
    def cdf(self, parameters: Tensor, values: Tensor) -> Tensor:
        """Probability of a value of at most ``values``."""

    @abstractmethod
    def mass(self, parameters: Tensor, region: Region) -> Tensor:
        """Probability of the region."""

    @abstractmethod
    def mode(self, parameters: Tensor) -> Tensor:
        """The most likely value."""

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """The expected value."""

    @abstractmethod
    def marginal_parameters(self, values: Tensor) -> Tensor:
        """Parameters, shape ``(n_parameters,)``, that fit a column by itself.

        Output biases start there, so that training begins at independent columns.
        """
