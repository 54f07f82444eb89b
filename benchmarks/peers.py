"""The networks of other libraries, built at the sizes that the benchmarks compare.

Each is imported only when it is built; what is not installed is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from made.columns import BinaryColumn
from made.model import Model
from made.network.config import NetworkConfig
from peers_tensorflow import PACKAGES as TENSORFLOW

PACKAGES = ("nflows", "normflows", "zuko", "pyro-ppl", "sbi")
VERSIONS = ("made", "torch", "numpy", "numba", *PACKAGES, *TENSORFLOW)


def our_model(n_columns: int, width: int, rows: Tensor, seed: int) -> Model:
    """Return our network as the others have it: no direct connections, no conditioning."""
    config = NetworkConfig(hidden=(width, width), direct_input=False, conditioning=False)
    model = Model([BinaryColumn(f"x{d}") for d in range(n_columns)], config)
    model.initialize(seed, rows)
    return model


def unmasked(n_columns: int, width: int) -> nn.Module:
    """Return a plain network of the same size: one dense pass."""
    return nn.Sequential(
        nn.Linear(n_columns, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, n_columns),
    )


def networks(n_columns: int, width: int) -> dict[str, nn.Module]:
    """Return the masked networks of the installed libraries; each maps rows to logits."""
    found = {}
    for name, build in _BUILDERS.items():
        try:
            found[name] = build(n_columns, width)
        except ImportError:
            continue
    return found


def sbi_estimator(n_columns: int, width: int) -> Any | None:
    """Return sbi's categorical MADE, which has a log_prob and a sample of its own, or None."""
    try:
        from sbi.neural_nets.estimators import CategoricalMADE
    except ImportError:
        return None
    return CategoricalMADE(
        num_categories=torch.full((n_columns,), 2),
        num_hidden_features=width,
        num_context_features=1,
        num_blocks=1,
        use_residual_blocks=False,
    )


def draw(module: nn.Module, order: Tensor, n_rows: int) -> Tensor:
    """Draw rows as all of them do: one pass for every column."""
    rows = torch.zeros(n_rows, len(order))
    with torch.no_grad():
        for column in order.tolist():
            logits = module(rows)[:, column]
            rows[:, column] = torch.bernoulli(torch.sigmoid(logits))
    return rows


def _nflows(n_columns: int, width: int) -> nn.Module:
    from nflows.transforms.made import MADE

    return MADE(features=n_columns, hidden_features=width, num_blocks=1, use_residual_blocks=False)


def _normflows(n_columns: int, width: int) -> nn.Module:
    from normflows.nets.made import MADE

    return MADE(features=n_columns, hidden_features=width, num_blocks=1, use_residual_blocks=False)


def _zuko(n_columns: int, width: int) -> nn.Module:
    from zuko.nn import MaskedMLP

    adjacency = torch.arange(n_columns)[:, None] > torch.arange(n_columns)
    return MaskedMLP(adjacency, [width, width])


def _pyro(n_columns: int, width: int) -> nn.Module:
    from pyro.nn import AutoRegressiveNN

    # It refuses fewer hidden units than columns.
    return AutoRegressiveNN(n_columns, [max(width, n_columns)] * 2, param_dims=[1])


_BUILDERS: dict[str, Callable[[int, int], nn.Module]] = {
    "nflows": _nflows,
    "normflows": _normflows,
    "zuko": _zuko,
    "pyro": _pyro,
}
