"""Declarations and training rows -> a fitted schema; cells -> the values that models read.

Knows how the cells of a table become one float a cell, and what is wrong with those that cannot.
Knows nothing of how data comes in or goes out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from made.columns import (
    BinaryColumn,
    CategoricalColumn,
    Column,
    ContinuousColumn,
    DatetimeColumn,
    IntegerColumn,
    NumericColumn,
)
from made.columns.fitting import fit_categorical, fit_numeric
from made.errors import DataError, OptionError, did_you_mean
from made.table.arrays import cells_of_array
from made.table.cells import LARGEST_EXACT, MISSING_TEXTS, Cells
from made.table.conversions import check_finite, number_values, place_values, time_values
from made.table.dates import find_time_format
from made.table.declarations import LEFT_OUT, Declaration
from made.table.frames import Table
from made.table.schema import Schema
from made.table.typenames import largest_of

# The years that can be written, and those that nanoseconds in 64 bits can count.
_YEARS, _YEARS_OF_NANOSECONDS = ("0001-01-01", "9999-12-31"), ("1678-01-01", "2261-12-31")


def fit_schema(table: Table, declared: Sequence[Declaration], rows: np.ndarray) -> Schema:
    """Return the schema whose scales, atoms and counts come from ``rows`` of the table alone.

    Levels are those of all rows: a level that training rows lack has the smallest of counts.

    Examples
    --------
    >>> from made.table import as_table, infer
    >>> table = as_table([["a", 1.5], ["b", 2.5], ["c", 0.1]])
    >>> fit_schema(table, infer(table, {}), np.arange(2)).columns[0].counts
    (1, 1, 0)
    """
    columns = tuple(
        _fit_column(table, d, declaration, rows)
        for d, declaration in enumerate(declared)
        if declaration.kind != LEFT_OUT
    )
    left_out = tuple(
        (d, declaration.name)
        for d, declaration in enumerate(declared)
        if declaration.kind == LEFT_OUT
    )
    return Schema(columns, table.names is not None, table.container, left_out, table.na)


def _fit_column(table: Table, d: int, declared: Declaration, rows: np.ndarray) -> Column:
    name, dtype, missing = declared.name, declared.dtype, declared.missing
    if declared.kind == "binary":
        assert len(declared.levels) == 2
        return BinaryColumn(name, dtype, missing, (declared.levels[0], declared.levels[1]))
    cells = table.cells(d)
    if declared.kind == "categorical":
        places = np.full(len(rows), np.nan)
        if not cells.missing.all():
            places = place_values(name, cells, declared.levels)[rows]
        return fit_categorical(
            name, places, declared.levels, dtype=dtype, missing=missing,
            rare_below=declared.rare_below,
        )  # fmt: skip
    if declared.kind == "datetime":
        low, high = _time_limits(declared)
        empty = DatetimeColumn(name, unit=declared.unit, format=declared.format)
        values = _time_values(empty, cells)[rows]
        return fit_numeric(
            DatetimeColumn, name, values, dtype=dtype, missing=missing, low=low, high=high,
            unit=declared.unit, format=declared.format,
        )  # fmt: skip
    values = number_values(name, cells)[rows]
    low, high = declared.low, declared.high
    kind: type[NumericColumn] = ContinuousColumn
    if declared.kind == "integer":
        kind = IntegerColumn
        least, most = _whole_limits(dtype)
        low = least if low is None else max(np.ceil(low), least)
        high = most if high is None else min(np.floor(high), most)
    return fit_numeric(
        kind, name, values, dtype=dtype, missing=missing,
        low=None if low is None else float(low), high=None if high is None else float(high),
        atoms=declared.atoms,
    )  # fmt: skip


def values_of(
    table: Table, schema: Schema, unseen: str = "error", *, unknown: bool = False
) -> np.ndarray:
    """Return the cells as values, shape ``(n_rows, n_columns)``, in the order of the schema.

    uint8 where all columns are binary and never missing, else float64 with NaN where missing.

    Parameters
    ----------
    table : Table
    schema : Schema
    unseen : {"error", "rare"}
        What becomes of a level that was not seen in fit: an error, or a value that has the mass
        that is kept for such levels.
    unknown : bool
        Whether a cell may be missing though its column had no missing cell in fit: such a cell
        has no probability, and can only be left out of a question.

    Raises
    ------
    DataError
        If columns are missing or added, or a cell cannot be.

    Examples
    --------
    >>> from made.table import as_table, infer
    >>> table = as_table([["no", 3], ["yes", 5], ["no", None]])
    >>> values_of(table, fit_schema(table, infer(table, {}), np.arange(3)))
    array([[ 0.,  3.],
           [ 1.,  5.],
           [ 0., nan]])
    """
    allowed = check_unseen(unseen)
    table = table.with_na(schema.na)
    places = schema.places_in(table.names, table.n_columns)
    if schema.is_bits and table.is_bits:
        assert table.matrix is not None
        return table.matrix[:, places].astype(np.uint8)
    values = np.empty((table.n_rows, schema.n_columns), dtype=np.float64)
    for d, (column, place) in enumerate(zip(schema.columns, places, strict=True)):
        of_column = _values_of_column(column, table.cells(place), allowed)
        missing = np.isnan(of_column)
        if missing.any() and not column.missing and not unknown:
            raise DataError(
                f"Column {column.name!r} is missing at row {int(np.argmax(missing))}, and had no "
                'missing cell in fit. Fill it, or score what is there with missing="ignore".'
            )
        values[:, d] = of_column
    return values.astype(np.uint8) if schema.is_binary and not np.isnan(values).any() else values


def values_of_some(table: Table, schema: Schema, columns: Sequence[int]) -> np.ndarray:
    """Return the cells of some columns, which alone must be in the table, by name.

    Shape ``(n_rows, n_columns)`` of the schema, float64; NaN in the columns that were not asked
    for, and where a cell is missing.
    """
    table = table.with_na(schema.na)
    values = np.full((table.n_rows, schema.n_columns), np.nan)
    names = table.names
    if names is None:
        raise DataError("Evidence for some columns needs their names: pass a frame.")
    for d in columns:
        column = schema.columns[d]
        if column.name not in names:
            raise DataError(
                f"There is no column {column.name!r} in the data.{did_you_mean(column.name, names)}"
            )
        cells = table.cells(names.index(column.name))
        values[:, d] = _values_of_column(column, cells, allowed=False)
    return values


def value_of(column: Column, cell: object, unseen: str = "error") -> float:
    """Return the value of one cell, NaN where it is missing; ``unseen`` as in `values_of`.

    Raises
    ------
    DataError
        If the column cannot have it.
    """
    cells = cells_of_array(column.name, np.array([cell], dtype=object), MISSING_TEXTS)
    return float(_values_of_column(column, cells, check_unseen(unseen))[0])


def check_unseen(unseen: str) -> bool:
    """Return whether levels may be unseen, or raise `OptionError`."""
    if unseen not in ("error", "rare"):
        raise OptionError(f'unseen must be "error" or "rare", got {unseen!r}.')
    return unseen == "rare"


def _values_of_column(column: Column, cells: Cells, allowed: bool) -> np.ndarray:
    if cells.missing.all():
        return np.full(len(cells.values), np.nan)
    if isinstance(column, BinaryColumn):
        return place_values(column.name, cells, column.levels)
    if isinstance(column, CategoricalColumn):
        unseen = float(len(column.levels))
        return place_values(column.name, cells, column.levels, unseen_place=unseen, allowed=allowed)
    if isinstance(column, DatetimeColumn):
        return _time_values(column, cells)
    values = number_values(column.name, cells)
    check_finite(column.name, values)
    if isinstance(column, IntegerColumn):
        broken = ~np.isnan(values) & (values != np.rint(values))
        if broken.any():
            row = int(np.argmax(broken))
            raise DataError(
                f"Column {column.name!r} is {values[row]:g} at row {row}, and must be a whole "
                "number. Correct the cell, or fit again with the column declared continuous."
            )
    return values


def _time_values(column: DatetimeColumn, cells: Cells) -> np.ndarray:
    """Return times as numbers of units since 1970."""
    form = column.format
    if not form and cells.are_texts:
        # Dates in fit, texts now: a frame, and then a file.
        form = find_time_format([str(level) for level in cells.levels]) or "%Y-%m-%d %H:%M:%S"
    times = time_values(column.name, cells, form)
    counted = times.astype(f"datetime64[{column.unit}]")
    finer = (counted.astype("datetime64[us]") != times) & ~np.isnat(times)
    if finer.any():
        row = int(np.argmax(finer))
        raise DataError(
            f"Column {column.name!r} is {times[row]} at row {row}, and times in fit were whole "
            f"multiples of 1 {column.unit}. Round it."
        )
    return np.where(np.isnat(times), np.nan, counted.astype(np.int64).astype(np.float64))


def _time_limits(declared: Declaration) -> tuple[float, float]:
    years = _YEARS_OF_NANOSECONDS if "[ns" in declared.dtype.replace("'ns'", "[ns") else _YEARS
    unit = f"datetime64[{declared.unit}]"
    low, high = (np.datetime64(year).astype(unit).astype(np.int64) for year in years)
    return float(low), float(high)


def _whole_limits(dtype: str) -> tuple[float, float]:
    """Return the least and the largest whole number that a type, or float64, holds exactly."""
    try:
        known = np.iinfo(np.dtype(dtype.removesuffix("[pyarrow]").lower()))
    except (TypeError, ValueError):
        largest = min(np.floor(largest_of(dtype)), float(LARGEST_EXACT))
        return -largest, largest
    return float(max(known.min, -LARGEST_EXACT)), float(min(known.max, LARGEST_EXACT))
