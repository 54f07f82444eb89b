"""The mass of a box under one beginning: summed where its cells are few, else drawn.

    P(box) = sum over the cells of all but the last column of p(cells) P(last in its region | cells)

The last column needs no enumeration, whatever its kind. Draws go column by column, each restricted
to its region and weighted by the region's mass: progressive sampling (Yang et al., "Deep
unsupervised cardinality estimation", 2019), unbiased. Knows boxes, families and beginnings; knows
nothing of ratios, stopping or events.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from made.columns import CategoricalColumn, Column, NumericColumn
from made.conditionals.numeric import whole_ends
from made.conditionals.region import Interval, Region
from made.ensemble import Beginning
from made.ordered.stepwise import walk
from made.queries.events import Box

# Cells of all columns but the last that are enumerated for one box and one beginning.
MOST_CELLS = 4096


@dataclass(frozen=True)
class Constraint:
    """A box, and what of it is evidence of a density.

    Attributes
    ----------
    box : dict of Region
    points : frozenset of int
        Columns of the box that have one value without mass: they count by their density.
    """

    box: Box
    points: frozenset[int] = field(default_factory=frozenset)

    def last_in(self, order: list[int]) -> int:
        """Return how many columns of ``order`` it takes to see the whole box."""
        reach = [step + 1 for step, column in enumerate(order) if self.restricts(column)]
        return max(reach, default=0)

    def restricts(self, column: int) -> bool:
        return column in self.box and not self.box[column].is_everything


def finite_values(column: Column, region: Region, most: int = MOST_CELLS) -> np.ndarray | None:
    """Return the values of a column within a region, or None if there are more than ``most``.

    Examples
    --------
    >>> from made.columns import CategoricalColumn
    >>> grades = CategoricalColumn("grade", levels=("A", "B"), counts=(5, 5), n_rows=10)
    >>> finite_values(grades, Region.everything())
    array([0., 1., 2.])
    """
    if column.outcomes is not None:
        inside = column.outcomes[region.contains(torch.as_tensor(column.outcomes)).numpy()]
        return inside if len(inside) <= most else None
    assert isinstance(column, NumericColumn)
    missing = [math.nan] if region.missing and column.missing else []
    if not column.discrete:
        if not all(part.is_point for part in region.intervals):
            return None
        # Without mass there is nothing to add.
        return np.array([part.low for part in region.intervals if part.low in column.atoms]
                        + missing)  # fmt: skip
    low = -math.inf if column.low is None else column.low
    high = math.inf if column.high is None else column.high
    values: list[float] = []
    for part in region.intervals:
        first, last = whole_ends(part)
        first, last = max(first, low), min(last, high)
        if last - first >= most - len(values):
            return None
        if first <= last:
            values += (first + np.arange(last - first + 1)).tolist()
    return np.array(values + missing)


def known_values(column: Column) -> Region:
    """Return the region of the values that can stand in a table: not missing, not unseen."""
    if isinstance(column, CategoricalColumn):
        return Region((Interval(0.0, len(column.levels) - 1.0),))
    return Region((Interval(-math.inf, math.inf),))


def drawn_box(columns: Sequence[Column], places: Iterable[int]) -> Box:
    """Return the box of what is drawn: no category that was never seen, which has no name.

    The mass of the unseen depends on nothing, so leaving it out is exact.
    """
    missing = Region((), missing=True)
    return {
        place: known_values(columns[place]) | missing
        for place in places
        if isinstance(columns[place], CategoricalColumn)
    }


def cells_of(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return all combinations of the values of some columns, shape ``(n_cells, n_columns)``."""
    grids = np.meshgrid(*values, indexing="ij")
    return np.stack([grid.reshape(-1) for grid in grids], 1) if grids else np.empty((1, 0))


def count_cells(group: Beginning, constraint: Constraint) -> float:
    """Return how many cells enumeration would visit; infinite if there is no end."""
    columns = _before_last(group, constraint)
    count = 1
    for column in columns:
        values = values_in(group, constraint, column)
        if values is None:
            return math.inf
        count *= len(values)
    return count


def exact_mass(group: Beginning, constraint: Constraint) -> float:
    """Return the log of the mass (times the density of its points) by enumeration."""
    before = _before_last(group, constraint)
    n_seen = constraint.last_in(group.order)
    if not n_seen:
        return 0.0
    last = group.order[n_seen - 1]
    values = [values_in(group, constraint, column) for column in before]
    cells = cells_of([part for part in values if part is not None])
    if not len(cells):
        return -math.inf
    front = group.front(len(before), [last])
    total = -math.inf
    for rows in torch.as_tensor(cells).split(front.rows_at_once):
        outputs, log_probs = front.score(rows)
        log_masses = log_probs + _log_mass(group, constraint, last, front.parameters(outputs, last))
        total = float(np.logaddexp(total, float(torch.logsumexp(log_masses, 0))))
    return total


