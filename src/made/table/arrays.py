"""NumPy and pyarrow arrays -> the cells of a column.

Knows types, and what a missing cell looks like in each; knows nothing of tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from made.errors import DataError
from made.table.cells import LARGEST_EXACT, Cells
from made.table.parsing import arrow_compute

if TYPE_CHECKING:
    import pyarrow


def cells_of_array(name: str, array: np.ndarray, missing_texts: Sequence[str]) -> Cells:
    """Return the cells of a one-dimensional array.

    Raises
    ------
    DataError
        If cells are of several types, or of one that cannot be modelled.
    """
    kind, dtype = array.dtype.kind, str(array.dtype)
    if kind == "b":
        return Cells("boolean", array.astype(np.float64), dtype="bool")
    if kind == "f" or (kind in "iu" and _is_exact(array)):
        return Cells("number", _numbers(array.astype(np.float64), missing_texts), dtype=dtype)
    if kind == "M":
        return Cells("time", _exact_times(name, array), dtype=dtype)
    if kind not in "OUSTiu":
        raise not_modelled(name, dtype)
    import pyarrow

    listed: Any = array
    if kind in "OUST":
        # Numbers with a "?" among them are numbers.
        listed = [
            None
            if _is_missing(cell) or (isinstance(cell, str) and cell.strip() in missing_texts)
            else cell
            for cell in array.tolist()
        ]
    try:
        converted = pyarrow.array(listed, from_pandas=True)
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise _mixed(name, array.tolist(), error) from error
    if kind == "O" and not _holds_texts(converted):
        dtype = f"object, {converted.type}"
    return cells_of_arrow(name, converted, dtype, missing_texts)


def cells_of_arrow(
    name: str, array: pyarrow.Array | pyarrow.ChunkedArray, dtype: str, missing_texts: Sequence[str]
) -> Cells:
    """Return the cells of a pyarrow array; ``dtype`` is the type in the words of its frame.

    Raises
    ------
    DataError
        If the type cannot be modelled.
    """
    import pyarrow
    from pyarrow import types

    kind = array.type
    if _holds_texts(array):
        # Offsets of 32 bits would overflow when chunks are joined.
        array = array.cast(pyarrow.large_string()).dictionary_encode()
    if isinstance(array, pyarrow.ChunkedArray):
        array = array.combine_chunks()
    if types.is_dictionary(array.type):
        declared = types.is_dictionary(kind)
        return _of_dictionary(name, array, dtype, missing_texts, declared=declared)
    if types.is_boolean(kind):
        return Cells("boolean", _floats(array), dtype=dtype)
    if types.is_null(kind):
        return Cells("number", np.full(len(array), np.nan), dtype=dtype)
    if types.is_integer(kind) and not _is_exact(array.drop_null().to_numpy(zero_copy_only=False)):
        encoded = array.dictionary_encode()
        return _of_dictionary(name, encoded, dtype, missing_texts, declared=False)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return Cells("number", _numbers(_floats(array), missing_texts), dtype=dtype)
    if types.is_timestamp(kind) or types.is_date(kind):
        unit = pyarrow.timestamp("s") if types.is_date(kind) else pyarrow.timestamp(kind.unit)
        times = array.cast(unit).to_numpy(zero_copy_only=False)
        return Cells("time", _exact_times(name, times), dtype=dtype)
    raise not_modelled(name, dtype or str(kind))


def not_modelled(name: str, dtype: str, reason: str = "") -> DataError:
    """Return the error for a type that cannot be modelled."""
    why = f" ({reason})" if reason else ""
    return DataError(
        f"Column {name!r} has the type {dtype}, which cannot be modelled{why}. Convert it to "
        "numbers, texts, truth values or dates, or leave it out."
    )


def _holds_texts(array: Any) -> bool:
    from pyarrow import types

    kind = array.type
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _of_dictionary(
    name: str, array: Any, dtype: str, missing_texts: Sequence[str], *, declared: bool
) -> Cells:
    import pyarrow
    from pyarrow import types

    compute = arrow_compute()
    levels = array.dictionary
    if _holds_texts(levels):
        levels = levels.cast(pyarrow.large_string())
        blanked = compute.utf8_trim_whitespace(levels)
        nothing = compute.is_in(blanked, pyarrow.array(missing_texts, pyarrow.large_string()))
    else:
        kind = levels.type
        known = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
        if not known or (types.is_floating(kind) and not np.isfinite(_floats(levels)).all()):
            other = levels[0].as_py() if not known and len(levels) else "inf or NaN"
            raise DataError(
                f"Column {name!r} has the category {other!r}. Categories are texts, truth values "
                "or finite numbers: convert them."
            )
        numbers = _numbers(_floats(levels), missing_texts)
        nothing = pyarrow.array(np.isnan(numbers))
    gone = compute.or_(nothing, levels.is_null()).to_numpy(zero_copy_only=False)
    if declared and (levels.null_count or compute.count_distinct(levels).as_py() < len(levels)):
        # A dictionary may list a level twice, or none, though few programs write such.
        again = array.dictionary_decode().dictionary_encode()
        return _of_dictionary(name, again, dtype, missing_texts, declared=declared)
    places = array.indices.to_numpy(zero_copy_only=False).astype(np.float64)
    # The last entry is where a missing cell is sent.
    moved = np.append(np.where(gone, np.nan, np.cumsum(~gone) - 1.0), np.nan)
    values = moved[np.where(np.isnan(places), len(levels), places).astype(np.int64)]
    return Cells("levels", values, levels.filter(pyarrow.array(~gone)), dtype, declared)


def _floats(array: Any) -> np.ndarray:
    import pyarrow

    floats = array.cast(pyarrow.float64(), safe=False)
    return np.array(floats.to_numpy(zero_copy_only=False), dtype=np.float64)


def _exact_times(name: str, times: np.ndarray) -> np.ndarray:
    """Return times in microseconds, if they can be counted so and have years from 1 to 9999."""
    present = ~np.isnat(times)
    years = times.astype("datetime64[Y]").astype(np.int64) + 1970
    beyond = present & ((years < 1) | (years > 9999))
    exact = times.astype("datetime64[us]")
    finer = present & ~beyond & (exact.astype(times.dtype) != times)
    for wrong, reason in ((beyond, "years from 1 to 9999"), (finer, "whole microseconds")):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"Column {name!r} is {times[row]} at row {row}. Times must be {reason}: round or "
                "correct them."
            )
    return exact


def _is_exact(whole: np.ndarray) -> bool:
    if not len(whole):
        return True
    return int(whole.min()) >= -LARGEST_EXACT and int(whole.max()) <= LARGEST_EXACT


def _numbers(values: np.ndarray, missing_texts: Sequence[str]) -> np.ndarray:
    """Return ``values`` with NaN in place of the numbers that stand for missing cells."""
    for text in missing_texts:
        try:
            number = float(text)
        except ValueError:
            continue
        if not np.isnan(number):
            values = np.where(values == number, np.nan, values)
    # Zero has no sign.
    return values + 0.0


def _is_missing(cell: Any) -> bool:
    # pandas.NA refuses to be compared; NaN and NaT differ from themselves.
    if cell is None or type(cell).__name__ == "NAType":
        return True
    differs = cell != cell
    return isinstance(differs, (bool, np.bool_)) and bool(differs)


def _mixed(name: str, cells: Sequence[Any], error: BaseException) -> DataError:
    """Return the error for a column that holds cells of several types."""
    first: dict[str, tuple[int, Any]] = {}
    for row, cell in enumerate(cells):
        if not _is_missing(cell):
            first.setdefault(type(cell).__name__, (row, cell))
    if len(first) < 2:
        reason = str(error).splitlines()[0]
        return DataError(f"Column {name!r} cannot be read ({reason}). Convert it, or leave it out.")
    told = ", ".join(f"{kind} ({cell!r} at row {row})" for kind, (row, cell) in first.items())
    return DataError(
        f"Column {name!r} mixes types: {told}. Convert its cells to one type, for example with "
        "astype(str)."
    )
