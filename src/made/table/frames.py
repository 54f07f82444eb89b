"""Arrays, tensors and data frames -> checked values; values -> arrays and data frames.

Knows schemas and, through narwhals, every kind of frame; knows nothing of files or models.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from numbers import Number
from typing import Any, NoReturn

import numpy as np

from made.columns import Column
from made.errors import DataError
from made.table.schema import Container, Schema, check_names, shown


@dataclass(frozen=True)
class Table:
    """Data as it came in, one array a column; values are not checked yet.

    Attributes
    ----------
    names : list of str or None
        None if the data has no names.
    n_rows, n_columns : int
    cells : callable
        ``cells(d)`` returns column d as an array; missing cells are None or NaN in it.
    matrix : ndarray or None
        All cells at once, where the data is an array.
    container : {"numpy", "pandas", "polars", "pyarrow"}
    """

    names: list[str] | None
    n_rows: int
    n_columns: int
    cells: Callable[[int], np.ndarray]
    matrix: np.ndarray | None
    container: Container


def as_table(data: Any) -> Table:
    """Return ``data`` (array, tensor, pandas, polars or pyarrow frame) as a `Table`."""
    if isinstance(data, Table):
        return data
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(data, torch.Tensor):
        tensor = data.detach().cpu()
        # NumPy has no bfloat16.
        return _from_array((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())
    if isinstance(data, (list, tuple)):
        try:
            data = np.asarray(data)
        except ValueError:
            raise DataError(
                "The rows differ in length. Every row needs a cell for every column."
            ) from None
    if np.ma.is_masked(data):
        data = data.astype(np.float64).filled(np.nan)
    if isinstance(data, np.ndarray):
        return _from_array(np.asarray(data))
    import narwhals as nw

    try:
        frame = nw.from_native(data, eager_only=True)
        names = [str(name) for name in frame.columns]
    except TypeError:
        raise DataError(
            f"Expected a NumPy array, a tensor, or a pandas, polars or pyarrow frame; got "
            f"{type(data).__name__}. Convert it first, for example with numpy.asarray."
        ) from None
    except nw.exceptions.DuplicateError:
        check_names([str(name) for name in getattr(data, "column_names", data.columns)])
        raise
    check_names(names)
    kinds: dict[str, Container] = {"pandas": "pandas", "polars": "polars", "pyarrow": "pyarrow"}
    container = kinds.get(frame.implementation.value, "pyarrow")
    return Table(
        names=names,
        n_rows=len(frame),
        n_columns=len(names),
        # By place: the names of a pandas frame need not be texts.
        cells=lambda d: frame[:, d].to_numpy(),
        matrix=None,
        container=container,
    )


def without_column(table: Table, name: str) -> tuple[Table, np.ndarray]:
    """Return the table without the column ``name``, and that column's cells."""
    if table.names is None:
        raise DataError(f"There is no column {name!r}: the data has no column names.")
    if name not in table.names:
        raise DataError(f"There is no column {name!r}. Columns: {shown(table.names)}.")
    place = table.names.index(name)
    rest = [d for d in range(table.n_columns) if d != place]
    if not rest:
        raise DataError(f"The data has no column beside {name!r}.")
    left = Table(
        names=[table.names[d] for d in rest],
        n_rows=table.n_rows,
        n_columns=len(rest),
        cells=lambda d: table.cells(rest[d]),
        matrix=None,
        container=table.container,
    )
    return left, table.cells(place)


def infer_schema(table: Table) -> Schema:
    """Return the schema of a table of binary columns."""
    if table.n_columns == 0:
        raise DataError("The data has no columns.")
    if table.n_rows == 0:
        raise DataError("The data has no rows.")
    names = table.names or [f"x{d}" for d in range(table.n_columns)]

    def is_boolean(d: int) -> bool:
        cells = table.cells(d) if table.matrix is None else table.matrix
        return cells.dtype == np.bool_

    columns = tuple(Column(name, boolean=is_boolean(d)) for d, name in enumerate(names))
    return Schema(columns, table.names is not None, table.container)


def binary_values(table: Table, schema: Schema) -> np.ndarray:
    """Return the cells as uint8, shape ``(n_rows, n_columns)``, in the order of the schema.

    Raises
    ------
    DataError
        If columns are missing or added, or a cell is neither 0 nor 1 nor a boolean.
    """
    places = _places(table, schema)
    if table.matrix is not None:
        matrix = table.matrix
        if matrix.dtype == np.bool_:
            return matrix.astype(np.uint8)
        if np.issubdtype(matrix.dtype, np.number):
            wrong = (matrix != 0) & (matrix != 1)
            if not wrong.any():
                return matrix.astype(np.uint8)
            first = int(np.argmax(wrong.any(axis=0)))
            _refuse(schema.names[first], matrix[:, first])
    values = np.empty((table.n_rows, schema.n_columns), dtype=np.uint8)
    for d, place in enumerate(places):
        values[:, d] = _binary_column(schema.names[d], table.cells(place))
    return values


