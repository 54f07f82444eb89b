"""Compiled inverse cdf of atoms beside a mixture of truncated logistics.

Knows masses, weights, means and scales as arrays; knows nothing of columns or torch.
"""

# Compiled code: what numba takes is spelled out, loop by loop.
# pyright: basic

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

_OPTIONS: Any = {"cache": True, "fastmath": False, "nogil": True}
MISSING, REST = -2, -1
# The mixture's quantile is found to this; scores are of the order of 1.
_TOLERANCE = 1e-13
# In each step the error or the bracket is halved; 57 steps take one farthest score to the other.
_MAX_STEPS = 200
_LEAST = 1e-16
_LEAST_WEIGHT = 1e-15


@numba.njit(**_OPTIONS)
def _sigmoid(t):
    if t >= 0:
        return 1.0 / (1.0 + math.exp(-t))
    power = math.exp(t)
    return power / (1.0 + power)


@numba.njit(**_OPTIONS)
def _cdf(z, means, scales, floors, factors):
    """Return the mass below z; ``factors`` are weights divided by masses within the limits."""
    total = 0.0
    for k in range(len(means)):
        if factors[k] > 0:
            total += factors[k] * (_sigmoid((z - means[k]) / scales[k]) - floors[k])
    return min(max(total, 0.0), 1.0)


@numba.njit(**_OPTIONS)
def _quantile(v, weights, means, scales, floors, factors, low, high):
    """Return z with the mass ``v`` below it: Newton's steps, halving where they leave a bracket."""
    v = min(max(v, _LEAST), 1 - _LEAST)
    # A quantile of a mixture lies between those of its components.
    left, right, start = high, low, 0.0
    for k in range(len(means)):
        if factors[k] > 0:
            p = min(max(floors[k] + v * weights[k] / factors[k], 1e-300), 1 - _LEAST)
            own = means[k] + scales[k] * (math.log(p) - math.log1p(-p))
            own = min(max(own, low), high)
            left, right = min(left, own), max(right, own)
            start += weights[k] * own
    z = min(max(start, left), right)
    error_before = math.inf
    for _ in range(_MAX_STEPS):
        if not right - left > _TOLERANCE * (1 + abs(z)):
            break
        error, slope = -v, 0.0
        for k in range(len(means)):
            if factors[k] > 0:
                p = _sigmoid((z - means[k]) / scales[k])
                error += factors[k] * (p - floors[k])
                slope += factors[k] * p * (1 - p) / scales[k]
        if error > 0:
            right = z
        else:
            left = z
        moved = z - error / slope if slope > 0 else left
        # From the tail of a narrow component Newton crawls, one scale a step.
        if abs(error) > 0.5 * error_before or not left < moved < right:
            moved = 0.5 * (left + right)
        error_before = abs(error)
        if abs(moved - z) <= _TOLERANCE * (1 + abs(z)):
            return moved
        z = moved
    return z


@numba.njit(**_OPTIONS)
def inverse_cdf(
    uniforms, atoms, rest, starts, ends, weights, means, scales, low, high, scores, places, gaps
):
    """Find where the cdf passes each uniform.

    Row r has the mass ``atoms[r, j]`` at atom j, which reaches from ``starts[j]`` to ``ends[j]`` on
    the scale of scores, and the mass ``rest[r]`` spread by the mixture. Written are the place of
    the atom, -1 for the rest or -2 for missing; the score; and how many atoms lie below.
    """
    n_atoms, n_components = atoms.shape[1], means.shape[1]
    passed = np.empty(n_atoms + 1)
    floors, factors = np.empty(n_components), np.empty(n_components)
    for r in range(len(uniforms)):
        u = uniforms[r]
        passed[0] = 0.0
        for j in range(n_atoms):
            passed[j + 1] = passed[j] + atoms[r, j]
        scores[r], gaps[r] = 0.0, 0
        if u >= passed[n_atoms] + rest[r] and rest[r] + passed[n_atoms] < 1 - 1e-12:
            places[r] = MISSING
            continue
        for k in range(n_components):
            floors[k] = _sigmoid((low - means[r, k]) / scales[r, k])
            mass = _sigmoid((high - means[r, k]) / scales[r, k]) - floors[k]
            has_weight = weights[r, k] > _LEAST_WEIGHT and mass > 0
            factors[k] = weights[r, k] / mass if has_weight else 0.0
        # How many atoms begin at or below the uniform.
        below, above = 0, n_atoms
        while below < above:
            middle = (below + above) // 2
            begin = passed[middle] + rest[r] * _cdf(
                starts[middle], means[r], scales[r], floors, factors
            )
            if begin <= u:
                below = middle + 1
            else:
                above = middle
        if below:
            end = passed[below] + rest[r] * _cdf(
                ends[below - 1], means[r], scales[r], floors, factors
            )
            if u < end or rest[r] <= 0:
                places[r] = below - 1
                continue
        share = (u - passed[below]) / rest[r] if rest[r] > 0 else 0.5
        scores[r] = _quantile(share, weights[r], means[r], scales[r], floors, factors, low, high)
        places[r], gaps[r] = REST, below
