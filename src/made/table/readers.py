"""Files -> tables: CSV (also .gz), Parquet, NPY, NPZ.

Knows file formats; what the cells mean is `frames`' business.
"""

from __future__ import annotations

import gzip
import io
import os
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from made.errors import DataError
from made.table.frames import Table, as_table
from made.table.schema import check_names

if TYPE_CHECKING:
    import pyarrow

FORMATS = ".csv, .csv.gz, .parquet, .npy, .npz"
_STARTS = {".npy": b"\x93NUMPY", ".npz": b"PK"}
# What NumPy raises for damaged files; MemoryError if a header claims more than there is.
_NUMPY_ERRORS = (ValueError, EOFError, OSError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_table(
    data: Any, *, split: str | None = None, header: bool = True, id_column: str | None = None
) -> Table:
    """Return ``data`` as a `Table`; a text or path is read as a file, anything else is data.

    Parameters
    ----------
    data : path, array, tensor or frame
        A file ends in .csv, .csv.gz, .parquet, .npy or .npz.
    split : str, optional
        The array of an .npz file to take. Not needed if the file has only one.
    header : bool
        Whether the first line of a CSV file holds names. A first line of only 0 and 1 is
        data in any case.
    id_column : str, optional
        A column of a CSV file that is kept as it is written: 007 stays 007.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of an unknown kind.
    """
    if not isinstance(data, (str, os.PathLike)):
        if split is not None:
            raise DataError("split names an array of an .npz file; the data is no file.")
        return as_table(data)
    path = Path(data).expanduser()
    kind = _kind(path)
    if split is not None and kind != ".npz":
        raise DataError(f"split names an array of an .npz file; {path} is a {kind} file.")
    if kind == ".npz":
        return as_table(_from_npz(path, split))
    if kind == ".npy":
        return as_table(_load_numpy(path))
    return _from_parquet(path) if kind == ".parquet" else _from_csv(path, header, id_column)


def npz_splits(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of the arrays in an .npz file; empty for any other file."""
    source = Path(path).expanduser()
    if _kind(source) != ".npz":
        return []
    with _load_numpy(source) as arrays:
        return list(arrays.files)


def _kind(path: Path) -> str:
    """Return the format of an existing file by its name, or raise."""
    if not path.exists():
        raise DataError(f"There is no file {path}.")
    if path.is_dir():
        raise DataError(f"{path} is a folder. Give a file: {FORMATS}.")
    name = path.name.lower()
    for ending in (".csv.gz", ".csv", ".parquet", ".npy", ".npz"):
        if name.endswith(ending):
            return ".csv" if ending == ".csv.gz" else ending
    raise DataError(f"Cannot tell what kind of file {path} is. Known endings: {FORMATS}.")


def _load_numpy(path: Path) -> Any:
    kind = path.suffix.lower()
    try:
        with open(path, "rb") as file:
            start = file.read(8)
        if start.startswith(_STARTS[kind]):
            if kind == ".npz":
                # NumPy would leave a damaged archive open.
                zipfile.ZipFile(path).close()
            return np.load(path, allow_pickle=False)
    except _NUMPY_ERRORS as error:
        raise _unreadable(path, error) from error
    if not start:
        raise DataError(f"{path} is empty.")
    raise DataError(
        f"{path} is no {kind} file: it does not start like one. Is it damaged, or of another kind? "
        f"Known endings: {FORMATS}."
    )


def _from_npz(path: Path, split: str | None) -> np.ndarray:
    with _load_numpy(path) as arrays:
        names = list(arrays.files)
        if not names:
            raise DataError(f"{path} holds no arrays.")
        if split is None and len(names) != 1:
            raise DataError(f"{path} holds the arrays {', '.join(names)}. Pick one with --split.")
        name = split if split is not None else names[0]
        if name not in names:
            raise DataError(f"{path} has no array {name!r}. It holds {', '.join(names)}.")
        try:
            array = arrays[name]
        except _NUMPY_ERRORS as error:
            raise _unreadable(f"{name!r} of {path}", error) from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{name!r} of {path} is not an array. Write the file with numpy.savez.")
    return array


def _from_parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        # Before the columns are read: a name that occurs twice would look like damage.
        check_names(pyarrow.parquet.read_schema(path).names)
        return as_table(pyarrow.parquet.read_table(path))
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise _unreadable(path, error) from error


def _from_csv(path: Path, header: bool, id_column: str | None) -> Table:
    import pyarrow
    import pyarrow.csv

    first, is_all = _first_csv_line(path)
    if not first:
        raise DataError(f"{path} is empty.")
    cells = [cell.strip().strip('"') for cell in first.split(",")]
    named = header and not set(cells) <= {"0", "1"}
    # A single line without its end is refused by pyarrow.
    source = io.BytesIO(f"{first}\n".encode()) if is_all else str(path)
    compression = "gzip" if not is_all and _is_compressed(path) else None
    texts = {} if id_column is None else {id_column: pyarrow.string()}
    try:
        with pyarrow.input_stream(source, compression=compression) as stream:
            frame = pyarrow.csv.read_csv(
                stream,
                # In one thread, so that an error tells the row.
                pyarrow.csv.ReadOptions(autogenerate_column_names=not named, use_threads=False),
                convert_options=pyarrow.csv.ConvertOptions(column_types=texts),
            )
    except (pyarrow.ArrowInvalid, OSError, EOFError) as error:
        raise _unreadable(path, error) from error
    if named:
        return as_table(_with_plain_numbers(frame, id_column))
    table = as_table(frame)
    # A file without names is an array: its columns are known by their place.
    return as_table(np.column_stack([table.cells(d) for d in range(table.n_columns)]))


def _with_plain_numbers(frame: pyarrow.Table, name: str | None) -> pyarrow.Table:
    """Return the frame; the texts of column ``name`` become integers if that changes none."""
    import pyarrow

    if name is None or frame.column_names.count(name) != 1:
        return frame
    try:
        numbers = frame[name].cast(pyarrow.int64())
    except pyarrow.ArrowInvalid:
        return frame
    if not numbers.cast(pyarrow.string()).equals(frame[name]):
        return frame
    return frame.set_column(frame.column_names.index(name), name, numbers)


def _first_csv_line(path: Path) -> tuple[str, bool]:
    """Return the first line that is not blank, and whether there is nothing but that line."""
    opened = gzip.open if _is_compressed(path) else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:
            lines = (line.strip() for line in file)
            first = next(filter(None, lines), "")
            return first, not any(lines)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}). Convert it first.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _is_compressed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _unreadable(what: object, error: BaseException) -> DataError:
    """Return the error for a file that a reader gave up on."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(" .:")
    if "allow_pickle" in reason:
        return DataError(
            f"Cannot read {what}: it holds Python objects. Save an array of numbers or booleans."
        )
    return DataError(f"Cannot read {what}: {reason}. Is it damaged?")
