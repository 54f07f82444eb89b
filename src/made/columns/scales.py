"""Scales for a column of numbers: candidates, and which of them suits the column best.

A scale is a list of knots and the score of each. Knows sorted values; knows nothing of columns,
atoms or files.

No one scale is good for every column. A straight one keeps shapes that a mixture describes well,
and wastes its range on a far tail; ranks take in any tail, and tear narrow clusters apart. Which
one costs least is tried with a mixture on half of the rows, scored on the other half.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from made.columns.mixtures import fit_normals, log_normals

# Knots grow with the cube root of the rows, as the bins of a histogram should.
_MIN_KNOTS, _MAX_KNOTS = 4, 64
# Knots are at least this far apart, in units of the spread of the middle rows, and relative to
# themselves: closer ones are one value that was rounded in several ways. No distance is so small
# that a slope would be infinite.
_LEAST_GAP, _LEAST_RELATIVE_GAP, _LEAST_DISTANCE = 1e-9, 1e-12, 1e-290
# Rows between two knots of a scale that is half ranks.
_LEAST_ROWS = 8
# Rows that candidates are tried on, and below which there is nothing to try.
_TRIED_ROWS, _FEW_ROWS = 2000, 100
# A scale that is simpler has to lose by more than this, in nats a row.
_MARGIN = 0.01
# sinh of more overflows.
_LARGEST_ARGUMENT = 690.0

Scale = tuple[np.ndarray, np.ndarray]


def choose_scale(values: np.ndarray, step: float = 0.0) -> Scale | None:
    """Return the best scale for sorted ``values``; None if they are all one.

    Parameters
    ----------
    values : ndarray, shape (n,)
        In rising order.
    step : float
        The distance of neighbours, where values were rounded to a grid.
    """
    if not len(values) or values[-1] - values[0] <= least_gap(values):
        return None
    if len(values) < _FEW_ROWS:
        return _by_ranks(values)
    random = np.random.default_rng(0)
    order = random.permutation(len(values))[:_TRIED_ROWS]
    # Rounded values have no density; spread over what they were rounded from, they do.
    rows = values[order] + step * (random.random(len(order)) - 0.5)
    half = len(rows) // 2
    fitted, held_out = np.sort(rows[:half]), rows[half:]
    best, best_score = None, -np.inf
    for candidate in (_linear, _asinh, _by_ranks, _by_both):
        # Fitted to half of the rows a scale does not know the others; fitted to all, it may have
        # met a value far away that spoils it.
        scales = [candidate(rows) if rows[0] < rows[-1] else None for rows in (fitted, values)]
        scores = [-np.inf if own is None else _score(own, fitted, held_out) for own in scales]
        if min(scores) > best_score + _MARGIN:
            best, best_score = scales[1], min(scores)
    return best if best is not None else _by_ranks(values)


def least_gap(values: np.ndarray) -> float:
    """Return the distance at which two of the sorted values are one."""
    low, high = values[int(0.1 * (len(values) - 1))], values[int(np.ceil(0.9 * (len(values) - 1)))]
    size = min(abs(values[0]), abs(values[-1]))
    return max(_LEAST_GAP * (high - low), _LEAST_RELATIVE_GAP * size, _LEAST_DISTANCE)


def _score(scale: Scale, fitted: np.ndarray, held_out: np.ndarray) -> float:
    """Return the mean log density, in nats, that held-out rows have on a scale."""
    knots, scores = scale
    log_slopes = np.log(np.diff(scores)) - np.log(np.diff(knots))

    def transform(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        piece = np.clip(np.searchsorted(knots, values) - 1, 0, len(log_slopes) - 1)
        inside = scores[piece] + (values - knots[piece]) * np.exp(log_slopes[piece])
        return inside.clip(-1e4, 1e4), log_slopes[piece]

    mixture = fit_normals(transform(fitted)[0])
    at, log_slope = transform(held_out)
    # One row far away says little of the others.
    return float(np.mean(np.maximum(log_normals(at, *mixture), -50.0) + log_slope))


def _linear(values: np.ndarray) -> Scale | None:
    """Return mean and standard deviation as a scale."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = values.mean(), values.std()
    if not (np.isfinite(deviation) and deviation > least_gap(values)):
        return None
    return np.array([mean - deviation, mean + deviation]), np.array([-1.0, 1.0])


