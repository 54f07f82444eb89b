"""Imputers to compare with: scikit-learn's, an iterative forest in the manner of MissForest, means.

All take a frame with holes and the names of its numeric columns, and return it filled. Where an
imputer takes numbers alone, categories are one column for each level, and the largest wins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

_TREES, _ROUNDS, _NEIGHBOURS = 50, 3, 10


def mean_mode(frame: pd.DataFrame, numeric: list[str], seed: int) -> pd.DataFrame:
    """Fill numbers by their mean, categories by the most frequent one."""
    del seed
    filled = frame.copy()
    for name in frame:
        column = frame[name]
        value = column.astype(float).mean() if name in numeric else column.mode().iloc[0]
        filled[name] = (column.astype(float) if name in numeric else column).fillna(value)
    return filled


def k_nearest(frame: pd.DataFrame, numeric: list[str], seed: int) -> pd.DataFrame:
    from sklearn.impute import KNNImputer

    del seed
    return _by_numbers(frame, numeric, KNNImputer(n_neighbors=_NEIGHBOURS, weights="distance"))


def iterative(frame: pd.DataFrame, numeric: list[str], seed: int) -> pd.DataFrame:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    imputer = IterativeImputer(max_iter=5, n_nearest_features=30, random_state=seed)
    return _by_numbers(frame, numeric, imputer)


def iterative_forest(frame: pd.DataFrame, numeric: list[str], seed: int) -> pd.DataFrame:
    """Predict each column's holes from all others by a random forest, round after round."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    filled = mean_mode(frame, numeric, seed)
    codes = pd.DataFrame({
        name: filled[name] if name in numeric else filled[name].astype("category").cat.codes
        for name in frame
    }).astype(float)  # fmt: skip
    by_holes = frame.isna().sum().sort_values()
    for _ in range(_ROUNDS):
        for name in by_holes[by_holes > 0].index:
            holes = frame[name].isna().to_numpy()
            others = codes.drop(columns=name).to_numpy()
            sort: Any = RandomForestRegressor if name in numeric else RandomForestClassifier
            forest = sort(_TREES, min_samples_leaf=2, random_state=seed, n_jobs=1)
            known = frame[name][~holes]
            forest.fit(
                others[~holes], known.astype(float) if name in numeric else known.astype(str)
            )
            guess = forest.predict(others[holes])
            if name in numeric:
                filled.loc[holes, name] = guess
                codes.loc[holes, name] = guess
            else:
                back = {str(level): level for level in known.unique()}
                filled.loc[holes, name] = [back[level] for level in guess]
                codes[name] = filled[name].astype("category").cat.codes.astype(float)
    return filled


def _by_numbers(frame: pd.DataFrame, numeric: list[str], imputer: Any) -> pd.DataFrame:
    parts, owners = [], []
    for name in frame:
        if name in numeric:
            column = frame[[name]].astype(float)
            parts.append((column - column.mean()) / (column.std() + 1e-12))
            owners.append((name, None))
            continue
        levels = frame[name].dropna().unique()
        wide = pd.DataFrame({level: (frame[name] == level).astype(float) for level in levels})
        wide[frame[name].isna()] = np.nan
        parts.append(wide)
        owners += [(name, level) for level in levels]
    found = imputer.fit_transform(pd.concat(parts, axis=1).to_numpy())
    filled = frame.copy()
    for name in frame:
        places = [place for place, (owner, _) in enumerate(owners) if owner == name]
        holes = frame[name].isna().to_numpy()
        if name in numeric:
            column = frame[name].astype(float)
            back = found[:, places[0]] * (column.std() + 1e-12) + column.mean()
            filled[name] = column.where(~holes, back)
        else:
            levels = np.array([owners[place][1] for place in places], dtype=object)
            guess = levels[found[:, places].argmax(axis=1)]
            filled[name] = frame[name].astype(object).where(~holes, guess)
    return filled


IMPUTERS: dict[str, Callable[[pd.DataFrame, list[str], int], pd.DataFrame]] = {
    "mean or mode": mean_mode,
    "KNNImputer": k_nearest,
    "IterativeImputer": iterative,
    "iterative forest": iterative_forest,
}
