"""Every table fits with no argument beside its path, and its held-out rows score finite."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from tables_data import EVERY, missing_texts, table_path

OURS = "made"
METHODS = (OURS,)
SETS: tuple[str, ...] = EVERY
_TEST_SHARE = 0.1


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return rows, columns, seconds and held-out nats, from two files cut from the table's."""
    import made

    with TemporaryDirectory() as folder:
        train, test = (Path(folder) / f"{part}.csv.gz" for part in ("train", "test"))
        n_rows, n_columns = _cut(table_path(arguments.data, name), train, test, arguments.seed)
        texts = missing_texts(name)
        options = {"na": texts} if texts else {}
        started = time.perf_counter()
        density = made.fit(
            train, max_time=arguments.budget, seed=arguments.seed, threads=arguments.threads,
            progress=False, **options,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        nats = density.log_prob(test, unseen="rare")
    return {
        "rows": n_rows,
        "columns": n_columns,
        "seconds": round(seconds, 1),
        "test": float(nats.mean()),
        "standard_error": float(nats.std(ddof=1) / np.sqrt(len(nats))),
        "finite": bool(np.isfinite(nats).all()),
        "lowest": float(nats.min()),
    }


def summary(name: str, found: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    del arguments
    return {"set": name, "unit": "nats a row", **found}


def _cut(path: Path, train: Path, test: Path, seed: int) -> tuple[int, int]:
    """Write the table's cells, as they are, to two files; return its rows and columns."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    order = np.random.default_rng(seed).permutation(len(frame))
    n_test = max(1, round(_TEST_SHARE * len(frame)))
    frame.iloc[order[n_test:]].to_csv(train, index=False)
    frame.iloc[order[:n_test]].to_csv(test, index=False)
    return frame.shape