def _asinh(values: np.ndarray) -> Scale | None:
    """Return a scale that is straight in the middle and goes on like logarithms to both sides."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    unit = (high - low) / 2
    if not unit > least_gap(values):
        return None
    bent = np.arcsinh((values - middle) / unit)
    mean, deviation = bent.mean(), bent.std()
    ends = np.array([bent[0] - deviation, bent[-1] + deviation])
    ends = ends.clip(-_LARGEST_ARGUMENT, _LARGEST_ARGUMENT)
    at = np.linspace(ends[0], ends[1], _MAX_KNOTS)
    with np.errstate(over="ignore", invalid="ignore"):
        knots = middle + unit * np.sinh(at)
    return _apart(knots, (at - mean) / deviation, values)


def _by_ranks(values: np.ndarray) -> Scale | None:
    """Return quantiles of the values and the same quantiles of a normal."""
    n = len(values)
    wanted = int(np.clip(2 * n ** (1 / 3), _MIN_KNOTS, _MAX_KNOTS))
    half = np.linspace(0, (n - 1) / 2, (min(wanted, n) + 1) // 2).round().astype(int)
    return _quantiles(values, half)


def _by_both(values: np.ndarray) -> Scale | None:
    """Return the mean of two scales: many quantiles, and `_asinh`."""
    smooth, n = _asinh(values), len(values)
    wanted = int(np.clip(4 * n ** (1 / 3), _MIN_KNOTS, 2 * _MAX_KNOTS))
    end = ndtri(0.5 / n)
    half = (ndtr(np.linspace(end, 0, wanted // 2)) * n - 0.5).clip(0, (n - 1) / 2).round()
    kept = [0]
    for place in half.astype(int).tolist():
        if place >= kept[-1] + _LEAST_ROWS:
            kept.append(place)
    ranks = _quantiles(values, np.array(kept))
    if smooth is None or ranks is None:
        return None
    knots = np.union1d(smooth[0], ranks[0])
    own = _along(knots, smooth)
    # Beyond the last values ranks say nothing: there all is as on the other scale.
    inside = knots.clip(values[0], values[-1])
    by_ranks = _along(inside, ranks) + (own - _along(inside, smooth))
    return _apart(knots, (own + by_ranks) / 2, values)


def _along(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Return the scores of ``values``, beyond the ends too."""
    knots, scores = scale
    slopes = np.diff(scores) / np.diff(knots)
    piece = np.clip(np.searchsorted(knots, values) - 1, 0, len(slopes) - 1)
    return scores[piece] + (values - knots[piece]) * slopes[piece]


def _quantiles(values: np.ndarray, half: np.ndarray) -> Scale | None:
    """Return the scale through values at the ranks ``half``, and at those from the other end."""
    n = len(values)
    # The same ranks from both ends, so that a mirrored column has a mirrored scale.
    places = np.unique(np.concatenate([half, n - 1 - half]))
    knots, first = np.unique(values[places], return_index=True)
    # Of equal quantiles the middle one.
    last = np.append(first[1:], len(places)) - 1
    levels = ((places[first] + places[last]) / 2 + 0.5) / n
    return _apart(knots, ndtri(levels), values)


def _apart(knots: np.ndarray, scores: np.ndarray, values: np.ndarray) -> Scale | None:
    """Return a scale without the knots that nearly touch the one before."""
    gap = least_gap(values)
    kept = [0]
    for place in range(1, len(knots)):
        left, right = knots[kept[-1]], knots[place]
        least = max(gap, _LEAST_RELATIVE_GAP * max(abs(left), abs(right)))
        if least < right - left < np.inf and scores[place] > scores[kept[-1]]:
            kept.append(place)
    return (knots[kept], scores[kept]) if len(kept) > 1 else None
