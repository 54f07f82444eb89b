"""Values for missing cells -> the same table, filled: what was there comes back as it was.

Knows every kind of frame; a text file is a pyarrow table of texts. A type that cannot hold a filled
cell gives way to one that can; the cells that were there stay equal. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from made.columns import Column
from made.errors import DataError
from made.table.containers import arrow_cells, natural_cells, pandas_series, polars_series
from made.table.frames import Table
from made.table.parsing import arrow_compute
from made.table.schema import Schema


def fill(table: Table, schema: Schema, values: np.ndarray) -> Any:
    """Return the table with its missing cells filled from ``values``, (n_rows, n_columns).

    A hole whose value is NaN stays. Columns that the model left out come back untouched.

    Returns
    -------
    array, frame of the kind that came in, or pyarrow table if that was a file
    """
    table = table.with_na(schema.na)
    places = schema.places_in(table.names, table.n_columns)
    if table.matrix is not None:
        return _filled_array(table, schema, places, values)
    holes = {
        place: (column, np.flatnonzero(_is_hole(table, place) & ~np.isnan(values[:, d])), d)
        for d, (column, place) in enumerate(zip(schema.columns, places, strict=True))
    }
    fillings = {
        place: (column, rows, values[rows, d])
        for place, (column, rows, d) in holes.items()
        if len(rows)
    }
    fill_one = {"pandas": _filled_pandas, "polars": _filled_polars}
    return fill_one.get(table.container, _filled_arrow)(table.native, fillings)


def _is_hole(table: Table, place: int) -> np.ndarray:
    return table.cells(place).missing


def _filled_array(
    table: Table, schema: Schema, places: Sequence[int], values: np.ndarray
) -> np.ndarray:
    assert table.matrix is not None
    result = np.array(table.matrix)
    for d, (column, place) in enumerate(zip(schema.columns, places, strict=True)):
        rows = np.flatnonzero(_is_hole(table, place) & ~np.isnan(values[:, d]))
        if len(rows):
            cells = natural_cells(column, values[rows, d])
            try:
                result[rows, place] = cells
            except (ValueError, TypeError) as error:
                raise DataError(
                    f"Column {column.name!r} cannot be filled: {error}. Pass a frame instead."
                ) from error
    return result


Fillings = dict[int, tuple[Column, np.ndarray, np.ndarray]]


def _filled_pandas(frame: Any, fillings: Fillings) -> Any:
    import pandas

    result = frame.copy()
    for place, (column, rows, values) in fillings.items():
        series = frame.iloc[:, place].copy()
        filled = pandas_series(pandas, column, values)
        if isinstance(series.dtype, pandas.CategoricalDtype):
            result.isetitem(place, _filled_categories(series, rows, filled.astype(object)))
            continue
        try:
            if pandas.api.types.is_float_dtype(series.dtype):
                filled = filled.astype(series.dtype)
            series.iloc[rows] = filled.array
        except (TypeError, ValueError):
            # A type that has no place for these cells: texts among numbers.
            series = series.astype(object)
            series.iloc[rows] = filled.astype(object).array
        result.isetitem(place, series)
    return result


def _filled_categories(series: Any, rows: np.ndarray, filled: Any) -> Any:
    """Return a column of categories, filled; categories that it does not list are added."""
    import pandas

    listed = set(series.cat.categories)
    new = [level for level in dict.fromkeys(filled.dropna()) if level not in listed]
    series = series.cat.add_categories(new) if new else series
    codes = series.cat.codes.to_numpy(np.int64, copy=True)
    codes[rows] = series.cat.categories.get_indexer(list(filled))
    categories = pandas.Categorical.from_codes(codes, dtype=series.dtype)
    return pandas.Series(categories, index=series.index, name=series.name)


def _filled_polars(frame: Any, fillings: Fillings) -> Any:
    import polars

    series = [frame.to_series(place) for place in range(frame.width)]
    for place, (column, rows, values) in fillings.items():
        own = series[place]
        cells = polars_series(polars, column, values)
        try:
            series[place] = own.scatter(rows, cells.cast(own.dtype))
        except polars.exceptions.PolarsError:
            wider = own.cast(cells.dtype)
            series[place] = wider.scatter(rows, cells)
    return polars.DataFrame(series)


def _filled_arrow(frame: Any, fillings: Fillings) -> Any:
    import pyarrow

    compute = arrow_compute()
    for place, (column, rows, values) in fillings.items():
        own = frame.column(place).combine_chunks()
        if isinstance(own, pyarrow.ChunkedArray):
            own = own.chunk(0) if own.num_chunks else pyarrow.array([], own.type)
        mask = np.zeros(len(own), dtype=np.bool_)
        mask[rows] = True
        cells = arrow_cells(column, values)
        kind = own.type
        if pyarrow.types.is_dictionary(kind):
            replaced = _filled_dictionary(own, mask, cells)
        else:
            try:
                replaced = compute.replace_with_mask(own, mask, cells.cast(own.type))
            except pyarrow.ArrowException:
                replaced = compute.replace_with_mask(own.cast(cells.type), mask, cells)
        field = frame.schema.field(place).with_type(replaced.type).with_nullable(True)
        frame = frame.set_column(place, field, replaced)
    return frame


def _filled_dictionary(own: Any, mask: np.ndarray, cells: Any) -> Any:
    """Return a column of categories, filled; categories that it does not list are added."""
    import pyarrow

    compute = arrow_compute()
    kind, known = own.type, own.dictionary
    if pyarrow.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    cells = cells.cast(kind.value_type)
    new = compute.unique(cells.filter(compute.invert(compute.is_in(cells, value_set=known))))
    listed = pyarrow.concat_arrays([known, new]) if len(new) else known
    places = compute.index_in(cells, value_set=listed).cast(kind.index_type)
    indices = compute.replace_with_mask(own.indices, mask, places)
    return pyarrow.DictionaryArray.from_arrays(indices, listed, ordered=kind.ordered)
