"""Cells -> numbers, times, levels and places among levels, or the error that names the cell.

Knows when two levels are one whatever they came as. Knows nothing of scales, models or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from made.columns import Level
from made.errors import DataError
from made.table.cells import LARGEST_EXACT, Cells
from made.table.parsing import has_leading_zero, numbers_of
from made.table.schema import shown

# What stands in a drawn cell whose level was never seen, which has a mass of its own.
UNSEEN = "<unseen>"
_TRUTH = {"true": 1.0, "false": 0.0}


def number_values(name: str, cells: Cells) -> np.ndarray:
    """Return the numbers that cells are, NaN where missing; raise for one that is none."""
    if cells.missing.all():
        return np.full(len(cells.values), np.nan)
    if cells.form == "time":
        raise DataError(
            f"Column {name!r} holds times where numbers are expected. Convert it, or declare it "
            "datetime."
        )
    if cells.form != "levels":
        return cells.values
    bad = np.isnan(cells.level_numbers) & (cells.counts > 0)
    if bad.any():
        raise bad_cells(name, cells, bad, "number")
    return cells.spread(cells.level_numbers)


def time_values(name: str, cells: Cells, form: str) -> np.ndarray:
    """Return the times that cells are, NaT where missing; ``form`` is how texts are written."""
    if cells.missing.all():
        return np.full(len(cells.values), np.datetime64("NaT", "us"))
    if cells.form == "time":
        return cells.values
    if not cells.are_texts:
        raise DataError(
            f"Column {name!r} holds numbers where times are expected. Convert it to dates first."
        )
    bad = np.isnat(cells.level_times(form)) & (cells.counts > 0)
    if bad.any():
        raise bad_cells(name, cells, bad, f"date of the form {form}")
    return cells.spread(cells.level_times(form))


def level_list(name: str, cells: Cells) -> tuple[Level, ...]:
    """Return the different values of a column in order; of texts that are one number, the first."""
    if cells.form == "time":
        raise DataError(f"Column {name!r} holds times; convert them to texts to have categories.")
    if cells.form == "levels":
        # A Categorical of polars lists what it happened to meet, in the order of meeting.
        if cells.declared and cells.dtype != "Categorical":
            return cells.levels
        found: list[Any] = sorted(level for level in cells.levels)
        if not cells.are_texts:
            return tuple(found)
        first: dict[Any, Any] = {}
        for level, key in zip(found, keys_of(found), strict=True):
            first.setdefault(key, level)
        # False stands before True, however they are written.
        return tuple(first[key] for key in (sorted(first) if set(first) == {0.0, 1.0} else first))
    different = np.unique(cells.values[~cells.missing])
    if cells.form == "boolean":
        return tuple(bool(value) for value in different)
    if is_whole(different):
        return tuple(int(value) for value in different)
    return tuple(float(value) for value in different)


def place_values(
    name: str,
    cells: Cells,
    levels: Sequence[Level],
    *,
    unseen_place: float | None = None,
    allowed: bool = False,
) -> np.ndarray:
    """Return the place of each cell among ``levels``, NaN where missing.

    Levels are the same if they are equal, or one number or truth value however written, or differ
    in blanks at the ends.

    Parameters
    ----------
    unseen_place : float, optional
        The place of a level that is not among them, if there is such a place.
    allowed : bool
        Whether such levels may be.
    """
    if cells.form == "time":
        raise DataError(f"Column {name!r} holds times where categories are expected. Convert it.")
    if cells.form == "levels":
        different, values, occurs = list(cells.levels), cells.values, cells.counts > 0
    else:
        found, inverse = np.unique(cells.values[~cells.missing], return_inverse=True)
        values = np.full(len(cells.values), np.nan)
        values[~cells.missing] = inverse
        different = [bool(v) for v in found] if cells.form == "boolean" else found.tolist()
        occurs = np.ones(len(different), dtype=np.bool_)
    places = _places(different, levels)
    new = np.isnan(places) & occurs
    if unseen_place is not None:
        # What was drawn can be scored.
        drawn = np.array([level == UNSEEN for level in different], dtype=np.bool_)
        new &= ~drawn
        places = np.where(np.isnan(places), unseen_place, places)
    if new.any() and not (allowed and unseen_place is not None):
        row = int(np.argmax(np.isin(values, np.flatnonzero(new))))
        remedy = "The column has two values: correct the cell, or refit with it categorical."
        if unseen_place is not None:
            remedy = 'Refit, or pass unseen="rare".'
        raise DataError(
            f"Column {name!r} has values unseen in fit: "
            f"[{shown(_plain(np.array(different, object)[new]), 6)}] (first at row {row}). Known: "
            f"[{shown(_plain(levels), 6)}]. {remedy}"
        )
    padded = np.append(places, np.nan)
    return padded[np.where(np.isnan(values), len(places), values).astype(np.int64)]


def _places(different: Sequence[object], levels: Sequence[Level]) -> np.ndarray:
    """Return the places of values among levels, NaN for one that is not there."""
    exact: dict[Any, int] = {
        (isinstance(level, str), level): place for place, level in enumerate(levels)
    }
    result = [exact.get((isinstance(level, str), level), np.nan) for level in different]
    places = np.array(result, dtype=np.float64)
    left = np.flatnonzero(np.isnan(places))
    if len(left):
        by_key: dict[object, int] = {}
        for place, key in enumerate(keys_of(levels)):
            by_key.setdefault(key, place)
        for place, level in enumerate(levels):
            by_key.setdefault(level.strip() if isinstance(level, str) else level, place)
        rest = [different[place] for place in left.tolist()]
        for place, level, key in zip(left.tolist(), rest, keys_of(rest), strict=True):
            blank = level.strip() if isinstance(level, str) else level
            places[place] = by_key.get(key, by_key.get(blank, np.nan))
    return places


def keys_of(levels: Sequence[object]) -> list[object]:
    """Return what makes two levels the same, whatever they came as: 1, 1.0, "1", " 1" are one.

    The text 007 is not the number 7, and text that is no number keeps its blanks.

    Examples
    --------
    >>> keys_of([1, "1.0", " yes", "TRUE", "007"])
    [1, 1.0, ' yes', 1.0, '007']
    """
    texts = [level if isinstance(level, str) else "" for level in levels]
    return [
        _key(level, number) if isinstance(level, str) else level
        for level, number in zip(levels, numbers_of(texts).tolist(), strict=True)
    ]


def _key(text: str, number: float) -> object:
    stripped = text.strip()
    if np.isnan(number):
        return _TRUTH.get(stripped.lower(), text)
    if has_leading_zero(stripped):
        return text
    if abs(number) <= LARGEST_EXACT:
        return number
    # Beyond 2**53 floats are not exact: whole numbers are compared as they are.
    return int(stripped) if stripped.lstrip("+-").isdecimal() else number


def is_whole(values: np.ndarray) -> bool:
    """Return whether all of some numbers, none of them missing, are whole."""
    return bool((values == np.rint(values)).all())


def check_finite(name: str, values: np.ndarray) -> None:
    """Raise `DataError` if a number is infinite."""
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise DataError(
            f"Column {name!r} is infinite in {len(infinite)} row(s), first at row {infinite[0]}. "
            'Replace infinities by a number, or take them for missing cells (na=["inf", "-inf"]).'
        )


def bad_cells(name: str, cells: Cells, bad: np.ndarray, what: str) -> DataError:
    """Return the error for cells that are no number or date; ``bad`` says which levels."""
    row = int(np.argmax(np.isin(cells.values, np.flatnonzero(bad))))
    told = [cells.levels[place] for place in np.flatnonzero(bad)]
    return DataError(
        f"Column {name!r} has cells that are no {what}: {shown(told, 4)} (first at row {row}). "
        "Correct them, name the texts that mean a missing cell (na=[...], --na), or declare the "
        "column categorical."
    )


def _plain(levels: Any) -> list[object]:
    """Return levels as people write them: 3, not 3.0."""
    return [int(x) if isinstance(x, float) and x.is_integer() else x for x in levels]
