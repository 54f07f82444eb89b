"""The probability of an event given another, under one ensemble: a ratio of two sums of masses.

    P(A | B) = P(A and B) / P(B),    P(A) = sum over beginnings g and boxes of A of w_g P_g(box)

Each term is summed exactly where its cells are few, else estimated by draws, of which there are as
many as the tolerance asks for. Knows boxes and their masses; knows nothing of text or tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from made.columns import Column, NumericColumn
from made.conditionals.region import Region
from made.ensemble import Beginning, Beginnings
from made.errors import QuestionError
from made.queries.events import (
    MOST_BOXES,
    Conjunction,
    Event,
    boxes_of,
    columns_of,
    holds,
    named,
    no_mass,
)
from made.queries.masses import (
    Constraint,
    count_cells,
    draw_particles,
    exact_mass,
    size_of,
    tiers_of,
)
from made.queries.pools import pool_masses, pool_ratios
from made.uniforms import QUESTIONS, derived_seed, uniforms

Method = Literal["orderings", "particles"]

# Cells that are enumerated for one question, over all boxes and beginnings.
_MOST_ENUMERATED = 2**15
_FIRST_DRAWS, _LEAST_DRAWS = 1024, 16


@dataclass(frozen=True)
class Answer:
    """A probability, or a count, and how well it is known.

    Attributes
    ----------
    value : float
    standard_error : float
        0 where the value is exact.
    exact : bool
        Whether it is exact for the ensemble that was asked, or an estimate from draws.
    method : {"orderings", "particles"}
        Whether the columns that were asked for came first in the orderings, or the orderings were
        those of training.
    n_draws : int
    effective_sample_size : float or None
        How many equally weighted draws would know as much; None where nothing was drawn.
    """

    value: float
    standard_error: float
    exact: bool
    method: Method
    n_draws: int = 0
    effective_sample_size: float | None = None

    def __float__(self) -> float:
        return self.value

    def times(self, factor: float) -> Answer:
        """Return the answer, and its error, times a number."""
        return replace(self, value=self.value * factor, standard_error=self.standard_error * factor)


class _Stratum:
    """One box under one beginning: a mass, or draws whose mean estimates it.

    Below power 1 every draw counts by M / M_1, which is at most 1, so that their mean is the mass
    under M, not normalised.
    """

    def __init__(
        self,
        beginnings: Beginnings,
        group: Beginning,
        constraint: Constraint,
        event: Event,
        seed: int,
    ) -> None:
        self.group, self.weight = group, group.weight
        self._pool = None if beginnings.combination.is_mixture else beginnings
        self.constraint = constraint
        # What must hold beyond the box, looked at in drawn rows.
        self.event = event
        self.log_mass: float | None = None
        self._seed = seed
        self.n, self.sum, self.squares = 0, 0.0, 0.0

    @property
    def n_cells(self) -> float:
        if self.event is not True or self._pool is not None:
            return math.inf
        return count_cells(self.group, self.constraint)

    def sum_up(self) -> None:
        self.log_mass = exact_mass(self.group, self.constraint)

    def draw(self, n_rows: int, log_scale: float) -> None:
        drawn = uniforms(self._seed, self.n, n_rows, self.group.model.n_columns)
        whole = self.event is not True or self._pool is not None
        reach = self.group.n_columns if whole else None
        particles = draw_particles(self.group, self.constraint, drawn, reach)
        terms = np.exp(particles.log_weights - log_scale)
        if self._pool is not None:
            terms = terms * pool_ratios(self._pool, particles.values)
        if self.event is not True:
            terms = terms * holds(self.event, particles.values)
        self.n += n_rows
        self.sum += float(terms.sum())
        self.squares += float(np.square(terms).sum())

    def mean(self, log_scale: float) -> float:
        if self.log_mass is not None:
            return math.exp(self.log_mass - log_scale)
        return self.sum / max(self.n, 1)

    @property
    def variance(self) -> float:
        """The variance of one draw; 0 where nothing is drawn."""
        if self.log_mass is not None or not self.n:
            return 0.0
        mean = self.sum / self.n
        return max(self.squares / self.n - mean * mean, 0.0)


class _Total:
    """A weighted sum of strata."""

    def __init__(self, strata: list[_Stratum]) -> None:
        self.strata = strata

    @property
    def drawn(self) -> list[_Stratum]:
        return [stratum for stratum in self.strata if stratum.log_mass is None]

    def value(self, log_scale: float) -> float:
        return sum(stratum.weight * stratum.mean(log_scale) for stratum in self.strata)

    @property
    def variance(self) -> float:
        return sum(one.weight**2 * one.variance / max(one.n, 1) for one in self.drawn)

    def draw(self, n_rows: int, log_scale: float) -> None:
        """Draw where it tells most: by weight times standard deviation, once that is known."""
        shares = np.array([one.weight * one.variance**0.5 for one in self.drawn])
        if not shares.sum() > 0:
            shares = np.array([one.weight for one in self.drawn])
        for one, share in zip(self.drawn, shares / shares.sum(), strict=True):
            one.draw(max(round(n_rows * share), _LEAST_DRAWS), log_scale)


def order_columns(columns: Sequence[Column], event: Event, given: Event) -> list[list[int]]:
    """Return the columns of a question, tier by tier, as they are cheapest to enumerate."""
    involved = columns_of(Conjunction((given, event)))
    boxes = boxes_of(Conjunction((given, event)), MOST_BOXES) or []
    sizes: dict[int, float | None] = {}
    for column in involved:
        region = Region(())
        for box in boxes:
            region = region | box.get(column, Region.everything())
        sizes[column] = size_of(columns[column], region if boxes else Region.everything())
    return tiers_of(involved, sizes, columns_of(given))


def probability(
    beginnings: Beginnings,
    event: Event,
    given: Event,
    *,
    tolerance: float,
    max_draws: int,
    seed: int,
    method: Method,
) -> Answer:
    """Return P(event | given) under one ensemble.

    Parameters
    ----------
    beginnings : Beginnings
        With all columns of the question at the beginning.
    event, given : Event
    tolerance : float
        Draws end when the standard error is at most this share of the value.
    max_draws : int
        Or when there are so many of the event.
    seed : int
    method : {"orderings", "particles"}
        How the beginnings came about, for the answer.

    Raises
    ------
    QuestionError
        If the evidence has no mass.
    """
    columns = beginnings.members.models[0].columns
    whole = Conjunction((given, event))
    known = pool_masses(beginnings, whole, given)
    if known is not None:
        value, error = _checked_ratio(*known, given, columns), 0.0
        return Answer(min(value, 1.0), error, exact=True, method=method)
    both = _Total(_strata(beginnings, whole, given, derived_seed(seed, QUESTIONS, 0)))
    evidence = _Total(_strata(beginnings, given, given, derived_seed(seed, QUESTIONS, 1)))
    _enumerate([*evidence.strata, *both.strata])
    log_scale = _log_scale(evidence)
    sides = [side for side in (both, evidence) if side.drawn]
    n_rows, n_draws = _FIRST_DRAWS, 0
    while sides and n_draws < max_draws:
        n_rows = min(n_rows, max_draws - n_draws)
        for side in sides:
            side.draw(n_rows, log_scale)
        n_draws += n_rows
        n_rows = n_draws
        value, error = _ratio(both, evidence, log_scale)
        if value > 0 and error <= tolerance * value:
            break
    _checked_ratio(both.value(log_scale), evidence.value(log_scale), given, columns)
    value, error = _ratio(both, evidence, log_scale)
    draws = sum(one.n for side in sides for one in side.drawn)
    return Answer(
        value=min(value, 1.0),
        standard_error=error,
        exact=not sides,
        method=method,
        n_draws=draws,
        effective_sample_size=_effective(sides[0]) if sides else None,
    )


def _checked_ratio(above: float, below: float, given: Event, columns: Sequence[Column]) -> float:
    if not below > 0:
        raise no_mass(given, columns)
    return above / below


def _ratio(both: _Total, evidence: _Total, log_scale: float) -> tuple[float, float]:
    """Return the ratio of two sums and its standard error, by the delta method."""
    above, below = both.value(log_scale), evidence.value(log_scale)
    if not below > 0:
        return 0.0, math.inf
    value = above / below
    if not above > 0:
        # No draw has met the event: nothing is known but that it is rare.
        n = sum(one.n for one in both.drawn)
        return 0.0, 1 / n / below if n else 0.0
    relative = both.variance / above**2 + evidence.variance / below**2
    return value, value * relative**0.5


def _effective(side: _Total) -> float:
    total = sum(one.sum for one in side.drawn)
    squares = sum(one.squares for one in side.drawn)
    return total * total / squares if squares > 0 else 0.0


def _log_scale(evidence: _Total) -> float:
    """Return a number near the log of the evidence, whose density may be any number."""
    if not any(one.constraint.points for one in evidence.strata):
        return 0.0
    known = [one.log_mass for one in evidence.strata if one.log_mass is not None]
    for one in evidence.drawn:
        drawn = uniforms(derived_seed(0, QUESTIONS, 2), 0, 64, one.group.model.n_columns)
        known.append(float(draw_particles(one.group, one.constraint, drawn).log_weights.max()))
    largest = max(known)
    return largest if math.isfinite(largest) else 0.0


def _strata(beginnings: Beginnings, event: Event, given: Event, seed: int) -> list[_Stratum]:
    """Return the boxes of an event under every beginning; of too many, rows to be looked at."""
    columns = beginnings.members.models[0].columns
    points = points_of(given, columns)
    boxes = boxes_of(event, MOST_BOXES)
    rest: Event = True
    if boxes is None:
        # The evidence at least can be kept to.
        boxes, rest = boxes_of(given, 1) or [{}], event
    return [
        _Stratum(
            beginnings,
            group,
            Constraint(box, points),
            rest,
            derived_seed(seed, QUESTIONS, number, place),
        )
        for number, box in enumerate(boxes)
        for place, group in enumerate(beginnings.groups)
    ]


def points_of(given: Event, columns: Sequence[Column]) -> frozenset[int]:
    """Return the columns that have one value by the evidence, and a density there, no mass.

    Raises
    ------
    QuestionError
        If a column has no value left, or such a point is one of several cases.
    """
    boxes = boxes_of(given, MOST_BOXES)
    if boxes == []:
        raise QuestionError(
            f"The evidence contradicts itself: nothing is left of {named(given, columns)}."
        )
    if boxes is None:
        return frozenset()
    found = {
        column
        for box in boxes
        for column, region in box.items()
        if _is_point(columns[column], region)
    }
    if found and len(boxes) > 1:
        names = ", ".join(repr(columns[column].name) for column in sorted(found))
        raise QuestionError(
            f"{names} is continuous: one value of it has a density and no probability, and cannot "
            "be one of several cases of the evidence. Give a range."
        )
    return frozenset(found)


def _is_point(column: Column, region: Region) -> bool:
    return (
        isinstance(column, NumericColumn)
        and not column.discrete
        and not region.missing
        and len(region.intervals) == 1
        and region.intervals[0].is_point
        and region.intervals[0].low not in column.atoms
    )


def _enumerate(strata: list[_Stratum]) -> None:
    """Sum up what is cheap, the cheapest first, until the budget of cells is spent."""
    left = float(_MOST_ENUMERATED)
    for stratum in sorted(strata, key=lambda one: one.n_cells):
        if stratum.n_cells > left:
            return
        left -= stratum.n_cells
        stratum.sum_up()
