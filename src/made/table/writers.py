"""Named columns -> files: CSV (also .gz), Parquet, NPY. Written aside and renamed.

Knows file formats; knows nothing of what is written.
"""

from __future__ import annotations

import os
from pathlib import Path

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


def write_columns(path: str | os.PathLike[str], columns: dict[str, np.ndarray]) -> None:
    """Write named columns of one length to ``path``; its ending chooses the format.

    An .npy file has no names: it holds the columns side by side, or the single column alone.
    """
    ending = check_output(path)
    with replacing(path, ending) as temporary:
        if ending == ".npy":
            arrays = list(columns.values())
            array = arrays[0] if len(arrays) == 1 else np.column_stack(arrays)
            if array.dtype == object:
                raise OutputError(f"{path}: an .npy file cannot hold text. Write .csv or .parquet.")
            np.save(temporary, array, allow_pickle=False)
            return
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet

        table = pyarrow.table(columns)
        if ending == ".parquet":
            pyarrow.parquet.write_table(table, temporary)
        elif ending == ".csv":
            pyarrow.csv.write_csv(table, temporary)
        else:
            with pyarrow.CompressedOutputStream(str(temporary), "gzip") as stream:
                pyarrow.csv.write_csv(table, stream)
