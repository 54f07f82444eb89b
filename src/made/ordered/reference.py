"""Sampling the slow and obviously right way: one forward pass for every column.

Knows a model and one connectivity; a twin for tests of anything faster.
"""

from __future__ import annotations

import numpy as np
import torch

from made.model import Model
from made.orderings import Connectivity


@torch.no_grad()
def sample_reference(model: Model, connectivity: Connectivity, uniforms: np.ndarray) -> np.ndarray:
    """Draw rows from one member by ancestral sampling, D forward passes.

    At step t, column ``order[t]`` is drawn by the inverse cdf of p(x_[t] | x_[1..t-1]) from the
    uniform of that row and column.

    Parameters
    ----------
    model : Model
    connectivity : Connectivity
    uniforms : ndarray, shape (n_rows, n_columns)
        In [0, 1); ``uniforms[r, d]`` decides cell d of row r.

    Returns
    -------
    ndarray, float32 where all columns are binary, else float64, shape (n_rows, n_columns)
    """
    model.eval()
    wiring = model.network.wire(connectivity)
    dtype = torch.float32 if model.only_binary else torch.float64
    values = model.any_row().to(model.device, dtype).repeat(len(uniforms), 1)
    draws = torch.as_tensor(np.ascontiguousarray(uniforms), device=model.device)
    for column in connectivity.order.tolist():
        outputs = model.parameters_of(model.codes(values).to(torch.float32), wiring)
        values[:, column] = model.draw_column(
            column, outputs[:, model.output_slices[column]], draws[:, column]
        )
    return values.cpu().numpy()
