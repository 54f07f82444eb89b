"""A mixture of normals fitted to one column of scores by EM: a quick guess at its shape.

Knows numbers; knows nothing of columns. What models use is a mixture of logistics that a network
puts out; this one says where that starts, and which scale would suit it.
"""

from __future__ import annotations

import numpy as np

N_COMPONENTS = 10
_STEPS = 40
_LEAST_DEVIATION = 2e-3
# Rows that each component has on top of its own, so that none dies.
_PRIOR_ROWS = 0.1


def fit_normals(
    scores: np.ndarray, n_components: int = N_COMPONENTS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, means and standard deviations, shape ``(n_components,)`` each.

    Examples
    --------
    >>> weights, means, deviations = fit_normals(np.repeat([-1.0, 1.0], 50))
    >>> float(weights[means > 0].sum().round(3))
    0.5
    """
    scores = np.sort(scores)
    shares = (np.arange(n_components) + 0.5) / n_components
    means = np.quantile(scores, shares)
    # Narrow ones find clusters; wide ones would have to come apart first, which takes EM long.
    deviations = np.full(n_components, scores.std() / n_components + _LEAST_DEVIATION)
    weights = np.full(n_components, 1 / n_components)
    for _ in range(_STEPS):
        log_parts = _log_parts(scores, weights, means, deviations)
        log_parts -= log_parts.max(1, keepdims=True)
        parts = np.exp(log_parts)
        parts /= parts.sum(1, keepdims=True)
        rows = parts.sum(0) + _PRIOR_ROWS
        weights = rows / rows.sum()
        means = (scores @ parts + _PRIOR_ROWS * means) / rows
        squares = (parts * (scores[:, None] - means) ** 2).sum(0)
        deviations = np.sqrt(squares / rows + _LEAST_DEVIATION**2)
    return weights, means, deviations


def log_normals(
    scores: np.ndarray, weights: np.ndarray, means: np.ndarray, deviations: np.ndarray
) -> np.ndarray:
    """Return the log density of the mixture at ``scores``."""
    log_parts = _log_parts(scores, weights, means, deviations)
    most = log_parts.max(1)
    return most + np.log(np.exp(log_parts - most[:, None]).sum(1))


def _log_parts(
    scores: np.ndarray, weights: np.ndarray, means: np.ndarray, deviations: np.ndarray
) -> np.ndarray:
    t = (scores[:, None] - means) / deviations
    return np.log(weights) - np.log(deviations) - 0.5 * np.log(2 * np.pi) - 0.5 * t * t
