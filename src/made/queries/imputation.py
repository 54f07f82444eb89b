"""Holes: what could stand in the missing cells of a table, given the cells that are there.

A hole is unknown, not evidence: each is asked for right after the observed cells of its row, so
that the other holes are marginalised out. Rows of one pattern of holes go together. Knows
ensembles and values; knows nothing of frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from made.columns import BinaryColumn, CategoricalColumn, Column, IntegerColumn, NumericColumn
from made.ensemble import Beginnings, Ensemble
from made.ensemble.draws import choose, uniforms_of
from made.errors import OptionError
from made.ordered.stepwise import walk
from made.progress import NoProgress, Progress
from made.queries.family_mixture import FamilyMixture
from made.queries.following import Following
from made.queries.masses import known_values
from made.uniforms import HOLES, MEMBER_CHOICE, derived_seed

# Parameters of a column's holes that are kept before they are looked at: 64 MB.
_MOST_WAITING = 2**24
POINTS = ("mean", "median", "mode")


@dataclass(frozen=True)
class Imputed:
    """Values for the holes of a table.

    Attributes
    ----------
    values : ndarray, shape (n_rows, n_columns)
        Observed cells as they were; a hole that nothing can be said of is still NaN.
    low, high : ndarray or None
        Limits of the predictive interval of numbers, NaN elsewhere.
    log_probs : ndarray or None
        log p of the true cell given the observed ones, where it was asked for.
    shares : tuple of ndarray, or None
        The cdf right below and at the true cell, of numbers, where it was asked for: a uniform
        between the two is uniform if the distributions are right.
    """

    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    log_probs: np.ndarray | None = None
    shares: tuple[np.ndarray, np.ndarray] | None = None


def check_point(point: str) -> None:
    """Raise `OptionError` unless numbers can be filled by ``point``."""
    if point not in POINTS:
        raise OptionError(f"numbers must be one of {', '.join(POINTS)}; got {point!r}.")


def impute(
    ensemble: Ensemble,
    values: np.ndarray,
    *,
    point: str = "mean",
    interval: float | None = None,
    truth: np.ndarray | None = None,
    orderings: int = 4,
    progress: Progress | None = None,
) -> Imputed:
    """Return the likeliest or expected value of every hole.

    Parameters
    ----------
    ensemble : Ensemble
        A mixture.
    values : ndarray of float64, shape (n_rows, n_columns)
        NaN in the holes.
    point : {"mean", "median", "mode"}
        What numbers are filled by; categories are filled by the likeliest level.
    interval : float, optional
        Also return limits that hold with this probability.
    truth : ndarray, shape (n_rows, n_columns), optional
        What stood in the holes: also return its log-probabilities, given that a value is there.
    orderings : int
        How many members are asked, those of the largest weights: they differ in the order of the
        observed columns alone.
    """
    check_point(point)
    watch = progress or NoProgress()
    result = Imputed(
        values.copy(),
        None if interval is None else np.full(values.shape, np.nan),
        None if interval is None else np.full(values.shape, np.nan),
        None if truth is None else np.full(values.shape, np.nan),
        None if truth is None else (np.full(values.shape, np.nan), np.full(values.shape, np.nan)),
    )
    asked = ensemble.heaviest(orderings)
    columns = ensemble.members.models[0].columns
    waiting = [_Waiting() for _ in columns]

    def finish(column: int) -> None:
        if waiting[column].rows:
            rows, conditional = waiting[column].together(columns[column])
            waiting[column] = _Waiting()
            result.values[rows, column] = _point(conditional, point)
            if interval is not None and isinstance(columns[column], NumericColumn):
                assert result.low is not None
                assert result.high is not None
                result.low[rows, column] = conditional.quantile_values((1 - interval) / 2)
                result.high[rows, column] = conditional.quantile_values((1 + interval) / 2)
            if truth is not None:
                assert result.log_probs is not None
                own = conditional.log_prob_of_values(truth[rows, column])
                present = 1 - np.asarray(conditional.missing)
                result.log_probs[rows, column] = own - np.log(present)
                of_column = columns[column]
                if isinstance(of_column, NumericColumn):
                    assert result.shares is not None
                    at = truth[rows, column]
                    before = at - 1 if of_column.discrete else np.nextafter(at, -np.inf)
                    for share, value in zip(result.shares, (before, at), strict=True):
                        share[rows, column] = conditional.cdf_of_values(value)

    holes_of = Following(asked, values)
    for rows, observed, holes, done in _patterns(values, watch):
        found = holes_of.conditionals(rows, observed, holes)
        for column, conditional in found.items():
            # What a family computes of many rows at once costs little more than of a few.
            waiting[column].add(rows, conditional)
            if waiting[column].n_numbers > _MOST_WAITING:
                finish(column)
        watch.update(done, len(values))
    for column in range(len(columns)):
        finish(column)
    return result


class _Waiting:
    """The distributions of one column's holes that were found and are not yet looked at."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.n_numbers = 0
        self._found: list[FamilyMixture] = []

    def add(self, rows: np.ndarray, conditional: FamilyMixture) -> None:
        self.rows.append(rows)
        self._found.append(conditional)
        self.n_numbers += sum(parameters.numel() for _, parameters in conditional.parts)

    def together(self, column: Column) -> tuple[np.ndarray, FamilyMixture]:
        """Return all rows, and one distribution over them."""
        # Patterns differ in how many beginnings they have: what is not there has no weight.
        families = list(dict.fromkeys(f for one in self._found for f, _ in one.parts))
        parts, weights = [], []
        for family in families:
            own = [
                [place for place, (of_part, _) in enumerate(one.parts) if of_part is family]
                for one in self._found
            ]
            most = max(map(len, own))
            padded = [
                _padded(torch.cat([one.parts[p][1] for p in places], 1), most)
                for one, places in zip(self._found, own, strict=True)
            ]
            parts.append((family, torch.cat(padded)))
            weights.append(
                np.concatenate(
                    [
                        np.pad(one.weights[:, places], ((0, 0), (0, most - len(places))))
                        for one, places in zip(self._found, own, strict=True)
                    ]
                )
            )
        together = np.concatenate(weights, axis=1)
        whole = FamilyMixture(column, False, True, "orderings", None, tuple(parts), together)
        return np.concatenate(self.rows), whole


