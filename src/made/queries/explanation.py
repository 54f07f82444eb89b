"""Each cell of a row, given all the others: how likely it is, and what would be likelier.

Knows ensembles and values; knows nothing of frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from made.ensemble import Ensemble
from made.queries.following import Following


@dataclass(frozen=True)
class Explained:
    """The cells of some rows, each given all the others of its row; all (n_rows, n_columns).

    Attributes
    ----------
    log_probs : ndarray
        Log mass, or log density, of the cell, in nats.
    likeliest : ndarray
        The value that would be likeliest, missing aside.
    likeliest_log_probs : ndarray
        And its log mass or density.
    """

    log_probs: np.ndarray
    likeliest: np.ndarray
    likeliest_log_probs: np.ndarray


def explain(ensemble: Ensemble, values: np.ndarray, orderings: int = 16) -> Explained:
    """Return how likely each cell is given all the others: an ordering puts it last.

    Parameters
    ----------
    ensemble : Ensemble
        A mixture.
    values : ndarray of float64, shape (n_rows, n_columns)
        A missing cell is explained like any other.
    orderings : int
        How many members are asked: they differ in the order of the other columns alone.
    """
    n_rows, n_columns = values.shape
    found = [np.empty(values.shape) for _ in range(3)]
    cells = np.asarray(values, dtype=np.float64)
    following = Following(
        ensemble.heaviest(orderings), cells, unknown=np.zeros(values.shape, np.bool_)
    )
    for column in range(n_columns):
        others = [place for place in range(n_columns) if place != column]
        conditional = following.conditionals(np.arange(n_rows), others, [column])[column]
        likeliest = conditional.mode_values()
        found[0][:, column] = conditional.log_prob_of_values(values[:, column])
        found[1][:, column] = likeliest
        found[2][:, column] = conditional.log_prob_of_values(likeliest)
    return Explained(*found)
