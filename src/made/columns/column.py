"""What every fitted column has, and columns of two values: name, dtype, outcomes, codes.

A *value* is one float a cell: what a table's cell becomes, NaN where it is missing. *Codes* are
the few numbers that a network and a conditional family read of it. Knows nothing of files,
frames, networks or the other columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from made.errors import DataError

Kind = Literal["binary", "categorical", "integer", "continuous", "datetime"]
# A level is what stood in the cell: a text, a number or a truth value.
Level = str | int | float | bool

# Bounds on what is read from a model file: levels of one column, and a level that is a number.
MAX_LEVELS = 2**24
LARGEST_LEVEL = 1e300


@dataclass(frozen=True)
class Column(ABC):
    """A column of the table that a model was fitted to.

    Attributes
    ----------
    name : str
    dtype : str
        What the cells were and are given out as, in the words of the frame that they came in
        ("int64", "category", "String", ...); empty for arrays of 0 and 1.
    missing : bool
        Whether a cell can be missing; then it is an outcome, modelled like any other.
    """

    name: str
    dtype: str = ""
    missing: bool = False

    kind: ClassVar[str] = ""

    @property
    @abstractmethod
    def n_codes(self) -> int:
        """Number of codes of one cell."""

    @abstractmethod
    def codes(self, values: np.ndarray, dtype: npt.DTypeLike = np.float32) -> np.ndarray:
        """Return the codes, shape ``(n_rows, n_codes)``, of float64 ``values``, one a row.

        Networks take float32; where mass is packed tightly, its sum needs float64.
        """

    @property
    @abstractmethod
    def outcomes(self) -> np.ndarray | None:
        """All values that a cell can have, missing (NaN) included; None if there is no end."""

    @property
    @abstractmethod
    def measure(self) -> tuple[Any, ...]:
        """What a density over the column is relative to: densities compare only if it agrees."""

    @property
    def known_mass(self) -> float:
        """The probability of a value that was seen in fit, or could have been; 1 for numbers."""
        return 1.0

    def _described(self) -> dict[str, Any]:
        """Return what every column's description begins with."""
        return {
            "name": self.name,
            "kind": self.kind,
            "dtype": self.dtype,
            "missing": self.missing,
        }

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return everything that is known of the column; `from_json` of `columns` reads it."""


@dataclass(frozen=True)
class BinaryColumn(Column):
    """A column of two values.

    Attributes
    ----------
    levels : tuple of two levels
        What 0 and 1 stand for.
    """

    levels: tuple[Level, Level] = (0, 1)

    kind: ClassVar[str] = "binary"

    @property
    def n_codes(self) -> int:
        return 1 + self.missing

    def codes(self, values: np.ndarray, dtype: npt.DTypeLike = np.float32) -> np.ndarray:
        """Return 0 or 1 as it is; where cells can be missing, 2 for those, and a zero."""
        if not self.missing:
            return values.astype(dtype)[:, None]
        result = np.zeros((len(values), 2), dtype=dtype)
        result[:, 0] = np.where(np.isnan(values), self.missing_class, values)
        return result

    # The words of categories, for a column of three outcomes: 0, 1 and missing.
    n_classes: ClassVar[int] = 3
    missing_class: ClassVar[int] = 2
    unseen_mass: ClassVar[float] = 0.0
    is_embedded: ClassVar[bool] = False

    @property
    def class_of(self) -> np.ndarray:
        return np.array([0, 1])

    @property
    def log_shares(self) -> np.ndarray:
        return np.zeros(2)

    @property
    def outcomes(self) -> np.ndarray:
        return np.array([0.0, 1.0, np.nan][: 2 + self.missing])

    @property
    def measure(self) -> tuple[Any, ...]:
        return (self.name, self.kind, self.missing, self.levels)

    def to_json(self) -> dict[str, Any]:
        return self._described() | {"levels": list(self.levels)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> BinaryColumn:
        fields = check_fields(content, {"levels": list})
        levels = check_levels(fields["name"], fields["levels"])
        if len(levels) != 2:
            raise DataError(f"Column {fields['name']!r} is binary and has {len(levels)} levels.")
        return cls(fields["name"], fields["dtype"], fields["missing"], (levels[0], levels[1]))


def check_fields(content: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return ``content`` if it has exactly the fields of a column, of the right types."""
    types = {"name": str, "kind": str, "dtype": str, "missing": bool} | wanted
    if set(content) != set(types):
        raise DataError(
            f"Expected a column with the fields {sorted(types)}; got {sorted(map(str, content))}. "
            "The description is damaged, or was made by another version."
        )
    for name, kind in types.items():
        value = content[name]
        # A truth value is an int to Python, but no number in a description.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise DataError(
                f"Expected {kind.__name__} in the field {name!r} of a column; got {shown(value)}."
            )
    check_text("The name of a column", content["name"])
    check_text(f"The dtype of column {content['name']!r}", content["dtype"])
    return content


def check_text(what: str, text: object) -> None:
    """Raise `DataError` unless ``text`` is text that can be written and printed."""
    if isinstance(text, str):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise DataError(f"{what} is no valid text: {shown(text)}.") from None
    else:
        raise DataError(f"{what} must be text; got {shown(text)}.")


def check_levels(name: str, levels: list[Any]) -> tuple[Level, ...]:
    """Return the levels of column ``name``: all different, and all texts or all numbers."""
    if len(levels) > MAX_LEVELS:
        raise DataError(f"Column {name!r} has {len(levels)} levels; expected at most {MAX_LEVELS}.")
    for level in levels:
        if isinstance(level, str):
            check_text(f"A level of column {name!r}", level)
        elif not isinstance(level, (int, float)) or not abs(level) < LARGEST_LEVEL:
            raise DataError(
                f"Column {name!r} cannot have the level {shown(level)}; expected a text, a truth "
                f"value, or a number within {LARGEST_LEVEL:g}."
            )
    if len({isinstance(level, str) for level in levels}) > 1:
        raise DataError(f"The levels of column {name!r} are texts and numbers; expected one sort.")
    if len(set(levels)) != len(levels):
        raise DataError(f"Column {name!r} has a level twice.")
    return tuple(levels)


def shown(value: object) -> str:
    """Return a value of a description for a message, cut where it is long."""
    try:
        text = ascii(value[:40]) if isinstance(value, (str, list)) else ascii(value)
    except (ValueError, RecursionError):
        # Whole numbers of very many digits, and lists in lists in lists.
        text = f"something too long to show, of type {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}..."
