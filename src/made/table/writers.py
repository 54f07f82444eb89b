"""Named columns -> files: CSV (also .gz), Parquet, NPY. Written aside and renamed.

Knows file formats; knows nothing of what is written. Columns are NumPy or pyarrow arrays.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from made.errors import OutputError
from made.storage import check_writable, replacing

FORMATS = ".csv, .csv.gz, .parquet, .npy"


def check_output(path: str | os.PathLike[str]) -> str:
    """Return the format that ``path`` asks for; raise `OutputError` if it cannot be written."""
    name = Path(path).name.lower()
    for ending in (".csv.gz", ".csv", ".parquet", ".npy"):
        if name.endswith(ending):
            check_writable(path)
            return ending
    raise OutputError(f"Cannot tell what format {path} should have. Known endings: {FORMATS}.")


def write_columns(path: str | os.PathLike[str], columns: dict[str, Any]) -> None:
    """Write named columns of one length to ``path``; its ending chooses the format.

    An .npy file has no names: it holds the columns side by side, or the single column alone.
    """
    n_rows = len(next(iter(columns.values())))
    write_chunks(path, iter([columns]), n_rows)


def write_chunks(
    path: str | os.PathLike[str], chunks: Iterator[dict[str, Any]], n_rows: int
) -> None:
    """Write rows that come in chunks, ``n_rows`` in all, without ever holding them together.

    There must be at least one chunk, though it may be empty: it says which columns there are.
    """
    ending = check_output(path)
    with replacing(path, ending) as temporary:
        first = next(chunks)
        rest = itertools.chain([first], chunks)
        if ending == ".npy":
            _write_npy(temporary, first, rest, n_rows)
        else:
            _write_arrow(temporary, ending, first, rest)


def _write_npy(
    path: Path,
    first: dict[str, Any],
    chunks: Iterable[dict[str, Any]],
    n_rows: int,
) -> None:
    dtypes = [_dtype_of(cells) for cells in first.values()]
    if not all(dtype.kind in "biuf" for dtype in dtypes):
        raise OutputError("An .npy file holds numbers alone. Write .csv or .parquet instead.")
    dtype = np.result_type(*dtypes)
    shape = (n_rows,) if len(first) == 1 else (n_rows, len(first))
    with open(path, "wb") as file:
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        for chunk in chunks:
            file.write(np.column_stack(list(chunk.values())).astype(dtype).tobytes())


def _dtype_of(cells: Any) -> np.dtype[Any]:
    """Return the type of cells in an array."""
    # Whole numbers of frames may be missing in some later chunk.
    return (
        np.dtype(np.float64)
        if str(getattr(cells, "type", "")) == "int64"
        else np.asarray(cells).dtype
    )


def _write_arrow(
    path: Path,
    ending: str,
    first: dict[str, Any],
    chunks: Iterable[dict[str, Any]],
) -> None:
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    convert = pyarrow.table if ending == ".parquet" else _for_csv
    schema = convert(first).schema
    with ExitStack() as stack:
        if ending == ".parquet":
            writer = pyarrow.parquet.ParquetWriter(path, schema)
        elif ending == ".csv":
            writer = pyarrow.csv.CSVWriter(path, schema)
        else:
            stream = stack.enter_context(pyarrow.CompressedOutputStream(str(path), "gzip"))
            writer = pyarrow.csv.CSVWriter(stream, schema)
        stack.enter_context(writer)
        for chunk in chunks:
            writer.write_table(convert(chunk))


def _for_csv(columns: dict[str, Any]) -> Any:
    """Return a table of what CSV can hold: categories and decimals as they are written out."""
    import pyarrow
    from pyarrow import types

    table = pyarrow.table(columns)
    for place, field in enumerate(table.schema):
        column = table.column(place)
        if types.is_dictionary(field.type):
            column = column.cast(field.type.value_type)
        if types.is_decimal(field.type) or types.is_float16(field.type):
            column = column.cast(pyarrow.string() if types.is_decimal(field.type) else "float32")
        if table.num_columns == 1 and not types.is_null(column.type):
            # A line without anything would be skipped by those who read it.
            column = column.cast(pyarrow.string()).fill_null("NA")
        table = table.set_column(place, field.name, column)
    return table