@dataclass(frozen=True)
class Particles:
    """Rows drawn within a box, and their log-weights, whose mean estimates its mass.

    Attributes
    ----------
    log_weights : ndarray, shape (n_rows,)
    values : ndarray, shape (n_rows, n_columns)
        NaN in columns that were not reached.
    """

    log_weights: np.ndarray
    values: np.ndarray


def draw_particles(
    group: Beginning,
    constraint: Constraint,
    drawn: np.ndarray,
    n_front: int | None = None,
    known: Mapping[int, np.ndarray] | None = None,
) -> Particles:
    """Draw rows within a box, column by column.

    Parameters
    ----------
    group : Beginning
    constraint : Constraint
    drawn : ndarray, shape (n_rows, n_columns)
        Uniforms; ``drawn[r, d]`` decides cell d of row r.
    n_front : int, optional
        How many columns to draw; by default as many as it takes to see the box.
    known : mapping of int to ndarray, shape (n_rows,), optional
        Columns whose values are evidence, another one in every row; they count by their mass or
        density.
    """
    n_seen = constraint.last_in(group.order) if n_front is None else n_front
    model, n_rows = group.model, len(drawn)
    log_weights = torch.zeros(n_rows, dtype=torch.float64)
    steps = torch.as_tensor(np.ascontiguousarray(drawn))

    def decide(step: int, column: int, outputs: Tensor) -> Tensor:
        nonlocal log_weights
        family = model.families[column]
        parameters = model.family_parameters(column, outputs)
        if known is not None and column in known:
            values = torch.as_tensor(known[column], dtype=torch.float64)
            log_weights = log_weights + family.log_prob(parameters, values).double()
            return values
        if not constraint.restricts(column):
            return family.sample(parameters, steps[:, column])
        log_mass = _log_mass(group, constraint, column, parameters)
        log_weights = log_weights + log_mass
        region = constraint.box[column]
        if column in constraint.points:
            return torch.full((n_rows,), region.intervals[0].low, dtype=torch.float64)
        values = torch.full((n_rows,), float(model.any_row()[column]), dtype=torch.float64)
        alive = torch.isfinite(log_mass)
        if step + 1 < n_seen or n_front is not None:
            values[alive] = family.sample_in(parameters[alive], region, steps[alive, column])
        return values

    ordered = group.front(n_seen).ordered
    values = walk(ordered, torch.empty(n_rows, 0), decide)
    return Particles(log_weights.numpy(), values.double().numpy())


def _before_last(group: Beginning, constraint: Constraint) -> list[int]:
    return group.order[: max(constraint.last_in(group.order) - 1, 0)]


def values_in(group: Beginning, constraint: Constraint, column: int) -> np.ndarray | None:
    """Return the values of a column within a constraint, or None if they are too many."""
    region = constraint.box.get(column, Region.everything())
    if column in constraint.points:
        return np.array([region.intervals[0].low])
    return finite_values(group.model.columns[column], region)


def _log_mass(group: Beginning, constraint: Constraint, column: int, parameters: Tensor) -> Tensor:
    """Return the log mass of a column's region, or the log density of its point; float64."""
    family = group.model.families[column]
    region = constraint.box[column]
    if column in constraint.points:
        value = torch.full(parameters.shape[:-1], region.intervals[0].low, dtype=torch.float64)
        return family.log_prob(parameters, value).double()
    return family.mass(parameters, region).double().cpu().log()


def size_of(column: Column, region: Region) -> float | None:
    """Return how many values a column has in a region, for `tiers_of`."""
    values = finite_values(column, region)
    if values is not None:
        return len(values)
    return None if isinstance(column, NumericColumn) else math.inf


def tiers_of(
    columns: Collection[int], sizes: dict[int, float | None], first: Collection[int] = ()
) -> list[list[int]]:
    """Return columns in the order in which they are cheapest to enumerate, tier by tier.

    Parameters
    ----------
    columns : collection of int
    sizes : dict
        How many values each may have; None of numbers without end, infinite of too many levels.
    first : collection of int
        Evidence: of equal tiers it comes first.
    """
    bounds = (1, 16, MOST_CELLS)
    tiers: list[list[int]] = [[] for _ in range(2 * len(bounds) + 3)]
    for column in columns:
        size = sizes[column]
        if size == math.inf:
            # Of very many levels a mass is cheap and a draw is not: they come last.
            tiers[-1].append(column)
            continue
        rank = next((r for r, most in enumerate(bounds) if size is not None and size <= most),
                    len(bounds))  # fmt: skip
        tiers[2 * rank + (column not in first)].append(column)
    return [tier for tier in tiers if tier]
