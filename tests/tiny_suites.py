"""A suite of two tiny sets with known hashes, and results that are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import made
from made.benchmark import suites
from made.benchmark.data import contents_hash
from made.benchmark.results import COMBINATIONS, FORMAT, KEPT, result_path, write_result
from made.benchmark.suites import SPLITS, BenchmarkSet, Split, Suite
from made.density import fit_timed

SETS = ("first", "second")
SIZES = {"train": 120, "valid": 40, "test": 50}
N_COLUMNS = 5


def arrays_of(name: str) -> dict[str, np.ndarray]:
    random = np.random.default_rng(SETS.index(name))
    shape = {split: (n_rows, N_COLUMNS) for split, n_rows in SIZES.items()}
    return {split: (random.random(shape[split]) < 0.3).astype(np.uint8) for split in SPLITS}


def tiny_suite() -> Suite:
    known = {
        name: BenchmarkSet(
            name,
            N_COLUMNS,
            {
                split: Split(len(rows), contents_hash(rows))
                for split, rows in arrays_of(name).items()
            },
        )
        for name in SETS
    }
    return Suite("tiny", "tiny", "default", "3s", known)


def quick_fit(train: Any, valid: Any, used_seconds: float, **how: Any) -> made.Density:
    """Fit as a run does, but a small network for a few epochs."""
    small = {"hidden": (8,), "members": 4, "orderings": 4, "max_epochs": 4}
    return fit_timed(train, valid, used_seconds, **small, **how)


def register(monkeypatch: pytest.MonkeyPatch) -> Suite:
    suite = tiny_suite()
    monkeypatch.setitem(suites.SUITES, "tiny", suite)
    return suite


def write_data(folder: Path) -> Path:
    """Write the sets as .npz files and return the folder of data."""
    (folder / "tiny").mkdir(parents=True)
    for name in SETS:
        np.savez(folder / "tiny" / f"{name}.npz", allow_pickle=False, **arrays_of(name))
    return folder


def made_up(
    suite: str, name: str, nll: float, *, recipe: str = "default", seed: int = 0, error: float = 0.1
) -> dict[str, Any]:
    """Return a result of a certain test figure."""
    line = {
        "n_members": 4, "power": 1.0, "validation_nll": nll, "validation_standard_error": error,
        "test_nll": nll, "test_standard_error": error, "gain": 0.0, "gain_standard_error": 0.0,
        "log_normalizer": 0.0, "log_normalizer_lower": 0.0, "log_normalizer_upper": 0.0,
    }  # fmt: skip
    kept = {
        "gain": 0.5, "gain_standard_error": 0.02, "power": 0.5,
        "log_normalizer": -1.0, "log_normalizer_lower": -1.1, "log_normalizer_upper": -0.9,
    }  # fmt: skip
    return {
        "format": FORMAT, "suite": suite, "set": name, "recipe": recipe, "seed": seed,
        "test_nll": nll, "test_standard_error": error,
        "validation_nll": nll, "validation_standard_error": error,
        "seconds": 9.5, "budget_seconds": 90.0, "epochs": 3, "columns": 7,
        "rows": {"train": 5, "valid": 5, "test": 5}, "data": {},
        "combinations": [
            {"combination": each, **line, **(kept if each == KEPT else {})}
            for each in COMBINATIONS
        ],
        "by_orderings": [[1, nll + 1], [2, nll + 0.5], [4, nll]],
        "history": [[1.0, nll + 3], [3.0, nll + 1], [8.0, nll]],
        "configuration": {"combination": "power mean 0.5", "n_members": 4},
        "versions": {"made": "0"}, "machine": {"processor": "P", "cores": 2, "threads": 1},
        "against": {},
    }  # fmt: skip


def store(folder: Path, *results: dict[str, Any]) -> Path:
    for one in results:
        path = result_path(folder, one["suite"], one["set"], one["recipe"], one["seed"])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_result(path, one)
    return folder
