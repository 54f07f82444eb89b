"""Cells -> declarations: what each column of a table is, and why.

Knows what people would expect of names, texts and numbers. Knows nothing of scales, families or
models; what the user says against the cells is `overriding`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from made.errors import DataError, did_you_mean
from made.table.cells import Cells
from made.table.conversions import (
    bad_cells,
    check_finite,
    is_whole,
    level_list,
    number_values,
    time_values,
)
from made.table.dates import find_time_format
from made.table.declarations import (
    BY_SCHEMA,
    LEFT_OUT,
    Declaration,
    Overrides,
    check_known,
)
from made.table.frames import Table
from made.table.overriding import with_options
from made.table.parsing import any_leading_zero
from made.table.schema import shown

# A text that is different in more than this share of the rows is a name, an id or a remark.
_NEARLY_EVERY_TEXT, _NEARLY_EVERY_NUMBER = 0.8, 0.98
# Below this many rows, being different in every row means nothing.
_FEW_ROWS = 20
# Numbers beyond this are codes.
_CODES_ABOVE = 10**10
# Words of a column's name by which whole numbers are codes, or name the row.
_CODE_WORDS = {"id", "ids", "uid", "uuid", "guid", "code", "codes", "zip", "zipcode", "postcode",
               "postal", "fips", "phone", "sku", "isbn", "ean", "ssn", "iban"}  # fmt: skip
_ROW_WORDS = _CODE_WORDS | {"row", "rownum", "rowname", "rownames", "index", "idx", "key", "number",
                            "no", "nr", "num", "record", "case"}  # fmt: skip
# Texts that are no numbers are a mistake where they are a smaller share than this, of many.
_FEW_BAD, _MANY_NUMBERS = 0.1, 10
_CONSTANT = "one value in all rows"
_UNITS = ("D", "h", "m", "s", "ms", "us")


def infer(table: Table, overrides: Overrides, keep: Sequence[str] = ()) -> list[Declaration]:
    """Return what each column of the table is.

    Parameters
    ----------
    table : Table
    overrides : dict
        What the user says, by column (`made.table.declarations.overrides_of`).
    keep : sequence of str
        Columns that stay though they are different in every row.

    Raises
    ------
    DataError
        If the data is empty, a column cannot be read, or the user's word contradicts it.

    Examples
    --------
    >>> from made.table import as_table
    >>> [column.kind for column in infer(as_table([["a", 1.5], ["b", 2.5], ["c", 0.1]]), {})]
    ['categorical', 'continuous']
    """
    if table.n_columns == 0:
        raise DataError("The data has no columns.")
    if table.n_rows == 0:
        raise DataError("The data has no rows.")
    names = table.column_names
    check_known(overrides, names)
    keep = [keep] if isinstance(keep, str) else keep
    for name in keep:
        if name not in names:
            raise DataError(
                f"keep names the column {name!r} and the data has none.{did_you_mean(name, names)}"
            )
    if table.is_bits and not overrides:
        return [
            Declaration(name, "binary", levels=(0, 1), dtype=table.dtype(d))
            for d, name in enumerate(names)
        ]
    declared = []
    for d, name in enumerate(names):
        said = overrides.get(name, {})
        if said.get("kind") == LEFT_OUT:
            declared.append(Declaration(name, LEFT_OUT, note=BY_SCHEMA))
            continue
        cells = table.cells(d)
        form = said.get("format", "")
        kind = said.get("kind", "datetime" if form else None)
        found = _infer_column(name, cells, kind, name in keep, form)
        declared.append(with_options(found, cells, said))
    if all(column.kind == LEFT_OUT for column in declared):
        raise DataError(
            "No column is left to model: all are left out, as names, ids or row numbers, or by the "
            "schema. Keep some with keep=[...] (--keep)."
        )
    return declared


def _infer_column(name: str, cells: Cells, kind: str | None, keep: bool, form: str) -> Declaration:
    """Return the declaration of one column; ``kind`` and ``form`` are the user's, or None."""
    start = Declaration(name, kind or "", missing=bool(cells.missing.any()), dtype=cells.dtype)
    if kind in ("integer", "continuous"):
        values = number_values(name, cells)
        check_finite(name, values)
        return _numeric(start, values, kind)
    if kind == "datetime":
        return _datetime(start, cells, form or _time_format(name, cells))
    if kind is not None:
        return replace(start, levels=level_list(name, cells))
    if cells.missing.all():
        # A type may list categories that never occur.
        levels = cells.levels if cells.declared else ()
        return replace(start, kind="categorical", levels=levels, note="no cell has a value")
    if cells.form == "boolean":
        return replace(start, kind="binary", levels=(False, True))
    if cells.form == "time":
        return _datetime(start, cells, "")
    if cells.form == "number":
        return _infer_numbers(start, cells, cells.values, keep)
    if cells.are_texts and not cells.declared:
        return _infer_texts(start, cells, keep)
    return _infer_levels(start, cells, keep, "" if cells.declared else "codes")


def _infer_texts(start: Declaration, cells: Cells, keep: bool) -> Declaration:
    is_number = ~np.isnan(cells.level_numbers)
    if is_number.all() and not any_leading_zero(cells.distinct):
        largest = np.abs(cells.level_numbers).max()
        if largest > _CODES_ABOVE and is_whole(cells.level_numbers):
            return _infer_levels(start, cells, keep, "codes")
        return _infer_numbers(start, cells, number_values(start.name, cells), keep)
    form = find_time_format([str(level) for level in cells.levels])
    if form is not None:
        return _datetime(start, cells, form)
    _check_few_bad(start.name, cells, is_number)
    return _infer_levels(start, cells, keep, "")


