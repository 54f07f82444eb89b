"""Files -> tables: Parquet, NPY, NPZ; CSV by `csvfile`.

Knows file formats; what the cells mean is `frames`' business.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from made.errors import DataError
from made.table.csvfile import read_csv, unreadable
from made.table.frames import Table, as_table
from made.table.schema import check_names

FORMATS = ".csv, .csv.gz, .parquet, .npy, .npz"
_STARTS = {".npy": b"\x93NUMPY", ".npz": b"PK"}
_INDEX = re.compile(r"__index_level_\d+__")
# What NumPy raises for damaged files; MemoryError if a header claims more than there is.
_NUMPY_ERRORS = (ValueError, EOFError, OSError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_table(
    data: Any, *, split: str | None = None, header: bool = True, na: Sequence[str] = ()
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
    na : sequence of str
        Texts that mean a missing cell, beside those that always do.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of an unknown kind.
    """
    return _read(data, split, header).with_na(na)


def _read(data: Any, split: str | None, header: bool) -> Table:
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
    return _from_parquet(path) if kind == ".parquet" else read_csv(path, header)


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
        raise unreadable(path, error) from error
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
            raise unreadable(f"{name!r} of {path}", error) from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{name!r} of {path} is not an array. Write the file with numpy.savez.")
    return array


def _from_parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        # Before the columns are read: a name that occurs twice would look like damage.
        names = pyarrow.parquet.read_schema(path).names
        check_names(names)
        # An index that pandas kept is no column, as it is none in the frame itself.
        columns = [name for name in names if not _INDEX.fullmatch(name)]
        return as_table(pyarrow.parquet.read_table(path, columns=columns))
    except (pyarrow.ArrowException, OSError, MemoryError) as error:
        raise unreadable(path, error) from error
