"""Events: trees of conditions on columns, true or false of every row; regions and boxes.

    P(not A) = 1 - P(A) holds: `not` and `!=` are true of a missing cell, comparisons are not.

Knows columns and regions; knows nothing of text (`expression` reads it) or of models.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from made.columns import BinaryColumn, CategoricalColumn, Column, DatetimeColumn, NumericColumn
from made.conditionals.region import Interval, Region
from made.errors import DataError, QuestionError, did_you_mean
from made.queries import expression
from made.queries.expression import Comparison, Connection, IsMissing, Membership, Negation
from made.table import Schema, value_of
from made.table.schema import shown


@dataclass(frozen=True)
class Within:
    """A column's value lies in a region."""

    column: int
    region: Region


@dataclass(frozen=True)
class Complement:
    """What holds where its part does not."""

    part: Event


@dataclass(frozen=True)
class Conjunction:
    """What holds where all parts do."""

    parts: tuple[Event, ...]


@dataclass(frozen=True)
class Disjunction:
    """What holds where any part does."""

    parts: tuple[Event, ...]


# True is the sure event, False the impossible one.
Event = Within | Complement | Conjunction | Disjunction | bool

# Disjoint boxes that a question is cut into, at most.
MOST_BOXES = 64
# The microseconds in a unit of time.
_MICROSECONDS = {
    "D": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000,
    "us": 1, "ns": 1e-3,
}  # fmt: skip

# The region of each column that an event restricts; others are free.
Box = dict[int, Region]


def event_of(text: str, schema: Schema) -> Event:
    """Return the event that ``text`` describes, over the columns of ``schema``.

    Raises
    ------
    QuestionError
        If it is malformed, or names a column or a level that the model does not know.
    """
    return _Binding(text, schema).bind(expression.parse(text))


def event_of_cells(cells: Mapping[str, Any], schema: Schema) -> Event:
    """Return the event that columns have the values ``cells``; None and NaN are missing."""
    parts = []
    for name, cell in cells.items():
        column = place_of(name, schema)
        try:
            value = value_of(schema.columns[column], cell)
        except DataError as error:
            # Evidence is about what is known.
            message = str(error).replace(' Refit, or pass unseen="rare".', "")
            raise QuestionError(message) from error
        parts.append(Within(column, region_of_value(value)))
    return Conjunction(tuple(parts)) if parts else True


def region_of_value(value: float) -> Region:
    """Return the region of one value; NaN is missing."""
    return Region((), missing=True) if np.isnan(value) else Region.of_values([value])


def place_of(name: object, schema: Schema) -> int:
    """Return the place of a column among those of the model, or raise `QuestionError`."""
    if name in schema.names:
        return schema.names.index(str(name))
    if name in [left_out for _, left_out in schema.left_out]:
        raise QuestionError(
            f"Column {name!r} was left out of the model, so nothing is known of it. Fit again with "
            f"keep=[{name!r}] (--keep)."
        )
    raise QuestionError(
        f"There is no column {name!r}.{did_you_mean(name, schema.names)} Columns: "
        f"{shown(schema.names)}."
    )


