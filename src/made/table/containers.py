"""Values -> arrays and frames like those that a schema was fitted to: kinds, types, categories.

Knows schemas and every kind of frame; knows nothing of files or models. A cell that its type
cannot hold - a level that was never seen, in a type that lists its categories - is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from made.columns import (
    BinaryColumn,
    CategoricalColumn,
    Column,
    DatetimeColumn,
    IntegerColumn,
)
from made.errors import DataError
from made.table.conversions import UNSEEN
from made.table.dates import text_of_time
from made.table.schema import Container, Schema
from made.table.typenames import arrow_type, largest_of

if TYPE_CHECKING:
    import pyarrow

_TEXTS = {"str", "string", "String", "large_string", "string_view", "object", "Enum", "Categorical"}
_PANDAS = re.compile(
    r"bool|boolean|str|string|object|u?int\d+|U?Int\d+|[fF]loat\d+|datetime64\[\w+(, .+)?\]"
    r"|Sparse\[\w+(, .+)?\]"
)
_POLARS = {"Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16",
           "Float32", "Float64", "Boolean", "String", "Categorical", "Date", "Null"}  # fmt: skip


def to_container(values: np.ndarray, schema: Schema) -> Any:
    """Return ``values`` as an array or frame like the one that the schema came from.

    Frames get back their types and categories. An array of 0 and 1 is uint8, or boolean if it came
    in so; other arrays have the type that came in if it holds every cell, else float64, or objects
    where a column holds texts.

    Examples
    --------
    >>> from made.table import as_table, fit_schema, infer, values_of
    >>> table = as_table([["no", 3], ["yes", 5], ["no", None]])
    >>> schema = fit_schema(table, infer(table, {}), np.arange(3))
    >>> to_container(values_of(table, schema), schema).tolist()
    [['no', 3], ['yes', 5], ['no', None]]
    """
    kind = schema.container
    if kind == "numpy":
        return _to_array(values, schema)
    if kind == "pyarrow":
        import pyarrow

        return pyarrow.table(named_columns(values, schema))
    library = _library(kind)
    convert = pandas_series if kind == "pandas" else polars_series
    return library.DataFrame(
        {
            column.name: convert(library, column, values[:, d])
            for d, column in enumerate(schema.columns)
        }
    )


def frame_of(columns: Mapping[str, np.ndarray], kind: Container, index: Any = None) -> Any:
    """Return named columns of numbers as a frame of a kind; ``index`` is for pandas."""
    if kind == "pandas":
        return _library(kind).DataFrame(columns, index=index)
    if kind == "polars":
        return _library(kind).DataFrame(columns)
    return _library("pyarrow").table(columns)


def named_columns(values: np.ndarray, schema: Schema) -> dict[str, pyarrow.Array]:
    """Return the columns of ``values`` by name, as pyarrow arrays of the types that came in.

    The types depend on the schema alone, so that chunks of rows fit each other.
    """
    return {
        column.name: arrow_cells(column, values[:, d]) for d, column in enumerate(schema.columns)
    }


def arrow_cells(column: Column, values: np.ndarray) -> pyarrow.Array:
    """Return the cells of one column as a pyarrow array, of the type that came in if known."""
    import pyarrow
    from pyarrow import types

    cells, kind = natural_cells(column, values), _natural_type(column)
    array = pyarrow.array(cells, kind, from_pandas=True)
    wanted = arrow_type(column.dtype.removesuffix("[pyarrow]"))
    if wanted is None or wanted == kind:
        return array
    if types.is_null(wanted):
        # Nothing but missing cells was seen; what is drawn may be of a level never seen.
        return pyarrow.nulls(len(array))
    if types.is_dictionary(wanted):
        if not isinstance(column, (BinaryColumn, CategoricalColumn)):
            return array
        places = np.where(_beyond(column, values), np.nan, values)
        try:
            levels = pyarrow.array(list(column.levels), wanted.value_type)
            indices = pyarrow.array(places, from_pandas=True).cast(wanted.index_type)
        except (pyarrow.ArrowException, TypeError):
            return array
        return pyarrow.DictionaryArray.from_arrays(indices, levels, ordered=wanted.ordered)
    try:
        return array.cast(wanted)
    except pyarrow.ArrowException:
        # Levels that were put in other words by the user: the cells stay as they are.
        return array


def natural_cells(column: Column, values: np.ndarray) -> np.ndarray:
    """Return the cells of one column: levels, numbers, times; None, NaN or NaT where missing."""
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), np.bool_)
    if isinstance(column, (BinaryColumn, CategoricalColumn)):
        levels: tuple[Any, ...] = column.levels
        if isinstance(column, BinaryColumn) and not missing.any() and _are_bits(levels):
            kind = np.uint8 if column.dtype == "" else np.int64
            return values.astype(np.bool_ if isinstance(levels[0], bool) else kind)
        texts = all(isinstance(level, str) for level in levels)
        listed = np.array([*levels, UNSEEN if texts else None, None], dtype=object)
        return listed[np.where(missing, len(levels) + 1, values).astype(np.int64)]
    if isinstance(column, DatetimeColumn):
        counted = np.where(missing, np.iinfo(np.int64).min, values).astype(np.int64)
        times = counted.view(f"datetime64[{column.unit}]").astype("datetime64[us]")
        if not column.format:
            return times
        different, places = np.unique(times, return_inverse=True)
        texts = [None if np.isnat(t) else text_of_time(t, column.format) for t in different]
        return np.array([*texts, None], dtype=object)[places]
    if isinstance(column, IntegerColumn):
        if not missing.any():
            return values.astype(np.int64)
        whole = np.where(missing, 0, values).astype(np.int64).astype(object)
        whole[missing] = None
        return whole
    largest = largest_of(column.dtype)
    return np.clip(values.astype(np.float64), -largest, largest)


def _natural_type(column: Column) -> pyarrow.DataType:
    """Return the type of `natural_cells`, whatever cells there are."""
    import pyarrow

    if isinstance(column, (BinaryColumn, CategoricalColumn)):
        levels: tuple[Any, ...] = column.levels
        bits = column.dtype == "" and not column.missing and _are_bits(levels)
        if isinstance(column, BinaryColumn) and bits:
            return pyarrow.bool_() if isinstance(levels[0], bool) else pyarrow.uint8()
        if all(isinstance(level, str) for level in levels):
            return pyarrow.string()
        if all(isinstance(level, bool) for level in levels):
            return pyarrow.bool_()
        if any(isinstance(level, float) for level in levels):
            return pyarrow.float64()
        return pyarrow.int64() if max(levels) < 2**63 else pyarrow.uint64()
    if isinstance(column, DatetimeColumn):
        return pyarrow.string() if column.format else pyarrow.timestamp("us")
    return pyarrow.int64() if isinstance(column, IntegerColumn) else pyarrow.float64()


def _are_bits(levels: tuple[Any, ...]) -> bool:
    return levels == (0, 1)


def _beyond(column: BinaryColumn | CategoricalColumn, values: np.ndarray) -> np.ndarray:
    """Return which values are of levels that were never seen."""
    return ~np.isnan(values) & (values >= len(column.levels))


def _to_array(values: np.ndarray, schema: Schema) -> np.ndarray:
    dtypes = {column.dtype for column in schema.columns}
    if schema.is_bits:
        return values.astype(np.bool_ if dtypes == {"bool"} else np.uint8)
    cells = [natural_cells(column, values[:, d]) for d, column in enumerate(schema.columns)]
    kinds = {part.dtype.kind for part in cells}
    numeric = [c for c in schema.columns if _natural_is_number(c)]
    if len(numeric) == schema.n_columns:
        floats = np.column_stack([part.astype(np.float64) for part in cells])
        wanted = re.fullmatch(r"u?int\d+|float(16|32|64)", dtypes.pop() if len(dtypes) == 1 else "")
        if wanted and (wanted.group()[0] == "f" or not np.isnan(floats).any()):
            return floats.astype(wanted.group())
        return floats
    if kinds == {"M"}:
        return np.column_stack(cells)
    table = np.empty(values.shape, dtype=object)
    for d, part in enumerate(cells):
        table[:, d] = part.tolist()
    return table


def _natural_is_number(column: Column) -> bool:
    if isinstance(column, (BinaryColumn, CategoricalColumn)):
        return not any(isinstance(level, (str, bool)) for level in column.levels)
    return not isinstance(column, DatetimeColumn)


def pandas_series(pandas: Any, column: Column, values: np.ndarray) -> Any:
    """Return the cells of one column as a pandas series, of the type that came in if it can be."""
    dtype = column.dtype
    if dtype in ("category", "category, ordered") and isinstance(
        column, (BinaryColumn, CategoricalColumn)
    ):
        nowhere = np.isnan(values) | _beyond(column, values)
        codes = np.where(nowhere, -1, values).astype(np.int64)
        ordered = dtype.endswith("ordered")
        return pandas.Series(
            pandas.Categorical.from_codes(codes, categories=list(column.levels), ordered=ordered)
        )
    if dtype.endswith("[pyarrow]"):
        array = arrow_cells(column, values)
        return pandas.Series(array, dtype=pandas.ArrowDtype(array.type))
    cells = natural_cells(column, values)
    if dtype in _TEXTS:
        # Numbers that came as texts go out as texts.
        return pandas.Series(_as_texts(cells), dtype=dtype)
    if dtype.startswith("object, "):
        inner = arrow_type(dtype.removeprefix("object, "))
        array = arrow_cells(column, values)
        if inner is not None and array.null_count < len(array):
            array = array.cast(inner, safe=False)
        listed = array.to_pylist()
        return pandas.Series(np.array([*listed, None], dtype=object)[:-1], dtype=object)
    series = pandas.Series(cells)
    if not _PANDAS.fullmatch(dtype) or (dtype == "bool" and np.isnan(values).any()):
        return series
    try:
        if cells.dtype.kind == "M" and ", " in dtype:
            zone = dtype.removesuffix("]").split(", ", 1)[1]
            return series.dt.tz_localize("UTC").dt.tz_convert(zone).astype(dtype)
        return series.astype(dtype)
    except (TypeError, ValueError, KeyError, OverflowError):
        # A missing cell has no place in a type of whole numbers: the cells stay as they are.
        return series


def polars_series(polars: Any, column: Column, values: np.ndarray) -> Any:
    """Return the cells of one column as a polars series, of the type that came in if it can be."""
    dtype = column.dtype
    if dtype in _TEXTS:
        array = _as_texts(natural_cells(column, values)).tolist()
        series = polars.Series(array, dtype=polars.String)
    else:
        series = polars.from_arrow(arrow_cells(column, values))
    if dtype == "Enum" and isinstance(column, (BinaryColumn, CategoricalColumn)):
        known = [str(level) for level in column.levels]
        return series.replace(UNSEEN, None).cast(polars.Enum(known), strict=False)
    if dtype in _POLARS and hasattr(polars, dtype):
        return series.cast(getattr(polars, dtype), strict=False)
    found = re.fullmatch(r"Datetime\(time_unit='(ms|us|ns)', time_zone=(?:None|'(.+)')\)", dtype)
    if not found or not isinstance(column, DatetimeColumn):
        return series
    series = series.cast(polars.Datetime(found.group(1)))
    try:
        zone = found.group(2)
        return series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else series
    except polars.exceptions.PolarsError:
        return series


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise DataError(
            f"The model was fitted to a {name} frame and {name} cannot be imported ({error}). "
            f"Install {name}, or draw to a file with made sample."
        ) from error


def _as_texts(cells: np.ndarray) -> np.ndarray:
    """Return numbers as the texts that people write, and texts as they are."""
    return np.array([*map(_text, cells.astype(object)), None], dtype=object)[:-1]


def _text(cell: Any) -> str | None:
    if cell is None or cell != cell:
        return None
    if isinstance(cell, (float, np.floating)):
        return str(int(cell)) if float(cell).is_integer() else repr(float(cell))
    return str(cell)
