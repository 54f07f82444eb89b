"""The network options that every exactness test runs over, and ways to make small models."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from made.columns import Column
from made.model import Model
from made.network.config import NetworkConfig

# Every option of the network at least once, alone and in company.
NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {"direct_input": False, "conditioning": False},
    "elu": {"activation": "elu"},
    "gelu": {"activation": "gelu"},
    "tanh": {"activation": "tanh"},
    "softplus": {"activation": "softplus"},
    "direct": {"direct_input": True, "direct_hidden": True},
    "no direct": {"direct_input": False},
    "conditioning": {"conditioning": True},
    "redrawn": {"hidden_degrees": "redrawn"},
    "redrawn conditioning": {"hidden_degrees": "redrawn", "conditioning": True},
    "even": {"spread": "even"},
    "even redrawn": {"spread": "even", "hidden_degrees": "redrawn"},
    "residual": {"hidden": (9, 9, 9), "residual": True},
    "norm": {"normalization": "cumulative_rms"},
    "residual norm redrawn": {
        "hidden": (9, 9, 9),
        "residual": True,
        "normalization": "cumulative_rms",
        "hidden_degrees": "redrawn",
        "direct_hidden": True,
    },
    "one layer": {"hidden": (11,)},
    "narrow": {"hidden": (2, 1)},
    "deep": {"hidden": (5, 6, 7, 4)},
    "no hidden": {"hidden": ()},
    "dropout": {"dropout": 0.5},
    "orthogonal": {"initialization": "orthogonal"},
}


def binary_columns(n_columns: int) -> list[Column]:
    return [Column(f"x{d}") for d in range(n_columns)]


def random_model(n_columns: int, seed: int = 0, **options: Any) -> Model:
    """Return a model with weights far from their start, so that nothing is zero by luck."""
    chosen: dict[str, Any] = {"hidden": (13, 9)} | options
    model = Model(binary_columns(n_columns), NetworkConfig(**chosen))
    random = torch.Generator().manual_seed(seed)
    values = (torch.rand(30, n_columns, generator=random) < 0.4).float()
    model.initialize(seed, values)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape, generator=random))
    return model.eval()


def every_row(n_columns: int) -> torch.Tensor:
    """Return all rows of ``n_columns`` binary cells."""
    rows = np.array(list(itertools.product([0.0, 1.0], repeat=n_columns)), dtype=np.float32)
    return torch.as_tensor(rows.reshape(2**n_columns, n_columns))
