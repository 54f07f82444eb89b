"""Rows drawn given an event: exact, by taking candidates within its boxes with the right chance.

A candidate is drawn column by column within a box; the product of the masses of its regions, but
for the first, which is the same for all, is the chance that it is taken. Knows ensembles and
events; knows nothing of tables.
"""

from __future__ import annotations

import numpy as np

from made.ensemble import Beginnings, Ensemble
from made.ensemble.draws import acceptance_uniforms, uniforms_of
from made.errors import QuestionError
from made.progress import NoProgress, Progress
from made.queries.events import MOST_BOXES, Event, boxes_of, no_mass
from made.queries.masses import Constraint, draw_particles, drawn_box, exact_mass
from made.queries.pools import pool_ratios
from made.queries.probability import order_columns, points_of
from made.uniforms import CANDIDATES, MEMBER_CHOICE, derived_seed

_BATCH = 4096
# Candidates of which none was taken, after which drawing ends with an error.
_HOPELESS = 200_000


def draw_given(
    ensemble: Ensemble,
    event: Event,
    n_rows: int,
    seed: int,
    *,
    first_row: int = 0,
    progress: Progress | None = None,
) -> np.ndarray:
    """Return rows drawn from p(x | event), shape ``(n_rows, n_columns)``.

    They are rows ``first_row ..`` of the endless table of ``seed``.

    Raises
    ------
    QuestionError
        If the event is impossible, or so rare that no candidate is taken.
    """
    columns = ensemble.members.models[0].columns
    boxes, points = boxes_of(event, MOST_BOXES), points_of(event, columns)
    if boxes is None:
        raise QuestionError(f"The evidence has more than {MOST_BOXES} separate cases: give less.")
    beginnings = ensemble.first(*order_columns(columns, True, event), whole=True)
    seen = drawn_box(columns, range(len(columns)))
    strata = []
    for box in boxes:
        whole = {place: region & seen.get(place, region) for place, region in box.items()}
        constraint = Constraint(seen | whole, points)
        strata += [(group, constraint) for group in beginnings.groups]
    bounds = np.array([group.weight * _first_mass(group, one) for group, one in strata])
    if not bounds.sum() > 0:
        raise no_mass(event, columns)
    shares = np.cumsum(bounds / bounds.sum())
    watch = progress or NoProgress()
    result = np.empty((n_rows, len(columns)))
    waiting, attempt, tried, taken = first_row + np.arange(n_rows), 0, 0, 0
    while len(waiting):
        key = derived_seed(seed, CANDIDATES, attempt)
        left = []
        for start in range(0, len(waiting), _BATCH):
            rows = waiting[start : start + _BATCH]
            kept, candidates = _candidates(beginnings, strata, shares, rows, key)
            result[rows[kept] - first_row] = candidates[kept]
            tried, taken = tried + len(rows), taken + int(kept.sum())
            watch.update(taken, n_rows)
            left.append(rows[~kept])
        waiting, attempt = np.concatenate(left), attempt + 1
        if not taken and tried > _HOPELESS:
            raise QuestionError(
                f"None of {tried:,} candidates met the evidence: it is too rare to be drawn from. "
                "Give less, or wider ranges."
            )
    return result


def _candidates(
    beginnings: Beginnings, strata: list, shares: np.ndarray, rows: np.ndarray, key: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return which candidates are taken, and all of them."""
    n_columns = beginnings.members.n_columns
    drawn = uniforms_of(rows, key, n_columns)
    choice = uniforms_of(rows, key, 1, MEMBER_CHOICE)
    chance = acceptance_uniforms(rows, key)
    stratum = np.searchsorted(shares[:-1], choice[:, 0], side="right")
    values = np.empty((len(rows), n_columns))
    chances = np.empty(len(rows))
    for number in np.unique(stratum).tolist():
        own = np.flatnonzero(stratum == number)
        group, constraint = strata[number]
        particles = draw_particles(group, constraint, drawn[own], n_columns)
        values[own] = particles.values
        with np.errstate(divide="ignore"):
            bound = np.log(_first_mass(group, constraint))
        chances[own] = np.exp(particles.log_weights - bound)
    if not beginnings.combination.is_mixture:
        chances *= pool_ratios(beginnings, values)
    return chance < chances, values


def _first_mass(group, constraint: Constraint) -> float:
    """Return the mass of the first region on the way, which does not depend on what was drawn."""
    if not group.order or not constraint.restricts(group.order[0]):
        return 1.0
    column = group.order[0]
    box = {column: constraint.box[column]}
    return float(np.exp(exact_mass(group, Constraint(box, constraint.points & {column}))))
