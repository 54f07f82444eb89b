"""Training cells of one column -> the column: counts of levels; scale, bins and atoms of numbers.

Knows what is learned from training rows before any training. Knows nothing of frames or networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from made.columns.categorical import RARE_BELOW, CategoricalColumn
from made.columns.column import Level
from made.columns.numeric import LARGEST_VALUE, NumericColumn
from made.columns.scales import Scale, choose_scale
from made.errors import DataError

_MAX_BINS = 32
# A value is an atom if this many rows have it, and so many times more than its neighbours, six to
# each side, lead to expect; of few different values all are.
_ATOM_ROWS, _ATOM_EXCESS, _NEIGHBOURS = 3, 3.0, 6
_FEW_DIFFERENT, _MAX_ATOMS = 32, 128
# Atoms take no more rows of the scale than this, or than all other values have.
_ROWS_ON_SCALE = 8

N = TypeVar("N", bound=NumericColumn)


def fit_categorical(
    name: str,
    values: np.ndarray,
    levels: Sequence[Level],
    *,
    dtype: str = "",
    missing: bool = False,
    rare_below: int = RARE_BELOW,
) -> CategoricalColumn:
    """Return the column of ``levels``, counted in ``values``: places in ``levels``, or NaN.

    Cells can be missing if any is, whatever ``missing`` says.
    """
    is_missing = np.isnan(values)
    missing = missing or bool(is_missing.any())
    if not (len(levels) or missing):
        raise DataError(f"Column {name!r} has no level and no missing cell. Leave it out.")
    places = values[~is_missing].astype(np.int64)
    counts = np.bincount(places[places < len(levels)], minlength=len(levels))
    # A file holds plain numbers and texts, not those of NumPy.
    plain = tuple(level.item() if isinstance(level, np.generic) else level for level in levels)
    return CategoricalColumn(
        name, dtype, missing, plain, tuple(counts.tolist()), len(values), rare_below
    )


def fit_numeric(
    kind: type[N],
    name: str,
    values: np.ndarray,
    *,
    dtype: str = "",
    missing: bool = False,
    low: float | None = None,
    high: float | None = None,
    atoms: bool = True,
    **more: Any,
) -> N:
    """Return the column of numbers whose training rows are ``values``, NaN where missing.

    Cells can be missing if any is, whatever ``missing`` says. Values beyond ``low`` and ``high``
    count for nothing. ``atoms=False`` gives no value a mass of its own beside the continuous part.

    Raises
    ------
    DataError
        If nothing lies between ``low`` and ``high``.
    """
    lowest, highest = -np.inf if low is None else low, np.inf if high is None else high
    if not (lowest < highest or (kind.discrete and lowest == highest)):
        raise DataError(
            f"Column {name!r} has the limits low={low!r} and high={high!r}. Expected a low below "
            "high; for a column of one value leave them out."
        )
    is_missing = np.isnan(values)
    seen = np.sort(values[~is_missing & np.isfinite(values)])
    seen = seen[(seen >= lowest) & (seen <= highest)].clip(-LARGEST_VALUE, LARGEST_VALUE)
    different, counts = np.unique(seen, return_counts=True)
    step = 1.0 if kind.discrete else float(np.diff(different).min(initial=np.inf))
    repeated = different[:0]
    if atoms:
        often = _stands_out(different, counts, step)
        if often.sum() > _MAX_ATOMS:
            often[np.argsort(-counts, kind="stable")[_MAX_ATOMS:]] = False
        repeated = different[often]
    # Values with masses of their own take no more of the scale than all others together.
    is_atom = np.isin(different, repeated)
    most = max(_ROWS_ON_SCALE, int(counts[~is_atom].sum()) // max(len(repeated), 1))
    on_scale = np.repeat(different, np.where(is_atom, np.minimum(counts, most), counts))
    scale = choose_scale(on_scale, step)
    value = float(seen[0]) if len(seen) else 0.0
    knots, scores = scale if scale is not None else _scale_of_one(value, lowest, highest)
    column = kind(
        name=name, dtype=dtype, missing=missing or bool(is_missing.any()),
        knots=tuple(knots.tolist()), scores=tuple(scores.tolist()),
        atoms=tuple(repeated.tolist()), low=low, high=high, **more,
    )  # fmt: skip
    if not column.score_limits[0] < column.score_limits[1]:
        raise DataError(
            f"The limits low={low!r} and high={high!r} of column {name!r} are too close or too far "
            "from its values to tell apart. Leave them out."
        )
    return replace(column, bins=_bins(column, seen, different))


def _stands_out(different: np.ndarray, counts: np.ndarray, step: float) -> np.ndarray:
    """Return which values repeat more than a smooth distribution on a grid of ``step`` would.

    A smooth part that gives a value m rows gives it more than 3 (m + sqrt(m)) by chance once in
    two hundred values or less. A mass for every value of a fine grid would only cost.
    """
    if len(different) <= _FEW_DIFFERENT:
        return counts >= _ATOM_ROWS
    place = np.arange(len(different))
    first = np.maximum(place - _NEIGHBOURS, 0)
    last = np.minimum(place + _NEIGHBOURS, len(different) - 1)
    passed = np.concatenate([[0], np.cumsum(counts)])
    n_cells = np.maximum((different[last] - different[first]) / step, 1.0)
    expected = (passed[last + 1] - passed[first] - counts) / n_cells
    least = _ATOM_EXCESS * (expected + np.sqrt(expected))
    return counts >= np.maximum(_ATOM_ROWS, least)


def _scale_of_one(value: float, low: float, high: float) -> Scale:
    """Return the scale of a column of one value: a unit of its own size to each side."""
    if -LARGEST_VALUE <= low < high <= LARGEST_VALUE:
        return np.array([low, high]), np.array([-1.0, 1.0])
    start = min(max(value, low), high)
    width = max(abs(start), 1.0)
    return np.array([start - width, start + width]), np.array([-1.0, 1.0])


def _bins(column: NumericColumn, seen: np.ndarray, different: np.ndarray) -> tuple[float, ...]:
    """Return borders of bins: half by quantiles of rows, half by those of different values."""
    if len(different) > _MAX_BINS:
        share = np.linspace(0, 1, _MAX_BINS // 2)
        different = np.concatenate(
            [np.quantile(values, share, method="nearest") for values in (seen, different)]
        )
    # Closer borders would need more digits than float32 has.
    borders = np.unique(column.transform(different).round(5))
    if len(borders) < 2:
        middle = float(borders[0]) if len(borders) else 0.0
        return middle - 1.0, middle + 1.0
    return tuple(borders.tolist())
