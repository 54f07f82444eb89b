"""The distribution of a column given evidence, by whichever way the ensemble allows.

Knows ensembles, events and masses; knows nothing of tables.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from made.columns import Column
from made.conditionals import ConditionalFamily
from made.ensemble import Beginning, Beginnings, Ensemble
from made.errors import QuestionError
from made.queries.conditional import Conditional
from made.queries.events import MOST_BOXES, Event, boxes_of, columns_of, no_mass
from made.queries.family_mixture import FamilyMixture
from made.queries.following import conditionals_after
from made.queries.masses import Constraint, cells_of, draw_particles, values_in
from made.queries.pools import pool_ratios, pool_rows
from made.queries.probability import Method, order_columns, points_of
from made.queries.weighted_values import WeightedValues
from made.uniforms import PARTICLES, derived_seed, uniforms

# Cells of the evidence, over all beginnings, that are enumerated.
_MOST_CELLS = 2**15


def conditional_of(
    ensemble: Ensemble, column: int, given: Event, *, n_draws: int, seed: int, method: Method
) -> Conditional:
    """Return p(column | given).

    Raises
    ------
    QuestionError
        If the evidence is about the column itself, or has no probability.
    """
    columns = ensemble.members.models[0].columns
    if column in columns_of(given):
        raise QuestionError(
            f"Column {columns[column].name!r} is asked for and given. Leave it out of the "
            "evidence, or ask for the probability of an event."
        )
    points = points_of(given, columns)
    boxes = boxes_of(given, MOST_BOXES)
    if boxes is None:
        raise QuestionError(
            f"The evidence has more than {MOST_BOXES} separate cases. Ask for the probability of "
            "an event instead, or give less."
        )
    constraints = [Constraint(box, points) for box in boxes]
    mixture = ensemble.combination.is_mixture
    as_trained = mixture and method == "particles"
    tiers = [[*columns_of(given), column]] if as_trained else order_columns(columns, True, given)
    beginnings = ensemble.first(*tiers, as_trained=as_trained)
    try:
        if not mixture:
            return _of_pool(beginnings, column, constraints, n_draws, seed)
        if as_trained:
            return _of_draws(beginnings, column, constraints, n_draws, seed, method)
        return _of_cells(beginnings, column, constraints) or _of_particles(
            beginnings, column, constraints, n_draws, seed
        )
    except _NoMassError:
        raise no_mass(given, columns) from None


class _NoMassError(Exception):
    """All weights are zero."""


def conditional_of_rows(
    ensemble: Ensemble, column: int, values: np.ndarray, given: Sequence[int]
) -> FamilyMixture:
    """Return p(column | the columns ``given`` of each row), exact, for a mixture.

    Raises
    ------
    QuestionError
        If the evidence of a row is impossible.
    """
    rows = torch.as_tensor(np.asarray(values, dtype=np.float64))
    conditionals, log_evidence = conditionals_after(ensemble.first(given), rows, [column])
    impossible = ~np.isfinite(log_evidence)
    if impossible.any():
        raise QuestionError(
            f"The evidence in row {int(np.argmax(impossible))} has probability zero under the "
            "model, so nothing can be said given it."
        )
    return conditionals[column]


def _of_cells(
    beginnings: Beginnings, column: int, constraints: list[Constraint]
) -> Conditional | None:
    """Return the conditional exactly: a part for each cell of the evidence and each beginning."""
    n_left = _MOST_CELLS
    work: list[tuple[Beginning, np.ndarray]] = []
    for group in beginnings.groups:
        for constraint in constraints:
            cells = _cells(group, constraint, n_left)
            if cells is None:
                return None
            n_left -= len(cells)
            work.append((group, cells))
    parts, log_weights = [], []
    for group, cells in work:
        if not len(cells):
            continue
        parameters, log_probs = _next(group, column, torch.as_tensor(cells))
        parts.append((group.model.families[column], parameters))
        log_weights.append(log_probs + np.log(group.weight))
    return _mixture(beginnings, column, parts, log_weights, None)


def _cells(group: Beginning, constraint: Constraint, most: int) -> np.ndarray | None:
    """Return the cells of a box in the order of a beginning, or None if they are too many."""
    values, count = [], 1
    for place in group.order:
        of_column = values_in(group, constraint, place)
        count *= most + 1 if of_column is None else len(of_column)
        if of_column is None or count > most:
            return None
        values.append(of_column)
    return cells_of(values)


def _next(group: Beginning, column: int, cells: torch.Tensor) -> tuple[torch.Tensor, np.ndarray]:
    """Return the parameters of a column that comes after the cells, and log q of the cells."""
    front = group.front(group.n_columns, [column])
    outputs, log_probs = front.score(cells)
    return front.parameters(outputs, column), log_probs.numpy()


def _of_particles(
    beginnings: Beginnings, column: int, constraints: list[Constraint], n_draws: int, seed: int
) -> Conditional:
    """Return the conditional as the mean of its forms at drawn cells of the evidence."""
    parts, log_weights = [], []
    for group, n_rows, constraint, drawn in _shares(beginnings, constraints, n_draws, seed):
        particles = draw_particles(group, constraint, drawn, group.n_columns)
        cells = torch.as_tensor(particles.values[:, group.order])
        parameters, _ = _next(group, column, cells)
        parts.append((group.model.families[column], parameters))
        log_weights.append(particles.log_weights + np.log(group.weight / n_rows))
    effective = _effective(np.concatenate(log_weights))
    return _mixture(beginnings, column, parts, log_weights, effective)


def _of_draws(
    beginnings: Beginnings,
    column: int,
    constraints: list[Constraint],
    n_draws: int,
    seed: int,
    method: Method,
) -> Conditional:
    """Return weighted draws of the column itself, with what comes after it weighed in."""
    values, log_weights = [], []
    for group, n_rows, constraint, drawn in _shares(beginnings, constraints, n_draws, seed):
        particles = draw_particles(group, constraint, drawn, group.n_columns)
        own = particles.log_weights + np.log(group.weight / n_rows)
        if not beginnings.combination.is_mixture:
            with np.errstate(divide="ignore"):
                own = own + np.log(pool_ratios(beginnings, particles.values))
        values.append(particles.values[:, column])
        log_weights.append(own)
    together = np.concatenate(log_weights)
    of_column = _columns(beginnings)[column]
    return WeightedValues(
        of_column, True, False, method, _effective(together), np.concatenate(values),
        _normalised(together),
    )  # fmt: skip


def _of_pool(
    beginnings: Beginnings, column: int, constraints: list[Constraint], n_draws: int, seed: int
) -> Conditional:
    """Return the conditional of a combination below power 1: enumerated, or weighted draws."""
    found = [pool_rows(beginnings, constraint.box) for constraint in constraints]
    rows = [each for each in found if each is not None]
    if len(rows) < len(found):
        return _of_draws(beginnings, column, constraints, n_draws, seed, "orderings")
    values = np.concatenate([each[0] for each in rows])[:, column]
    weights = _normalised(np.concatenate([each[1] for each in rows]))
    return WeightedValues(
        _columns(beginnings)[column], True, True, "orderings", None, values, weights
    )


def _shares(beginnings: Beginnings, constraints: list[Constraint], n_draws: int, seed: int):
    """Return every beginning with every box, how many rows to draw of it, and their uniforms."""
    for number, constraint in enumerate(constraints):
        for place, group in enumerate(beginnings.groups):
            n_rows = max(round(n_draws * group.weight / len(constraints)), 1)
            key = derived_seed(seed, PARTICLES, number, place)
            yield group, n_rows, constraint, uniforms(key, 0, n_rows, group.model.n_columns)


def _mixture(
    beginnings: Beginnings,
    column: int,
    parts: list[tuple[ConditionalFamily, torch.Tensor]],
    log_weights: list[np.ndarray],
    effective: float | None,
) -> FamilyMixture:
    weights = _normalised(np.concatenate(log_weights) if log_weights else np.array([-np.inf]))
    return FamilyMixture(
        _columns(beginnings)[column], True, effective is None, "orderings", effective,
        tuple((family, parameters[None]) for family, parameters in parts), weights[None],
    )  # fmt: skip


def _normalised(log_weights: np.ndarray) -> np.ndarray:
    largest = log_weights.max()
    if not np.isfinite(largest):
        raise _NoMassError
    weights = np.exp(log_weights - largest)
    return weights / weights.sum()


def _effective(log_weights: np.ndarray) -> float:
    weights = _normalised(log_weights)
    return float(1 / np.square(weights).sum())


def _columns(beginnings: Beginnings) -> tuple[Column, ...]:
    return beginnings.members.models[0].columns
