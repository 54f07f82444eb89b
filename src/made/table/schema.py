"""The schema: the columns of a table, in order, and the kind of container that it came in.

Knows columns; knows nothing of files or of how frames are read. Free of torch and pyarrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from made.columns import Column
from made.errors import DataError

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
    """

    columns: tuple[Column, ...]
    named: bool
    container: Container

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def n_columns(self) -> int:
        return len(self.columns)

    def to_json(self) -> dict[str, Any]:
        return {
            "columns": [column.to_json() for column in self.columns],
            "named": self.named,
            "container": self.container,
        }

    @classmethod
    def from_json(cls, content: object) -> Schema:
        if not isinstance(content, dict) or set(content) != {"columns", "named", "container"}:
            raise DataError("A schema has columns, named and container.")
        if not isinstance(content["columns"], list) or not content["columns"]:
            raise DataError("A schema needs a list of at least one column.")
        if not isinstance(content["named"], bool):
            raise DataError(f"'named' must be true or false, got {content['named']!r}.")
        if content["container"] not in get_args(Container):
            raise DataError(f"Unknown container {content['container']!r}.")
        columns = tuple(Column.from_json(column) for column in content["columns"])
        check_names([column.name for column in columns])
        return cls(columns, content["named"], content["container"])


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
