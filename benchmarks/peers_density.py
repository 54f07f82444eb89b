"""Densities of scikit-learn on standardised rows, their settings chosen on validation rows.

Each function takes train, valid and test rows, (n_rows, n_columns), and returns a `Scored`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

COVARIANCES = ("full", "diag", "tied", "spherical")
COMPONENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
# A larger number of components is tried until so many in a row have not helped.
_PATIENCE = 3
BANDWIDTHS = tuple(float(width) for width in np.geomspace(0.01, 2.0, 24))


@dataclass
class Scored:
    """What a method gave the test rows, and how it came to it."""

    test: np.ndarray
    valid: float
    seconds: float
    chosen: dict[str, Any] = field(default_factory=dict)


def gaussian_mixture(
    train: np.ndarray, valid: np.ndarray, test: np.ndarray, *, seed: int, seconds: float,
    regularization: float = 1e-6,
) -> Scored:  # fmt: skip
    """Return the mixture whose covariance type and number of components suit ``valid`` best."""
    started = time.perf_counter()
    best: tuple[float, GaussianMixture] | None = None
    tried = {}
    for covariance in COVARIANCES:
        highest, misses = -np.inf, 0
        deadline = time.process_time() + seconds
        for n_components in COMPONENTS:
            if 2 * n_components > len(train) or time.process_time() > deadline:
                break
            try:
                model = GaussianMixture(
                    n_components, covariance_type=covariance, random_state=seed, max_iter=300,
                    n_init=2, reg_covar=regularization,
                ).fit(train)  # fmt: skip
            except ValueError:
                # A component collapsed: more of them can only be worse.
                break
            score = float(model.score(valid))
            tried[f"{n_components} {covariance}"] = score
            if best is None or score > best[0]:
                best = (score, model)
            misses = 0 if score > highest else misses + 1
            highest = max(highest, score)
            if misses == _PATIENCE:
                break
    assert best is not None
    score, model = best
    chosen = {"components": model.n_components, "covariance": model.covariance_type, "tried": tried}
    test_scores = model.score_samples(test)
    return Scored(test_scores, score, time.perf_counter() - started, chosen)


def kernel_density(
    train: np.ndarray, valid: np.ndarray, test: np.ndarray, *, seed: int, seconds: float
) -> Scored:
    """Return the Gaussian kernel estimate of the best bandwidth, on whitened rows if that helps."""
    del seed, seconds
    started = time.perf_counter()
    scores: dict[tuple[str, float], float] = {}
    for name, space in _SPACES.items():
        change, log_volume = space(train)
        for bandwidth in BANDWIDTHS:
            model = KernelDensity(bandwidth=bandwidth).fit(train @ change)
            # The mean over many rows needs no more than some thousands of them.
            nats = model.score_samples(valid[:2000] @ change)
            scores[name, bandwidth] = float(nats.mean() + log_volume)
    name, bandwidth = max(scores, key=scores.__getitem__)
    change, log_volume = _SPACES[name](train)
    model = KernelDensity(bandwidth=bandwidth).fit(train @ change)
    return Scored(
        model.score_samples(test @ change) + log_volume,
        scores[name, bandwidth],
        time.perf_counter() - started,
        {"bandwidth": round(bandwidth, 4), "space": name},
    )


def _standardised(rows: np.ndarray) -> tuple[np.ndarray, float]:
    return np.eye(rows.shape[1]), 0.0


def _whitened(rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the change of basis to uncorrelated rows of unit variance, and its log volume."""
    variances, directions = np.linalg.eigh(np.cov(rows.T))
    # Directions of hardly any variance are left a floor, as the mixture has one.
    scales = np.sqrt(np.maximum(variances, 1e-6))
    return directions / scales, float(-np.log(scales).sum())


_SPACES: dict[str, Callable[[np.ndarray], tuple[np.ndarray, float]]] = {
    "standardised": _standardised,
    "whitened": _whitened,
}
