"""What the user says of a column against its cells: options, and contradictions.

Knows declarations and cells; infers nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from made.columns import Level
from made.errors import DataError
from made.table.cells import Cells
from made.table.conversions import keys_of, number_values
from made.table.declarations import LEFT_OUT, Declaration, check_applies
from made.table.schema import shown


def with_options(found: Declaration, cells: Cells, said: dict[str, Any]) -> Declaration:
    """Return the declaration with the user's options.

    Raises
    ------
    DataError
        If the cells contradict them.
    OptionError
        If they are for columns of another kind.
    """
    check_applies(found.name, found.kind, said)
    if found.kind == LEFT_OUT:
        return found
    options = {
        name: value for name, value in said.items() if name not in ("kind", "note", "format")
    }
    if "levels" in options:
        options["levels"] = _listed(found, tuple(options["levels"]))
    declared = replace(found, **options)
    if declared.kind == "binary":
        declared = replace(declared, levels=_two_levels(declared))
    if declared.kind == "categorical" and not declared.levels and not declared.missing:
        raise DataError(f"Column {found.name!r} has no value and no missing cell. Leave it out.")
    if not declared.missing and cells.missing.any():
        raise DataError(
            f"The schema says that column {found.name!r} cannot be missing, and it is at row "
            f"{int(np.argmax(cells.missing))}. Set missing to true, or fill the cell."
        )
    if declared.kind in ("integer", "continuous"):
        _check_limits(declared, number_values(found.name, cells))
    return declared


def _two_levels(declared: Declaration) -> tuple[Level, ...]:
    levels = declared.levels
    if len(levels) > 2:
        raise DataError(
            f"Column {declared.name!r} is declared binary and has {len(levels)} values: "
            f"{shown(levels, 4)}. Declare it categorical."
        )
    if len(levels) == 2:
        return levels
    if levels and set(keys_of(levels)) <= {0, 1}:
        return (False, True) if isinstance(levels[0], bool) else (0, 1)
    raise DataError(
        f"Column {declared.name!r} is declared binary and has {len(levels)} value(s): "
        f"{shown(levels)}. Give both under levels, or declare it categorical."
    )


def _check_limits(declared: Declaration, values: np.ndarray) -> None:
    low = -np.inf if declared.low is None else declared.low
    high = np.inf if declared.high is None else declared.high
    if low > high:
        raise DataError(
            f"Column {declared.name!r} has low {low:g} above high {high:g}: one is from the "
            "schema, the other from the data. Give both."
        )
    with np.errstate(invalid="ignore"):
        below, above = values < low, values > high
    if (below | above).any():
        row = int(np.argmax(below | above))
        limit = f"low {low:g}" if below[row] else f"high {high:g}"
        raise DataError(
            f"The schema gives column {declared.name!r} {limit}, and it is {values[row]:g} at row "
            f"{row}. Correct the limit or the cell."
        )


def _listed(found: Declaration, levels: tuple[Level, ...]) -> tuple[Level, ...]:
    """Return the levels of the schema, those of the cells and perhaps more, as the cells say them.

    A file may list the texts "1" and "2" of a column that holds the numbers.
    """
    keys = keys_of(levels)
    if len(set(keys)) != len(levels):
        raise DataError(f"The schema gives column {found.name!r} a level twice: {shown(levels)}.")
    if found.kind == "binary" and len(levels) != 2:
        raise DataError(
            f"The schema gives column {found.name!r}, which is binary, {len(levels)} levels. "
            "Declare it categorical, or give two."
        )
    as_found = dict(zip(keys_of(found.levels), found.levels, strict=True))
    unknown = [level for key, level in as_found.items() if key not in set(keys)]
    if unknown:
        raise DataError(
            f"Column {found.name!r} has values that the schema does not list: {shown(unknown, 4)}. "
            "Add them to its levels."
        )
    listed: list[Any] = [as_found.get(key, level) for key, level in zip(keys, levels, strict=True)]
    if len({isinstance(level, str) for level in listed}) > 1:
        # One sort of them: the levels that the cells lack follow the others.
        if isinstance(found.levels[0], str):
            return tuple(map(str, listed))
        listed = [as_found.get(key, _plain(key)) for key in keys]
        texts = [level for level in listed if isinstance(level, str)]
        if texts:
            raise DataError(
                f"The schema gives column {found.name!r} the levels {shown(texts, 4)}, and its "
                "cells are numbers. Give numbers, or convert the column to texts."
            )
    return tuple(listed)


def _plain(key: object) -> object:
    return int(key) if isinstance(key, float) and key.is_integer() else key