class _Binding:
    """Turns the names and literals of one text into columns and regions."""

    def __init__(self, text: str, schema: Schema) -> None:
        self._text = text
        self._schema = schema

    def bind(self, node: expression.Node) -> Event:
        if isinstance(node, Negation):
            return Complement(self.bind(node.part))
        if isinstance(node, Connection):
            parts = tuple(self.bind(part) for part in node.parts)
            return Conjunction(parts) if node.word == "and" else Disjunction(parts)
        try:
            column = place_of(node.column, self._schema)
        except QuestionError as error:
            raise expression.error_at(self._text, node.position, str(error)) from None
        return Within(column, self._region(self._schema.columns[column], node))

    def _region(self, column: Column, node: expression.Node) -> Region:
        if isinstance(node, IsMissing):
            return Region((), missing=True)
        if isinstance(node, Membership):
            literals = zip(node.values, node.value_positions, strict=True)
            return Region.of_values([self._value(column, *literal) for literal in literals])
        assert isinstance(node, Comparison)
        if node.operator in ("==", "!="):
            value = self._value(column, node.value, node.value_position)
            equal = Region.of_values([value])
            return equal if node.operator == "==" else equal.complement()
        if isinstance(column, NumericColumn):
            return _beyond(node.operator, self._value(column, node.value, node.value_position))
        assert isinstance(column, (BinaryColumn, CategoricalColumn))
        levels: Sequence[Any] = column.levels
        if any(isinstance(level, str) for level in levels) or isinstance(node.value, str):
            raise expression.error_at(
                self._text,
                node.position,
                f"The levels of column {column.name!r} have no order: {shown(levels, 6)}. "
                "Use == or in.",
            )
        limits = _beyond(node.operator, float(node.value))
        inside = limits.contains(torch.tensor([float(level) for level in levels])).numpy()
        return _of_places(np.flatnonzero(inside))

    def _value(self, column: Column, literal: expression.Literal, position: int) -> float:
        """Return the value of a literal in a column."""
        if isinstance(column, NumericColumn) and not isinstance(column, DatetimeColumn):
            if isinstance(literal, (str, bool)):
                raise expression.error_at(
                    self._text, position, f"Column {column.name!r} holds numbers, and this is none."
                )
            return float(literal)
        # A date in an event may be written in any known form, and finer than the column is.
        is_time = isinstance(column, DatetimeColumn)
        free = replace(column, format="", unit="us") if is_time else column
        try:
            value = value_of(free, literal)
            value /= _MICROSECONDS[column.unit] if is_time else 1
        except DataError as error:
            message = str(error)
            if isinstance(column, DatetimeColumn):
                message = (
                    f"Column {column.name!r} holds times, and {literal!r} is none. Write it like "
                    "'2014-12-31' or '2014-12-31 23:59'."
                )
            if isinstance(column, (BinaryColumn, CategoricalColumn)):
                known = [str(level) for level in column.levels]
                message = (
                    f"Column {column.name!r} has no level {literal!r}."
                    f"{did_you_mean(literal, known)} Known: {shown(column.levels, 8)}."
                )
            raise expression.error_at(self._text, position, message) from None
        if math.isnan(value):
            raise expression.error_at(
                self._text,
                position,
                f"{literal!r} means a missing cell; write `{column.name} is missing`.",
            )
        return value


def _of_places(places: np.ndarray) -> Region:
    """Return the region of whole numbers, neighbours as one interval: levels can be many."""
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if len(places) else []
    return Region(tuple(Interval(float(run[0]), float(run[-1])) for run in runs))


def _beyond(operator: str, value: float) -> Region:
    if operator in ("<", "<="):
        return Region((Interval(-math.inf, value, True, operator == "<="),))
    return Region((Interval(value, math.inf, operator == ">=", True),))


def named(event: Event, columns: Sequence[Column]) -> str:
    """Return the columns that an event is about, for a message."""
    names = [repr(columns[column].name) for column in columns_of(event)]
    return f"column {names[0]}" if len(names) == 1 else f"the columns {', '.join(names)}"


def no_mass(event: Event, columns: Sequence[Column]) -> QuestionError:
    """Return the error for evidence of probability zero."""
    return QuestionError(
        f"The evidence about {named(event, columns)} has probability zero under the model, so "
        "nothing can be said given it."
    )


def leaves(event: Event) -> Iterator[Within]:
    """Return the conditions on single columns that an event is made of, as they are written."""
    if isinstance(event, Within):
        yield event
    elif isinstance(event, Complement):
        yield from leaves(event.part)
    elif isinstance(event, (Conjunction, Disjunction)):
        for part in event.parts:
            yield from leaves(part)


def values_of_event(event: Event) -> dict[int, float] | None:
    """Return the value of each column if the event leaves one to every column that it names.

    Examples
    --------
    >>> values_of_event(Within(2, Region.of_values([1.0])))
    {2: 1.0}
    """
    boxes = boxes_of(event, 1)
    if boxes is None or len(boxes) != 1:
        return None
    known: dict[int, float] = {}
    for column, region in boxes[0].items():
        if region.missing and not region.intervals:
            known[column] = math.nan
        elif not region.missing and len(region.intervals) == 1 and region.intervals[0].is_point:
            known[column] = region.intervals[0].low
        else:
            return None
    return known


