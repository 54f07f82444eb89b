"""One column as it came in, in one of four forms, whatever it came in as.

Knows which cells are missing, and what is worth computing once. Decides nothing about what a
column means: that is `inference`'s business; `arrays` makes cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from made.columns import Level
from made.table.dates import times_of
from made.table.parsing import as_texts, numbers_of

Form = Literal["boolean", "number", "levels", "time"]

# Texts that mean a missing cell, blanks around them aside. The text None is an answer.
MISSING_TEXTS = ("", "NA", "NaN", "nan", "null")
# Whole numbers up to here are exact in float64.
LARGEST_EXACT = 2**53


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one column.

    Attributes
    ----------
    form : {"boolean", "number", "levels", "time"}
    values : ndarray, shape (n_rows,)
        float64, NaN where missing: truth values, numbers, or places in ``distinct``. Times are
        datetime64[us], NaT where missing.
    distinct : pyarrow array
        Of the form "levels": the different texts (or numbers too large for float64) as they
        occur, or all that a categorical type lists, in its order.
    dtype : str
        The type, in the words of the frame that the column came in.
    declared : bool
        Whether the frame says that the column is categorical.
    """

    form: Form
    values: np.ndarray
    distinct: Any = None
    dtype: str = ""
    declared: bool = False
    _times: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def missing(self) -> np.ndarray:
        """Which cells are missing, shape ``(n_rows,)``."""
        return np.isnat(self.values) if self.form == "time" else np.isnan(self.values)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """What ``distinct`` holds, as Python values; none for other forms."""
        return () if self.distinct is None else tuple(self.distinct.to_pylist())

    @cached_property
    def are_texts(self) -> bool:
        """Whether the cells are texts."""
        from pyarrow import types

        return self.distinct is not None and types.is_large_string(self.distinct.type)

    @cached_property
    def level_numbers(self) -> np.ndarray:
        """The numbers that ``levels`` are, NaN for a text that is none."""
        return (
            numbers_of(self.distinct)
            if self.are_texts
            else self.distinct.cast("float64", safe=False).to_numpy()
        )

    @cached_property
    def counts(self) -> np.ndarray:
        """In how many rows each of ``levels`` stands."""
        places = self.values[~self.missing].astype(np.int64)
        return np.bincount(places, minlength=len(self.distinct))

    def level_times(self, form: str) -> np.ndarray:
        """Return the times that ``levels`` are in a format, NaT for a text that is none."""
        if form not in self._times:
            self._times.clear()
            self._times[form] = times_of(as_texts(self.distinct), form)
        return self._times[form]

    def spread(self, of_levels: np.ndarray) -> np.ndarray:
        """Return an entry of ``of_levels`` for each cell, NaN or NaT where it is missing."""
        nothing = np.array(["NaT" if of_levels.dtype.kind == "M" else np.nan], of_levels.dtype)
        padded = np.concatenate([of_levels, nothing])
        return padded[np.where(self.missing, len(of_levels), self.values).astype(np.int64)]

    def cell(self, row: int) -> object:
        """Return what stands in a row, for a message."""
        value = self.values[row]
        if self.form == "levels":
            return self.levels[int(value)]
        if self.form == "boolean":
            return bool(value)
        if self.form == "time":
            return str(value).replace("T", " ")
        return int(value) if float(value).is_integer() else float(value)

    def as_it_came(self) -> np.ndarray:
        """Return texts, numbers, truth values or times; texts that are plain integers become those.

        Missing cells are None, or NaN among numbers that are not whole and NaT among times.
        """
        missing = self.missing
        if self.form == "time":
            return self.values
        if self.form == "number":
            whole = bool(((self.values % 1 == 0) & (abs(self.values) <= LARGEST_EXACT)).all())
            return self.values.astype(np.int64) if whole else self.values
        levels: Sequence[Any] = self.levels or (False, True)
        if self.are_texts and not missing.any() and all(str(x).isdecimal() for x in levels):
            whole = [int(level) for level in levels]
            # 007 stays 007.
            if list(map(str, whole)) == list(levels) and max(whole, default=0) < 2**63:
                levels = whole
        listed = np.array([*levels, None], dtype=object)
        chosen = listed[np.where(missing, len(levels), self.values).astype(np.int64)]
        if missing.any() or any(isinstance(level, str) for level in levels):
            return chosen
        return np.array(chosen.tolist())
