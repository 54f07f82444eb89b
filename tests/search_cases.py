"""Small tables, and options for searches over them that end fast. Knows no test."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import made
from made.fitting import RowSource
from made.search.space import Space, space_of
from made.search.study import Study

_random = np.random.default_rng(0)
_halves = _random.integers(0, 2, size=(120, 1))
BITS = (_random.random((120, 6)) < 0.2 + 0.6 * _halves).astype(np.uint8)
MIXED = pd.DataFrame(
    {
        "kind": _random.choice(["a", "b", "c"], 80),
        "size": np.round(_random.normal(10, 3, 80), 2),
        "count": _random.poisson(3, 80),
    }
)
# All but dropout is fixed: six trials, each ended by its patience, however slow the machine.
SMALL: dict[str, Any] = {
    "hidden": (8,), "members": 2, "batch_size": 40, "patience": 2, "learning_rate": 0.05,
    "orderings": 2, "weight_decay": 0.01, "orderings_per_step": 1, "threads": 1, "device": "cpu",
    "warm_up": 3, "average_decay": 0.5, "combine": "mixture", "search": 60, "conditioning": True,
    "direct_input": True,
}  # fmt: skip
DROPOUTS = [0.0, 0.1, 0.2, 0.3, 0.5, 0.7]
RUN = {"training_rows_hash": "1", "seed": 0, "options": {"preset": "default"}}


def search(rows: Any = BITS, **options: Any) -> made.Density:
    return made.fit(rows, **SMALL | options)


def tried(folder: Path) -> list[dict[str, Any]]:
    """Return the options and the states of all trials in a folder, from the journal itself."""
    study = Study(folder, identity(folder), 1.0, seed=0, resume=True)
    return [{"state": trial.state} | trial.options for trial in study.trials]


def identity(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "search.json").read_text())["run"]


def story(density: made.Density) -> dict[str, Any]:
    return density.record.options["search"]


def bits_space(n_rows: int = 1000, **fixed: Any) -> Space:
    return space_of(RowSource(BITS).read().schema, n_rows, fixed)


def stopping_after(n_epochs: int) -> Any:
    """Return a callback that stops everything, as a second Ctrl-C does, after so many epochs."""
    seen = itertools.count(1)

    def stop(epoch: Any) -> None:
        del epoch
        if next(seen) == n_epochs:
            raise KeyboardInterrupt

    return stop