def _padded(parameters: Tensor, n_parts: int) -> Tensor:
    """Return parameters, (n_rows, n, n_parameters), with zeros for parts that are not there."""
    return torch.nn.functional.pad(parameters, (0, 0, 0, n_parts - parameters.shape[1]))


def draw_holes(
    ensemble: Ensemble,
    values: np.ndarray,
    n_draws: int,
    seed: int,
    progress: Progress | None = None,
) -> list[np.ndarray]:
    """Return the table several times, its holes drawn row by row as a whole.

    A member is picked by its weight given the observed cells, and the holes of the row are drawn
    along its ordering, each from what is not missing.
    """
    watch = progress or NoProgress()
    results = [values.copy() for _ in range(n_draws)]
    n_columns = values.shape[1]
    for rows, observed, _, done in _patterns(values, NoProgress()):
        beginnings = ensemble.first(observed)
        weights = beginnings.member_weights(torch.as_tensor(values[rows]))
        for number, result in enumerate(results):
            key = derived_seed(seed, HOLES, number)
            choice = uniforms_of(rows, key, 1, MEMBER_CHOICE)[:, 0]
            cells = uniforms_of(rows, key, n_columns)
            chosen = np.array(
                [choose(own, one)[0] for own, one in zip(weights, choice[:, None], strict=True)]
            )
            for k in np.unique(chosen).tolist():
                own = rows[chosen == k]
                result[own] = _completed(beginnings, k, values[own], cells[chosen == k])
        watch.update(done, len(values))
    return results


def _completed(beginnings: Beginnings, k: int, values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    members = beginnings.members
    model = members.models[members.network_of[k]]
    n_known = len(beginnings.columns)
    steps = torch.as_tensor(drawn)

    def decide(step: int, column: int, outputs: Tensor) -> Tensor:
        del step
        of_column = model.columns[column]
        parameters = model.family_parameters(column, outputs)
        if isinstance(of_column, CategoricalColumn) and not of_column.levels:
            return torch.full((len(values),), torch.nan, dtype=torch.float64)
        family = model.families[column]
        return family.sample_in(parameters, known_values(of_column), steps[:, column]).double()

    known = torch.as_tensor(values[:, members[k].order[:n_known]])
    rows = walk(members.ordered(k), known, decide).double().cpu().numpy()
    return np.where(np.isnan(values), rows, values)


def _patterns(values: np.ndarray, watch: Progress):
    """Return the rows of each pattern that has holes, its observed columns, holes, rows so far."""
    patterns, pattern_of = np.unique(np.isnan(values), axis=0, return_inverse=True)
    pattern_of = pattern_of.reshape(-1)
    order = np.argsort(pattern_of, kind="stable")
    starts = np.searchsorted(pattern_of[order], np.arange(len(patterns) + 1))
    watch.update(0, len(values), f"{len(patterns):,} patterns of missing cells")
    for number, pattern in enumerate(patterns):
        rows = order[starts[number] : starts[number + 1]]
        if pattern.any():
            yield (
                rows,
                np.flatnonzero(~pattern).tolist(),
                np.flatnonzero(pattern).tolist(),
                int(starts[number + 1]),
            )


def _point(conditional: FamilyMixture, point: str) -> np.ndarray:
    column = conditional.column
    if isinstance(column, (BinaryColumn, CategoricalColumn)) or point == "mode":
        return conditional.mode_values()
    if point == "median":
        return conditional.quantile_values(0.5)
    assert isinstance(column, NumericColumn)
    means = conditional.mean_values()
    if isinstance(column, IntegerColumn):
        means = np.rint(means)
    low = -np.inf if column.low is None else column.low
    high = np.inf if column.high is None else column.high
    return means.clip(low, high)
