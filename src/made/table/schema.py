"""The schema: the fitted columns of a table, in order, and what the table came as.

Knows columns; knows nothing of files or of how frames are read. Free of torch and pyarrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from made.columns import BinaryColumn, Column, column_from_json
from made.columns.column import check_text
from made.columns.column import shown as cut
from made.errors import DataError, did_you_mean

Container = Literal["numpy", "pandas", "polars", "pyarrow"]


@dataclass(frozen=True)
class Schema:
    """The columns of a table.

    Attributes
    ----------
    columns : tuple of Column
    named : bool
        Whether the names came with the data; an array has none, and gets x0, x1, ...
    container : {"numpy", "pandas", "polars", "pyarrow"}
        What samples are returned in.
    left_out : tuple of (int, str)
        The places and names of columns that the table had and the model has not.
    na : tuple of str
        Texts that mean a missing cell, beside those that always do.
    """

    columns: tuple[Column, ...]
    named: bool
    container: Container
    left_out: tuple[tuple[int, str], ...] = ()
    na: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def n_columns(self) -> int:
        return len(self.columns)

    @property
    def is_binary(self) -> bool:
        """Whether every column has two values and is never missing."""
        return all(isinstance(c, BinaryColumn) and not c.missing for c in self.columns)

    @property
    def is_bits(self) -> bool:
        """Whether every cell is 0 or 1, or a truth value."""
        return self.is_binary and all(set(c.levels) == {0, 1} for c in self._binary)

    @property
    def _binary(self) -> list[BinaryColumn]:
        return [column for column in self.columns if isinstance(column, BinaryColumn)]

    def places_in(self, names: Sequence[str] | None, n_columns: int) -> list[int]:
        """Return where each column stands in a table; columns that were left out may be there.

        Raises
        ------
        DataError
            If columns are missing, or were never seen.
        """
        left_out = [name for _, name in self.left_out]
        if names is None or not self.named:
            if n_columns == self.n_columns:
                return list(range(n_columns))
            if n_columns == self.n_columns + len(left_out):
                places = {place for place, _ in self.left_out}
                return [place for place in range(n_columns) if place not in places]
            raise DataError(
                f"The model has {self.n_columns} columns and the data has {n_columns}. "
                "Pass rows of the same width."
            )
        given, known = set(names), {*self.names, *left_out}
        missing = [name for name in self.names if name not in given]
        added = [name for name in names if name not in known]
        if missing or added:
            parts = [f"missing: {shown(missing)}"] if missing else []
            parts += [f"not in the model: {shown(added)}"] if added else []
            hint = did_you_mean(missing[0], added) if missing else ""
            raise DataError(
                f"The columns do not match the model's ({'; '.join(parts)}).{hint} Rename, add or "
                "drop them."
            )
        place = {name: d for d, name in enumerate(names)}
        return [place[name] for name in self.names]

    def to_json(self) -> dict[str, Any]:
        return {
            "columns": [column.to_json() for column in self.columns],
            "named": self.named,
            "container": self.container,
            "left_out": [list(pair) for pair in self.left_out],
            "na": list(self.na),
        }

    @classmethod
    def from_json(cls, content: object) -> Schema:
        fields = {"columns", "named", "container", "left_out", "na"}
        if not isinstance(content, dict) or set(content) != fields:
            raise DataError(f"A schema has {', '.join(sorted(fields))}.")
        if not isinstance(content["columns"], list) or not content["columns"]:
            raise DataError("A schema needs a list of at least one column.")
        if not isinstance(content["named"], bool):
            raise DataError(f"'named' must be true or false; got {cut(content['named'])}.")
        container: Any = content["container"]
        left_out, na = content["left_out"], content["na"]
        if container not in get_args(Container):
            raise DataError(f"Unknown container {cut(container)}.")
        if not isinstance(left_out, list) or not all(map(_is_place_and_name, left_out)):
            raise DataError("'left_out' must list places and names.")
        if not isinstance(na, list):
            raise DataError(f"'na' must list texts; got {cut(na)}.")
        for text in (*na, *(name for _, name in left_out)):
            check_text("A text of 'na', or the name of a column that is left out,", text)
        columns = tuple(column_from_json(column) for column in content["columns"])
        check_names([column.name for column in columns] + [name for _, name in left_out])
        places = [place for place, _ in left_out]
        if len(set(places)) < len(places) or max(places, default=0) >= len(columns) + len(places):
            raise DataError("The places of 'left_out' must be different, and within the table.")
        return cls(
            columns, content["named"], container, tuple(map(tuple, left_out)), tuple(na)
        )  # fmt: skip


def _is_place_and_name(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and type(pair[0]) is int
        and pair[0] >= 0
        and isinstance(pair[1], str)
    )


def check_names(names: Sequence[str]) -> None:
    """Raise `DataError` if a column name occurs twice."""
    seen: set[str] = set()
    for position, name in enumerate(names):
        if name in seen:
            raise DataError(
                f"The column name {name!r} occurs twice (again at position {position}). "
                "Give every column a name of its own."
            )
        seen.add(name)


def shown(items: Sequence[object], limit: int = 8) -> str:
    """Return ``items`` for a message, cut after ``limit``."""
    text = ", ".join(repr(item) for item in items[:limit])
    return text if len(items) <= limit else f"{text}, ... ({len(items)} in all)"
