"""Cells -> input features of the network. Knows columns; knows nothing of networks or families."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from made.columns import Column


def input_columns(columns: Sequence[Column]) -> np.ndarray:
    """Return the column of each input feature, shape ``(n_inputs,)``."""
    return np.repeat(np.arange(len(columns)), [column.n_inputs for column in columns])


def encode(columns: Sequence[Column], values: Tensor) -> Tensor:
    """Return the input features, shape ``(n_rows, n_inputs)``, of ``values`` (n_rows, n_columns).

    A binary cell is its own feature, 0 or 1.
    """
    assert values.shape[1] == len(columns)
    return values


def encode_column(column: Column, values: Tensor) -> Tensor:
    """Return the input features of one column, shape ``(n_rows, n_inputs)``, of its values."""
    assert column.n_inputs == 1
    return values[:, None]