def _infer_levels(start: Declaration, cells: Cells, keep: bool, note: str) -> Declaration:
    """Return the declaration of a column of texts, categories or codes."""
    what = "text" if cells.are_texts and not note else "number"
    share = _NEARLY_EVERY_TEXT if what == "text" else _NEARLY_EVERY_NUMBER
    n_different, n_rows = int((cells.counts > 0).sum()), int(cells.counts.sum())
    if not keep and n_rows >= _FEW_ROWS and n_different > share * n_rows:
        return _left_out(start, what)
    levels = level_list(start.name, cells)
    kind = "binary" if len(levels) == 2 and not note else "categorical"
    if len(levels) == 1:
        note = _CONSTANT
    return replace(start, kind=kind, levels=levels, note=note)


def _infer_numbers(start: Declaration, cells: Cells, values: np.ndarray, keep: bool) -> Declaration:
    check_finite(start.name, values)
    seen = values[~np.isnan(values)]
    different, counts = np.unique(seen, return_counts=True)
    whole = is_whole(different)
    if len(different) <= 2 and set(different.tolist()) <= {0.0, 1.0}:
        note = "" if len(different) == 2 else _CONSTANT
        return replace(start, kind="binary", levels=(0, 1), note=note)
    few = tuple(int(value) if whole else float(value) for value in different[:2])
    if len(different) == 1:
        return replace(start, kind="categorical", levels=few, note=_CONSTANT)
    if not whole:
        return _numeric(start, values, "continuous")
    if len(different) == 2 and counts.min() > 1:
        return replace(start, kind="binary", levels=few)
    is_different = len(seen) >= _FEW_ROWS and len(different) > _NEARLY_EVERY_NUMBER * len(seen)
    if is_different and not keep:
        rises = len(seen) == len(different) and bool((np.diff(seen) > 0).all())
        is_dense = different[-1] - different[0] < 1.5 * len(seen)
        if rises or is_dense or _words(start.name) & _ROW_WORDS:
            return _left_out(start, "number")
    if np.abs(different).max() > _CODES_ABOVE or _words(start.name) & _CODE_WORDS:
        return replace(
            start, kind="categorical", levels=level_list(start.name, cells), note="codes"
        )
    return _numeric(start, values, "integer")


def _left_out(start: Declaration, what: str) -> Declaration:
    note = f"a {what} that is different in nearly every row"
    return replace(start, kind=LEFT_OUT, note=note)


def _numeric(start: Declaration, values: np.ndarray, kind: str) -> Declaration:
    """Return a column of numbers; zero is a bound where no value lies beyond it."""
    if kind == "integer":
        odd = np.flatnonzero(~np.isnan(values) & (values != np.rint(values)))
        if len(odd):
            raise DataError(
                f"Column {start.name!r} is declared integer and holds {values[odd[0]]:g} at row "
                f"{odd[0]}. Declare it continuous, or round it."
            )
    seen = values[~np.isnan(values)]
    low = 0.0 if len(seen) and seen.min() >= 0 else None
    high = 0.0 if len(seen) and seen.max() <= 0 else None
    if low == high:
        # Zeros alone bound nothing.
        low = high = None
    return replace(start, kind=kind, low=low, high=high)


def _datetime(start: Declaration, cells: Cells, form: str) -> Declaration:
    form = "" if cells.form == "time" else form
    times = time_values(start.name, cells, form)
    seen = times[~np.isnat(times)]
    unit = next(
        (unit for unit in _UNITS if (seen == seen.astype(f"datetime64[{unit}]")).all()), "us"
    )
    note = ""
    day, month = (form.replace("%-", "%").find(part) for part in ("%d", "%m"))
    days = (seen.astype("datetime64[D]") - seen.astype("datetime64[M]")).astype(np.int64) + 1
    if min(day, month) >= 0 and not form.startswith("%Y") and not (days > 12).any():
        note = "read as month, day, year" if month < day else "read as day, month, year"
    return replace(start, kind="datetime", unit=unit, format=form, note=note)


def _time_format(name: str, cells: Cells) -> str:
    """Return how the dates of a column that is declared to hold dates are written."""
    if not cells.are_texts:
        return ""
    texts = [str(level) for level in cells.levels]
    found = find_time_format(texts)
    if found is None and texts:
        raise DataError(
            f"Column {name!r} is declared datetime and its texts are no dates that are known: "
            f'{shown(texts, 3)}. Give their "format", for example "%d.%m.%Y".'
        )
    return found or ""


def _check_few_bad(name: str, cells: Cells, is_number: np.ndarray) -> None:
    """Raise if nearly all different texts are numbers, but not all.

    However often the others stand there: a sign for missing cells may be the most frequent text.
    """
    bad = ~is_number
    if is_number.sum() >= _MANY_NUMBERS and 0 < bad.sum() <= _FEW_BAD * len(bad):
        raise bad_cells(name, cells, bad, "number")


def _words(name: str) -> set[str]:
    """Return the words of a name: census_block, customerID and RowNumber have two each."""
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return {word.lower() for word in re.split(r"[^A-Za-z]+", apart) if word}
