"""One fitted column: its name, its kind, and what that kind needs to know."""

from typing import Any

from made.columns.categorical import CategoricalColumn
from made.columns.column import BinaryColumn, Column, Kind, Level, shown
from made.columns.numeric import ContinuousColumn, DatetimeColumn, IntegerColumn, NumericColumn
from made.errors import DataError

KINDS: dict[str, Any] = {
    column.kind: column
    for column in (BinaryColumn, CategoricalColumn, IntegerColumn, ContinuousColumn, DatetimeColumn)
}


def column_from_json(content: object) -> Column:
    """Return the column that ``content``, from a model file, describes."""
    if not isinstance(content, dict):
        raise DataError(f"Expected a description of a column; got {shown(content)}.")
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise DataError(f"A column has one of the kinds {', '.join(KINDS)}; got {shown(kind)}.")
    return KINDS[kind].from_json(content)


__all__ = [
    "KINDS",
    "BinaryColumn",
    "CategoricalColumn",
    "Column",
    "ContinuousColumn",
    "DatetimeColumn",
    "IntegerColumn",
    "Kind",
    "Level",
    "NumericColumn",
    "column_from_json",
]