def constant_columns(values: np.ndarray, schema: Schema) -> list[str]:
    """Return the names of the columns that never change."""
    same = (values == values[:1]).all(axis=0)
    return [schema.names[d] for d in np.flatnonzero(same)]


def to_container(values: np.ndarray, schema: Schema, container: Container | None = None) -> Any:
    """Return ``values`` as an array or frame like the one that the schema came from.

    Binary columns are uint8, or boolean where they came in as booleans.
    """
    kind = container or schema.container
    if kind == "numpy":
        booleans = all(column.boolean for column in schema.columns)
        return values.astype(np.bool_ if booleans else np.uint8)
    columns = named_columns(values, schema)
    if kind == "pyarrow":
        import pyarrow

        return pyarrow.table(columns)
    try:
        return import_module(kind).DataFrame(columns)
    except ImportError as error:
        raise DataError(
            f"The model was fitted to a {kind} frame and {kind} cannot be imported ({error}). "
            f"Install {kind}, or draw to a file with made sample."
        ) from error


def named_columns(values: np.ndarray, schema: Schema) -> dict[str, np.ndarray]:
    """Return the columns of ``values`` by name, as uint8, or as booleans if they were."""
    return {
        column.name: values[:, d].astype(np.bool_ if column.boolean else np.uint8)
        for d, column in enumerate(schema.columns)
    }


def _from_array(array: np.ndarray) -> Table:
    if array.ndim != 2:
        raise DataError(
            f"Expected a table with rows and columns (2 dimensions), got {array.ndim} with shape "
            f"{array.shape}. For one row, pass data[None, :]."
        )
    return Table(
        names=None,
        n_rows=array.shape[0],
        n_columns=array.shape[1],
        cells=lambda d: array[:, d],
        matrix=array,
        container="numpy",
    )


def _places(table: Table, schema: Schema) -> list[int]:
    """Return where in the table each column of the schema stands."""
    if table.names is None or not schema.named:
        if table.n_columns != schema.n_columns:
            raise DataError(
                f"The model has {schema.n_columns} columns and the data has {table.n_columns}. "
                "Pass rows of the same width."
            )
        return list(range(schema.n_columns))
    missing = [name for name in schema.names if name not in set(table.names)]
    added = [name for name in table.names if name not in set(schema.names)]
    if missing or added:
        parts = [f"missing: {shown(missing)}"] if missing else []
        parts += [f"not in the model: {shown(added)}"] if added else []
        raise DataError(
            f"The columns do not match the model's ({'; '.join(parts)}). Rename, add or drop them."
        )
    place = {name: d for d, name in enumerate(table.names)}
    return [place[name] for name in schema.names]


def _binary_column(name: str, cells: np.ndarray) -> np.ndarray:
    if cells.dtype == np.bool_:
        return cells.astype(np.uint8)
    if np.issubdtype(cells.dtype, np.number):
        if ((cells == 0) | (cells == 1)).all():
            return cells.astype(np.uint8)
        _refuse(name, cells)
    listed = cells.tolist()
    if not all(map(_is_binary, listed)):
        _refuse(name, cells)
    return np.array([int(cell) for cell in listed], dtype=np.uint8)


def _is_binary(cell: object) -> bool:
    return isinstance(cell, (bool, np.bool_, Number)) and cell in (0, 1)


def _is_missing(cell: Any) -> bool:
    # pandas.NA refuses to be compared; NaN and NaT differ from themselves.
    if cell is None or type(cell).__name__ == "NAType":
        return True
    differs = cell != cell
    return isinstance(differs, (bool, np.bool_)) and bool(differs)


def _is_digit(cell: object) -> bool:
    # One word in a column of a file makes texts of its 0 and 1: the word is what to tell.
    return isinstance(cell, str) and cell.strip() in ("0", "1")


def _refuse(name: str, cells: np.ndarray) -> NoReturn:
    """Raise the error that says which cells of a column are not binary."""
    listed = cells.tolist()
    for row, cell in enumerate(listed):
        if _is_missing(cell):
            raise DataError(
                f"Column {name!r} has missing cells (first at row {row}). Binary columns need 0 "
                "or 1 in every row: fill or drop those rows."
            )
        if not (_is_binary(cell) or _is_digit(cell)):
            others = {repr(cell): cell for cell in listed[row:] if not _is_binary(cell)}
            told = [cell for cell in others.values() if not _is_digit(cell)]
            raise DataError(
                f"Column {name!r} has values other than 0 and 1: {shown(told, 4)} (first at row "
                f"{row}). Recode it as 0/1 or booleans, or leave it out."
            )
    raise DataError(
        f"Column {name!r} holds the texts '0' and '1' instead of numbers. Convert it to integers."
    )
