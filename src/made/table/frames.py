"""Arrays, tensors and data frames -> tables whose columns can be read one by one.

Knows NumPy and, through narwhals, every kind of frame; knows nothing of files, of what columns mean
or of models.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from made.errors import DataError
from made.table.arrays import cells_of_array, cells_of_arrow, not_modelled
from made.table.cells import MISSING_TEXTS, Cells
from made.table.schema import Container, check_names, shown

# Tables up to this many cells are converted once; of larger ones nothing is kept.
_MOST_KEPT = 20_000_000


@dataclass(frozen=True, eq=False)
class Table:
    """Data as it came in.

    Attributes
    ----------
    names : list of str or None
        None if the data has no names.
    n_rows, n_columns : int
    read : callable
        ``read(d, missing_texts)`` returns the cells of column d.
    dtype : callable
        ``dtype(d)`` returns the type of column d, in the words of its frame.
    matrix : ndarray or None
        All cells at once, where the data is an array.
    container : {"numpy", "pandas", "polars", "pyarrow"}
    na : tuple of str
        Texts that mean a missing cell, beside those that always do.
    index : object
        The index of a pandas frame, None for others.
    native : object
        The frame itself; of a text file a pyarrow table of the texts; None for arrays.
    """

    names: list[str] | None
    n_rows: int
    n_columns: int
    read: Callable[[int, Sequence[str]], Cells]
    dtype: Callable[[int], str]
    matrix: np.ndarray | None
    container: Container
    na: tuple[str, ...] = ()
    index: Any = field(default=None, repr=False)
    native: Any = field(default=None, repr=False)
    _kept: dict[int, Cells] = field(default_factory=dict, init=False, repr=False)

    @property
    def column_names(self) -> list[str]:
        """The names, or x0, x1, ... where there are none."""
        return self.names or [f"x{d}" for d in range(self.n_columns)]

    @property
    def is_bits(self) -> bool:
        """Whether the data is an array of 0 and 1, or of truth values."""
        matrix = self.matrix
        # Where a text means a missing cell, a number may.
        if matrix is None or not self.n_rows or self.na:
            return False
        if matrix.dtype.kind == "b":
            return True
        # Most tables are told by their first rows.
        return matrix.dtype.kind in "iuf" and all(
            bool(((part == 0) | (part == 1)).all()) for part in (matrix[:100], matrix)
        )

    def cells(self, d: int) -> Cells:
        """Return the cells of column ``d``."""
        if d in self._kept:
            return self._kept[d]
        cells = self.read(d, (*MISSING_TEXTS, *self.na))
        # An array is converted as fast as it is copied.
        if self.matrix is None and self.n_rows * self.n_columns <= _MOST_KEPT:
            self._kept[d] = cells
        return cells

    def with_na(self, na: Sequence[str]) -> Table:
        """Return the table in which the texts ``na`` mean missing cells too."""
        texts = [na] if isinstance(na, str) else [str(text).strip() for text in na]
        together = tuple(dict.fromkeys((*self.na, *texts)))
        return self if together == self.na else replace(self, na=together)


def as_table(data: Any) -> Table:
    """Return ``data`` (array, tensor, pandas, polars or pyarrow frame) as a `Table`.

    Raises
    ------
    DataError
        If it is no table, or a name occurs twice.

    Examples
    --------
    >>> as_table([[1, "a"], [2, None]]).cells(1).levels
    ('a',)
    """
    if isinstance(data, Table):
        return data
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(data, torch.Tensor):
        tensor = data.detach().cpu()
        # NumPy has no bfloat16.
        return _from_array((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())
    if isinstance(data, (list, tuple)):
        data = _array_of(data)
    if isinstance(data, np.ma.MaskedArray):
        data = _unmasked(data)
    if isinstance(data, np.ndarray):
        return _from_array(np.asarray(data))
    return _from_frame(data)


def _array_of(rows: Any) -> np.ndarray:
    """Return a list of rows as an array; of objects where rows mix texts and numbers."""
    if any(isinstance(row, Mapping) for row in rows):
        raise DataError(
            "Expected rows that are lists of cells; got mappings. Make a frame of them, for "
            "example with pandas.DataFrame."
        )
    try:
        array = np.asarray(rows)
        return np.asarray(rows, dtype=object) if array.dtype.kind in "US" else array
    except ValueError:
        raise DataError(
            "The rows differ in length. Every row needs a cell for every column."
        ) from None


def _unmasked(array: Any) -> np.ndarray:
    """Return a masked array with None, or NaN among numbers, where it is masked."""
    if not np.ma.is_masked(array):
        return array.filled()
    if array.dtype.kind == "f":
        return array.filled(np.nan)
    cells = array.data.astype(object)
    cells[np.ma.getmaskarray(array)] = None
    return cells


def _from_frame(data: Any) -> Table:
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

    # By place: the names of a pandas frame need not be texts.
    def read(d: int, missing_texts: Sequence[str]) -> Cells:
        return _cells_of_series(names[d], frame[:, d], container, missing_texts)

    return Table(
        names=names,
        n_rows=len(frame),
        n_columns=len(names),
        read=read,
        dtype=lambda d: _dtype_of(frame[:, d].to_native(), container),
        matrix=None,
        container=container,
        index=data.index if container == "pandas" else None,
        native=data if container == kinds.get(frame.implementation.value) else None,
    )


def _dtype_of(native: Any, container: Container) -> str:
    """Return the type of a column, in the words of its frame, and what they leave out."""
    if container == "pyarrow":
        return str(native.type)
    if container == "polars":
        # The categories are known as levels.
        return "Enum" if str(native.dtype).startswith("Enum") else str(native.dtype)
    text = str(native.dtype)
    if text == "category":
        return "category, ordered" if native.dtype.ordered else text
    # Of two types named alike, the one that is pyarrow's throughout.
    is_arrow = type(native.dtype).__name__ == "ArrowDtype"
    return f"{native.dtype.pyarrow_dtype}[pyarrow]" if is_arrow else text


def _cells_of_series(
    name: str, series: Any, container: Container, missing_texts: Sequence[str]
) -> Cells:
    native = series.to_native()
    dtype = _dtype_of(native, container)
    if container == "pandas" and (dtype == "object" or dtype.startswith("Sparse")):
        cells = cells_of_array(name, np.asarray(native), missing_texts)
        return cells if dtype == "object" else replace(cells, dtype=dtype)
    try:
        # What a Categorical of polars lists besides depends on what was read before.
        array = (native.cast(str) if dtype == "Categorical" else series).to_arrow()
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        raise not_modelled(name, dtype, str(error).splitlines()[0]) from error
    cells = cells_of_arrow(name, array, dtype, missing_texts)
    return replace(cells, declared=True) if dtype == "Categorical" else cells


def row_of(table: Table, row: int) -> Table:
    """Return the table of one row.

    Raises
    ------
    DataError
        If there is no such row.
    """
    if not 0 <= row < table.n_rows:
        raise DataError(f"There is no row {row}: the data has {table.n_rows}, numbered from 0.")

    def read(d: int, missing_texts: Sequence[str]) -> Cells:
        cells = table.read(d, missing_texts)
        return replace(cells, values=cells.values[row : row + 1])

    matrix = None if table.matrix is None else table.matrix[row : row + 1]
    return replace(table, n_rows=1, read=read, matrix=matrix, native=None, index=None)


def without_column(table: Table, name: str) -> tuple[Table, np.ndarray]:
    """Return the table without the column ``name``, and that column's cells as they came."""
    if table.names is None:
        raise DataError(f"There is no column {name!r}: the data has no column names.")
    if name not in table.names:
        raise DataError(f"There is no column {name!r}. Columns: {shown(table.names)}.")
    place = table.names.index(name)
    rest = [d for d in range(table.n_columns) if d != place]
    if not rest:
        raise DataError(f"The data has no column beside {name!r}.")
    left = replace(
        table,
        names=[table.names[d] for d in rest],
        native=None if table.native is None else _dropped(table.native, name),
        n_columns=len(rest),
        read=lambda d, missing_texts: table.read(rest[d], missing_texts),
        dtype=lambda d: table.dtype(rest[d]),
        matrix=None,
    )
    return left, table.read(place, ()).as_it_came()


def _dropped(native: Any, name: str) -> Any:
    import narwhals as nw

    return nw.from_native(native, eager_only=True).drop(name).to_native()


def _from_array(array: np.ndarray) -> Table:
    if array.dtype.names is not None:
        raise DataError(
            f"Expected a table; got a structured array with the fields {shown(array.dtype.names)}. "
            "Convert it first, for example with pandas.DataFrame(array)."
        )
    if array.ndim != 2:
        raise DataError(
            f"Expected a table with rows and columns (2 dimensions), got {array.ndim} with shape "
            f"{array.shape}. For one row, pass data[None, :]."
        )

    def read(d: int, missing_texts: Sequence[str]) -> Cells:
        return cells_of_array(f"x{d}", array[:, d], missing_texts)

    return Table(
        names=None,
        n_rows=array.shape[0],
        n_columns=array.shape[1],
        read=read,
        dtype=lambda d: str(array.dtype),
        matrix=array,
        container="numpy",
    )
