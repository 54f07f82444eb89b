"""What comes right after known cells: the distribution of any other column, one pass a beginning.

Knows ensembles and values; knows nothing of holes, events or frames.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from made.ensemble import Beginning, Beginnings, Ensemble
from made.ensemble.combination import power_mean
from made.ordered import Front
from made.queries.family_mixture import FamilyMixture


class Following:
    """Distributions of cells right after the known ones of their row, for many sets of these.

    What models read of the rows is computed once.

    Parameters
    ----------
    ensemble : Ensemble
        A mixture.
    values : ndarray of float64, shape (n_rows, n_columns)
    unknown : ndarray of bool, shape (n_rows, n_columns), optional
        Cells of which nothing is known; by default those that are NaN. Another NaN is an outcome.
    """

    def __init__(
        self, ensemble: Ensemble, values: np.ndarray, unknown: np.ndarray | None = None
    ) -> None:
        self._ensemble = ensemble
        models = ensemble.members.models
        rows = torch.as_tensor(np.asarray(values, dtype=np.float64))
        # What stands in a hole is not looked at; it has to be something that can be encoded.
        holes = torch.isnan(rows) if unknown is None else torch.as_tensor(unknown)
        filled = torch.where(holes, models[0].any_row(), rows)
        self._codes = {id(model): model.codes(filled).to(torch.float32) for model in models}
        self._features = {id(model): model.features(self._codes[id(model)]) for model in models}

    def conditionals(
        self, rows: np.ndarray, observed: list[int], holes: list[int]
    ) -> dict[int, FamilyMixture]:
        """Return the distribution of each hole right after the observed cells.

        One pass a beginning serves all holes of a pattern.
        """
        places = torch.as_tensor(rows)

        def read(group: Beginning, front: Front) -> tuple[Tensor, Tensor]:
            outputs = front.outputs_of_features(self._features[id(group.model)][places])
            codes = self._codes[id(group.model)][places]
            terms = group.model.terms(front.by_column(outputs), codes)
            return outputs, terms[:, observed].sum(1, dtype=torch.float64).cpu()

        return _after(self._ensemble.first(observed), len(rows), holes, read)[0]


def conditionals_after(
    beginnings: Beginnings, values: Tensor, columns: list[int]
) -> tuple[dict[int, FamilyMixture], np.ndarray]:
    """Return the distribution of each of ``columns`` right after the beginnings, row by row.

    And log p of the beginnings, -inf where the evidence of a row is impossible.
    """

    def read(group: Beginning, front: Front) -> tuple[Tensor, Tensor]:
        return front.score(values[:, torch.as_tensor(group.order, dtype=torch.int64)])

    return _after(beginnings, len(values), columns, read)


@torch.no_grad()
def _after(
    beginnings: Beginnings,
    n_rows: int,
    columns: list[int],
    read: Callable[[Beginning, Front], tuple[Tensor, Tensor]],
) -> tuple[dict[int, FamilyMixture], np.ndarray]:
    """Return what follows each beginning, of which ``read`` gives outputs and log-probabilities."""
    log_probs = np.empty((n_rows, len(beginnings.groups)))
    parts: dict[int, list] = {column: [] for column in columns}
    for place, group in enumerate(beginnings.groups):
        front = group.front(group.n_columns, columns)
        outputs, own = read(group, front)
        log_probs[:, place] = own.numpy()
        for column in columns:
            parameters = front.parameters(outputs, column)
            parts[column].append((group.model.families[column], parameters[:, None]))
    return _mixtures(beginnings, log_probs, parts)


def _mixtures(
    beginnings: Beginnings, log_probs: np.ndarray, parts: dict[int, list]
) -> tuple[dict[int, FamilyMixture], np.ndarray]:
    """Return mixtures whose weights are updated by the evidence, given its log-probabilities."""
    joint = log_probs + np.log(beginnings.group_weights)
    total = power_mean(log_probs, beginnings.group_weights, 1.0)
    # A row that cannot be is filled by the weights as they were.
    possible = np.isfinite(total)[:, None]
    with np.errstate(invalid="ignore"):
        weights = np.where(possible, np.exp(joint - total[:, None]), beginnings.group_weights)
    columns = beginnings.members.models[0].columns
    mixtures = {
        column: FamilyMixture(
            columns[column], False, True, "orderings", None, tuple(of_column), weights
        )
        for column, of_column in parts.items()
    }
    return mixtures, total
