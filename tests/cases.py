"""The network options and the columns that every exactness test runs over; small models."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from made.columns import (
    BinaryColumn,
    CategoricalColumn,
    Column,
    ContinuousColumn,
    DatetimeColumn,
    IntegerColumn,
    NumericColumn,
)
from made.columns.fitting import fit_categorical, fit_numeric
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


_random = np.random.default_rng(0)
_counts = _random.poisson(3.0, 500).astype(np.float64)
_normal = _random.normal(10.0, 3.0, 400)
# Nine of ten are zero, the rest have a heavy tail, as gains of capital do.
_gains = np.where(_random.random(1000) < 0.9, 0.0, np.round(_random.lognormal(8, 1.5, 1000)))


def with_holes(values: np.ndarray, every: int = 5) -> np.ndarray:
    """Return ``values`` with a missing cell at every fifth place."""
    return np.where(np.arange(len(values)) % every == 0, np.nan, values)


# Every kind of column at its easiest and in every corner.
COLUMNS: dict[str, Column] = {
    "binary": BinaryColumn("binary"),
    "binary of texts, missing": BinaryColumn("answer", "str", True, ("no", "yes")),
    "grades": CategoricalColumn("grades", levels=("A", "B", "C"), counts=(50, 30, 18), n_rows=98),
    "rare levels": CategoricalColumn(
        "rare", "str", True, tuple("abcdefg"), (40, 1, 30, 3, 0, 4, 1), 90
    ),
    "one level": CategoricalColumn("one", levels=(7,), counts=(20,), n_rows=20),
    "no level": fit_categorical("none", np.full(9, np.nan), ()),
    "all levels once": fit_categorical("ids", np.arange(300.0), list(range(300))),
    "very many levels": CategoricalColumn(
        "many", "", False, tuple(range(300)), tuple(5 + k % 7 for k in range(300)), 3000
    ),
    "counts": fit_numeric(IntegerColumn, "counts", _counts, low=0.0),
    "counts, no atoms": fit_numeric(IntegerColumn, "counts", _counts, low=0.0, atoms=False),
    "stars": fit_numeric(IntegerColumn, "stars", with_holes(_counts % 5 + 1), low=1.0, high=5.0),
    "no limits": fit_numeric(IntegerColumn, "change", with_holes(np.round(_normal * 40 - 400))),
    "one integer": fit_numeric(IntegerColumn, "same", np.full(30, 4.0), low=4.0, high=4.0),
    "few integers": fit_numeric(IntegerColumn, "few", np.array([3.0, 9.0, -4.0])),
    "large integers": fit_numeric(IntegerColumn, "codes", np.round(_normal * 1e14), low=0.0),
    "gains": fit_numeric(IntegerColumn, "gains", _gains, low=0.0),
    "days": fit_numeric(DatetimeColumn, "born", np.round(_normal * 900), unit="D"),
    "instants": fit_numeric(
        DatetimeColumn, "seen", with_holes(1.6e15 + np.round(_normal * 1e12)), unit="us"
    ),
    "real": fit_numeric(ContinuousColumn, "real", _normal),
    "real, holes": fit_numeric(ContinuousColumn, "holes", with_holes(_normal)),
    "price": fit_numeric(ContinuousColumn, "price", _random.lognormal(0, 1, 400), low=0.0),
    "share": fit_numeric(ContinuousColumn, "share", _random.beta(0.5, 0.5, 300), low=0.0, high=1.0),
    "real gains": fit_numeric(ContinuousColumn, "gains", with_holes(_gains), low=0.0),
    "only atoms": fit_numeric(ContinuousColumn, "steps", np.repeat([-1.5, 0.25, 7.0], 20)),
    "one real": fit_numeric(ContinuousColumn, "same", np.full(30, 2.5)),
    "two reals": fit_numeric(ContinuousColumn, "two", np.array([0.1, 0.3])),
    "no real": fit_numeric(ContinuousColumn, "nothing", np.full(30, np.nan)),
    "tiny": fit_numeric(ContinuousColumn, "tiny", -1e-12 * _normal, high=0.0),
    "outlier": fit_numeric(ContinuousColumn, "far", np.append(_normal, 1e12)),
    "clusters": fit_numeric(
        ContinuousColumn, "clusters", np.repeat([0.0, 1.0, 5.0], 100) + 1e-4 * _random.random(300)
    ),
}


def binary_columns(n_columns: int) -> list[Column]:
    return [BinaryColumn(f"x{d}") for d in range(n_columns)]


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


def some_rows(columns: Sequence[Column], n_rows: int, seed: int = 0) -> np.ndarray:
    """Return rows that ``columns`` can have, float64, some cells atoms, missing or unseen."""
    random = np.random.default_rng(seed)
    values = np.empty((n_rows, len(columns)))
    for d, column in enumerate(columns):
        if column.outcomes is not None:
            values[:, d] = random.choice(column.outcomes, n_rows)
            continue
        assert isinstance(column, NumericColumn)
        cells = column.inverse(random.normal(size=n_rows))
        low = -np.inf if column.low is None else column.low
        high = np.inf if column.high is None else column.high
        cells = np.clip(np.round(cells) if column.discrete else cells, low, high)
        if column.atoms:
            cells = np.where(
                random.random(n_rows) < 0.3, random.choice(column.atoms, n_rows), cells
            )
        missing = column.missing and random.random(n_rows) < 0.2
        values[:, d] = np.where(missing, np.nan, cells)
    return values


def mixed_model(names: Sequence[str], seed: int = 0, noise: float = 0.3, **options: Any) -> Model:
    """Return a model of some of `COLUMNS`, with weights far from their start."""
    columns = [replace(COLUMNS[name], name=name) for name in names]
    chosen: dict[str, Any] = {"hidden": (13, 9)} | options
    model = Model(columns, NetworkConfig(**chosen))
    model.initialize(seed, some_rows(columns, 60, seed))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(noise * torch.randn(parameter.shape, generator=random))
    return model.eval()
