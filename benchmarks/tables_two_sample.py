"""Two-sample test: can a classifier tell held-out rows from drawn rows? AUC 0.5 means it cannot.

The classifier sees columns and nothing of how they were written: drawn numbers are rounded to the
recorded step of their column for everybody, levels become the same codes, missing is missing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from tables_cache import is_wanted_again
from tables_data import TWO_SAMPLE, Grid, Splits, numeric_columns, read_table, split_rows

OURS = "made"
PEERS = ("GaussianCopula", "CTGAN")
# Rows of the training set in place of drawn ones: what a perfect model would get.
REAL = "training rows"
METHODS = (OURS, *PEERS)
SETS: tuple[str, ...] = TWO_SAMPLE
_TEST_SHARE = 0.2
_FOLDS = 5


def measure(name: str, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return for each method the AUC and how long it took to train and to draw."""
    splits = _splits(name, arguments)
    found = {REAL: {"fit_seconds": 0.0, "sample_seconds": 0.0, "chosen": {}}
             | separability(splits.test, splits.train.sample(len(splits.test), random_state=0),
                            splits, arguments.seed)}  # fmt: skip
    for method in METHODS:
        drawn = arguments.cache / f"two-sample-{name}-{method}.parquet"
        about = drawn.with_suffix(".json")
        again = is_wanted_again(method, arguments)
        if (again or not about.exists()) and method in arguments.methods:
            print(f"  {name}: {method}", flush=True)
            run = _made if method == OURS else _sdv
            times = run(method, splits, drawn, arguments)
            about.write_text(json.dumps(times))
        if about.exists():
            rows = pd.read_parquet(drawn)
            auc = separability(splits.test, rows, splits, arguments.seed)
            found[method] = json.loads(about.read_text()) | auc
    return found


def summary(
    name: str, found: dict[str, dict[str, Any]], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return the figures, and made's distance from 0.5 less that of the best peer."""
    splits = _splits(name, arguments)
    content = {"set": name, "training_rows": len(splits.train), "test_rows": len(splits.test),
               "columns": splits.train.shape[1], "unit": "AUC", "methods": found}  # fmt: skip
    distances = {method: abs(item["auc"] - 0.5) for method, item in found.items()}
    peers = [method for method in PEERS if method in found]
    if OURS in found and peers:
        best = min(peers, key=distances.__getitem__)
        content |= {"best_peer": best, "difference": distances[OURS] - distances[best]}
    return content


def _splits(name: str, arguments: argparse.Namespace) -> Splits:
    frame = read_table(arguments.data, name)
    for column in frame.select_dtypes(bool):
        frame[column] = frame[column].astype(str)
    return split_rows(frame, arguments.seed, test=_TEST_SHARE)


def separability(
    real: pd.DataFrame, drawn: pd.DataFrame, splits: Splits, seed: int
) -> dict[str, float]:
    """Return the cross-validated AUC of real against drawn rows, and the spread of its folds."""
    everything = pd.concat([splits.train, splits.valid, splits.test])
    drawn = drawn.head(len(real))
    rows = np.concatenate([encode(real, everything), encode(drawn, everything)])
    labels = np.repeat([0, 1], [len(real), len(drawn)])
    numeric = numeric_columns(everything, least=2)
    text = np.array([name not in numeric for name in everything])
    classifier = HistGradientBoostingClassifier(categorical_features=text, random_state=seed)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(classifier, rows, labels, cv=folds, method="predict_proba")[:, 1]
    each = [roc_auc_score(labels[part], scores[part]) for _, part in folds.split(rows, labels)]
    return {
        "auc": float(np.mean(each)),
        "standard_error": float(np.std(each, ddof=1) / np.sqrt(_FOLDS)),
    }


def encode(rows: pd.DataFrame, everything: pd.DataFrame) -> np.ndarray:
    """Return numbers on their column's grid and levels as codes, (n_rows, n_columns) of float."""
    columns = []
    numeric = numeric_columns(everything, least=2)
    for name in everything:
        if name in numeric:
            values = rows[name].astype(float).to_numpy()
            grid = Grid.of(everything[name].to_numpy(float))
            columns.append(grid.values(grid.codes(values)) if grid else values)
        else:
            levels = pd.Index(sorted(everything[name].dropna().unique()))
            codes = levels.get_indexer(rows[name].astype(object)).astype(float)
            columns.append(np.where(codes < 0, np.nan, codes))
    return np.stack(columns, axis=1)


def _made(
    method: str, splits: Splits, drawn: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    import made

    started = time.perf_counter()
    density = made.fit(
        splits.train, splits.valid, max_time=arguments.budget, seed=arguments.seed,
        threads=arguments.threads, keep=list(splits.train), progress=False,
    )  # fmt: skip
    fitted = time.perf_counter()
    rows = density.sample(len(splits.test), seed=arguments.seed)
    about = {"fit_seconds": fitted - started, "sample_seconds": time.perf_counter() - fitted}
    rows.to_parquet(drawn)
    return about | {"chosen": {"budget": arguments.budget}}


def _sdv(method: str, splits: Splits, drawn: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train and draw in sdv's environment; validation rows train it too."""
    train = arguments.cache / "sdv-train.parquet"
    pd.concat([splits.train, splits.valid]).to_parquet(train)
    done = subprocess.run(
        [
            arguments.sdv_python, Path(__file__).with_name("peers_sdv.py"), method, train, drawn,
            "--rows", str(len(splits.test)), "--seed", str(arguments.seed),
            "--threads", str(arguments.threads), "--seconds", str(arguments.peer_seconds),
        ],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])
