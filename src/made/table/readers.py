"""Files -> tables: CSV (also .gz), Parquet, NPY, NPZ.

Knows file formats; what the cells mean is `frames`' business.
"""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from made.errors import DataError
from made.table.frames import Table, as_table

FORMATS = ".csv, .csv.gz, .parquet, .npy, .npz"


def read_table(data: Any, *, split: str | None = None, header: bool = True) -> Table:
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
    return _from_parquet(path) if kind == ".parquet" else _from_csv(path, header)


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
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"Cannot read {path}: {_first_line(error)}. Is it damaged?") from error
    if path.suffix.lower() == ".npz" and not isinstance(loaded, np.lib.npyio.NpzFile):
        raise DataError(f"{path} is no .npz archive. If it is one array, name it .npy.")
    return loaded


def _from_npz(path: Path, split: str | None) -> np.ndarray:
    with _load_numpy(path) as arrays:
        names = list(arrays.files)
        if split is None and len(names) != 1:
            raise DataError(f"{path} holds the arrays {', '.join(names)}. Pick one with --split.")
        name = split if split is not None else names[0]
        if name not in names:
            raise DataError(f"{path} has no array {name!r}. It holds {', '.join(names)}.")
        try:
            return arrays[name]
        except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise DataError(f"Cannot read {name!r} of {path}: {_first_line(error)}.") from error


def _from_parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        return as_table(pyarrow.parquet.read_table(path))
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError(f"Cannot read {path}: {_first_line(error)} Is it damaged?") from error


def _from_csv(path: Path, header: bool) -> Table:
    import pyarrow
    import pyarrow.csv

    first = _first_csv_line(path)
    if not first:
        raise DataError(f"{path} is empty.")
    cells = [cell.strip().strip('"') for cell in first.split(",")]
    named = header and not set(cells) <= {"0", "1"}
    try:
        frame = pyarrow.csv.read_csv(
            path, read_options=pyarrow.csv.ReadOptions(autogenerate_column_names=not named)
        )
    except (pyarrow.ArrowInvalid, OSError, EOFError) as error:
        raise DataError(f"Cannot read {path}: {_first_line(error)}") from error
    table = as_table(frame)
    if named:
        return table
    # A file without names is an array: its columns are known by their place.
    return as_table(np.column_stack([table.cells(d) for d in range(table.n_columns)]))


def _first_csv_line(path: Path) -> str:
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rb") as file:
            return file.readline(1_000_000).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}). Convert it first.") from error
    except (OSError, EOFError) as error:
        raise DataError(f"Cannot read {path}: {_first_line(error)}.") from error


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
