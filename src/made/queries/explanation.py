"""Each cell of a row, given all the others: how likely it is, and what would be likelier.

Knows ensembles and values; knows nothing of frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from made.ensemble import Ensemble
from made.queries.following import conditionals_after


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


def explain(ensemble: Ensemble, values: np.ndarray) -> Explained:
    """Return how likely each cell is given all the others: an ordering puts it last.

    Parameters
    ----------
    ensemble : Ensemble
        A mixture.
    values : ndarray of float64, shape (n_rows, n_columns)
    """
    n_columns = values.shape[1]
    found = [np.empty(values.shape) for _ in range(3)]
    rows = torch.as_tensor(np.asarray(values, dtype=np.float64))
    for column in range(n_columns):
        others = [place for place in range(n_columns) if place != column]
        conditional = conditionals_after(ensemble.first(others), rows, [column])[column]
        likeliest = conditional.mode_values()
        found[0][:, column] = conditional.log_prob_of_values(values[:, column])
        found[1][:, column] = likeliest
        found[2][:, column] = conditional.log_prob_of_values(likeliest)
    return Explained(*found)