def columns_of(event: Event) -> list[int]:
    """Return the columns that an event is about, in the order in which they are named."""
    return list(dict.fromkeys(leaf.column for leaf in leaves(event)))


def holds(event: Event, values: np.ndarray) -> np.ndarray:
    """Return of which rows the event is true, shape ``(n_rows,)``."""
    if isinstance(event, bool):
        return np.full(len(values), event)
    if isinstance(event, Within):
        cells = torch.as_tensor(np.asarray(values[:, event.column], dtype=np.float64))
        return event.region.contains(cells).numpy()
    if isinstance(event, Complement):
        return ~holds(event.part, values)
    together = np.stack([holds(part, values) for part in event.parts])
    together_all = isinstance(event, Conjunction)
    return np.asarray(together.all(axis=0) if together_all else together.any(axis=0))


def boxes_of(event: Event, most: int) -> list[Box] | None:
    """Return disjoint boxes whose union is the event, or None if there are more than ``most``.

    Column by column: its outcomes are split where a condition of the event begins or ends, and
    parts after which the same remains to be decided are one.

    Examples
    --------
    >>> low, high = (Region((Interval(0, 1),)), Region((Interval(2, 3),)))
    >>> boxes = boxes_of(Disjunction((Within(0, low), Within(1, high))), 10)
    >>> [sorted(box) for box in boxes]
    [[0], [0, 1]]
    """
    found: list[Box] = []
    # A conjunction of a few thousand columns must not exhaust the stack.
    simple = _simplified(event)
    waiting: list[tuple[Event, Box]] = [] if simple is False else [(simple, {})]
    while waiting:
        remaining, fixed = waiting.pop()
        if remaining is True:
            found.append(fixed)
        else:
            column = next(leaves(remaining)).column
            parts: dict[Event, Region] = {}
            for cell in _cells(remaining, column):
                after = _decided(remaining, column, cell)
                if after is not False:
                    parts[after] = parts[after] | cell if after in parts else cell
            waiting += [
                (after, fixed | {column: region}) for after, region in reversed(parts.items())
            ]
        if len(found) + len(waiting) > most:
            return None
    return found


def _cells(event: Event, column: int) -> list[Region]:
    """Return the parts of a column's outcomes within which every condition is true or false."""
    cells = [Region.everything()]
    for leaf in leaves(event):
        if leaf.column == column:
            outside = leaf.region.complement()
            cells = [part for cell in cells for part in (cell & leaf.region, cell & outside)]
            cells = [cell for cell in cells if not cell.is_empty]
    return cells


def _decided(event: Event, column: int, cell: Region) -> Event:
    """Return what remains of an event when a column's value lies in one of its cells."""
    if isinstance(event, Within):
        if event.column != column:
            return event
        return not (cell & event.region).is_empty
    if isinstance(event, Complement):
        part = _decided(event.part, column, cell)
        return (not part) if isinstance(part, bool) else Complement(part)
    if isinstance(event, bool):
        return event
    return _joined(event, [_decided(part, column, cell) for part in event.parts])


def _simplified(event: Event) -> Event:
    if isinstance(event, Complement):
        part = _simplified(event.part)
        return (not part) if isinstance(part, bool) else Complement(part)
    if isinstance(event, (Conjunction, Disjunction)):
        return _joined(event, [_simplified(part) for part in event.parts])
    return event


def _joined(event: Conjunction | Disjunction, parts: list[Event]) -> Event:
    deciding = isinstance(event, Disjunction)
    if any(part is deciding for part in parts):
        return deciding
    left = tuple(part for part in parts if not isinstance(part, bool))
    if len(left) < 2:
        return left[0] if left else not deciding
    return Conjunction(left) if isinstance(event, Conjunction) else Disjunction(left)
