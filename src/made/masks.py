"""From degrees to masks, and the test that a module really is autoregressive.

Pure functions on degrees; knows nothing of data, columns' kinds or training.

A mask has shape ``(n_out, n_in)`` and is True where the edge stays. Degrees are those of
Germain et al. 2015, section 3: column ``d`` has degree ``rank[d] + 1``, a hidden unit of degree
``m`` may see columns of degree ``<= m``, and the output of a column may see hidden units of
degree strictly below its own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from made.errors import NotAutoregressiveError, OptionError
from made.orderings import check_ordering, ranks

_N_POINTS = 3


def hidden_mask(degrees_out: Tensor, degrees_in: Tensor) -> Tensor:
    """Return the mask of edges into hidden units: ``degrees_out[i] >= degrees_in[j]``.

    Examples
    --------
    >>> hidden_mask(torch.tensor([1, 2]), torch.tensor([1, 2, 3])).int().tolist()
    [[1, 0, 0], [1, 1, 0]]
    """
    return degrees_out[:, None] >= degrees_in[None, :]


def output_mask(degrees_out: Tensor, degrees_in: Tensor) -> Tensor:
    """Return the mask of edges into outputs: ``degrees_out[i] > degrees_in[j]``.

    It serves edges from hidden units and, as direct connections, from inputs.

    Examples
    --------
    >>> output_mask(torch.tensor([1, 2, 3]), torch.tensor([1, 2])).int().tolist()
    [[0, 0], [1, 0], [1, 1]]
    """
    return degrees_out[:, None] > degrees_in[None, :]


def check_autoregressive(
    module: nn.Module,
    ordering: Sequence[int] | np.ndarray,
    *,
    input_columns: Sequence[int] | np.ndarray | None = None,
    output_columns: Sequence[int] | np.ndarray | None = None,
    seed: int = 0,
) -> None:
    """Raise if any output of ``module`` depends on its own column or on a later one.

    The Jacobian d output_i / d input_j must be zero wherever ``rank[column of j] >=
    rank[column of i]``. It is computed in float64, on a copy, with dropout off, at several points,
    first with the module's own parameters. A point at which a ReLU is dead hides the edges behind
    it, so the Jacobian is taken again with every non-zero parameter replaced by a
    positive random number: then all units are alive on positive inputs and no two paths
    cancel. Weights that are exactly zero stay zero, since that is how masks may be built in.

    Parameters
    ----------
    module : torch.nn.Module
        Maps ``(n_rows, n_inputs)`` to ``(n_rows, n_outputs)``, each row by itself.
    ordering : sequence of int
        ``ordering[t]`` is the column visited at step ``t``.
    input_columns, output_columns : sequence of int, optional
        The column that each input and each output belongs to. By default unit ``i``
        belongs to column ``i``; needed when a column has several inputs or parameters.
    seed : int
        Seed of the points and the replaced parameters.

    Raises
    ------
    NotAutoregressiveError
        Names the first forbidden edge.
    OptionError
        If the ordering or the columns of inputs and outputs do not fit the module.

    Examples
    --------
    >>> check_autoregressive(nn.Linear(2, 2), [0, 1])
    Traceback (most recent call last):
    ...
    made.errors.NotAutoregressiveError: Output 0 (column 0, step 0) depends on input 0 (column 0, \
step 0); under this ordering it may depend on no column at all. ...
    """
    order = check_ordering(ordering)
    rank = ranks(order)
    columns_in = _owners(input_columns, len(order), "input_columns")
    probe = copy.deepcopy(module).to(torch.float64).eval()
    random = torch.Generator().manual_seed(seed)
    points = torch.rand(_N_POINTS, len(columns_in), generator=random, dtype=torch.float64)
    dependence = _depends(probe, points - 0.5)
    columns_out = _owners(output_columns, len(order), "output_columns")
    if len(columns_out) != len(dependence):
        raise OptionError(
            f"The module has {len(dependence)} outputs and output_columns names "
            f"{len(columns_out)}. Pass output_columns=[...], the column of each output."
        )
    _make_positive(probe, random)
    dependence = dependence | _depends(probe, points + 0.5)
    forbidden = dependence & (rank[columns_in][None, :] >= rank[columns_out][:, None])
    if forbidden.any():
        i, j = (int(index) for index in np.argwhere(forbidden)[0])
        step = int(rank[columns_out[i]])
        allowed = f"only on columns {order[:step].tolist()}" if step else "on no column at all"
        raise NotAutoregressiveError(
            f"Output {i} (column {columns_out[i]}, step {step}) depends on input {j} (column "
            f"{columns_in[j]}, step {rank[columns_in[j]]}); under this ordering it may depend "
            f"{allowed}. {int(forbidden.sum())} forbidden edge(s) in all."
        )


def _owners(columns: Sequence[int] | np.ndarray | None, n_columns: int, name: str) -> np.ndarray:
    owners = np.arange(n_columns) if columns is None else np.asarray(columns)
    if owners.ndim != 1 or not len(owners) or owners.min() < 0 or owners.max() >= n_columns:
        raise OptionError(f"{name} must hold column numbers in 0..{n_columns - 1}.")
    return owners.astype(np.int64)


def _depends(module: nn.Module, points: Tensor) -> np.ndarray:
    """Return the boolean matrix of (output, input) pairs with a derivative that is not zero."""
    inputs = points.clone().requires_grad_(True)
    try:
        outputs = module(inputs)
    except RuntimeError as error:
        raise OptionError(
            f"The module does not take {points.shape[1]} inputs a row ({error}). "
            "Pass input_columns=[...] if a column has several inputs."
        ) from error
    found = np.zeros((outputs.shape[1], inputs.shape[1]), dtype=bool)
    for i in range(outputs.shape[1]):
        if not outputs[:, i].requires_grad:
            continue
        (gradient,) = torch.autograd.grad(
            outputs[:, i].sum(), inputs, retain_graph=True, allow_unused=True
        )
        if gradient is not None:
            # A derivative that is not a number is no proof of independence.
            found[i] = ((gradient != 0) | gradient.isnan()).any(dim=0).numpy()
    return found


def _make_positive(module: nn.Module, random: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            drawn = torch.rand(parameter.shape, generator=random, dtype=torch.float64) + 0.5
            # Scaled by the fan-in, so that deep products stay within the range of floats.
            scale = parameter.shape[1] if parameter.ndim > 1 else 1
            parameter.copy_(torch.where(parameter != 0, drawn / scale, 0.0))
