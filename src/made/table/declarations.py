"""What a column is said to be: by inference, or by the user in a schema file or by keyword.

Knows the options of a declaration and their JSON; knows nothing of cells.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from made.columns import KINDS, Level
from made.columns.categorical import RARE_BELOW
from made.errors import DataError, OptionError, did_you_mean
from made.table.schema import shown

LEFT_OUT = "left out"
BY_SCHEMA = "by the schema"
ALL_KINDS = (*KINDS, LEFT_OUT)
# Levels up to this number are listed in a schema file, where they can be put in order.
_MOST_LISTED = 50


@dataclass(frozen=True)
class Declaration:
    """What one column of a table is.

    Attributes
    ----------
    name : str
    kind : str
        A kind of column, or "left out".
    missing : bool
        Whether cells can be missing.
    levels : tuple of Level
        Of binary and categorical columns.
    low, high : float or None
        The least and the largest number that can be; None for no limit.
    atoms : bool
        Whether numbers that repeat have masses of their own.
    rare_below : int
        Levels seen fewer times share one class.
    format : str
        How dates are written, where they are texts.
    unit : str
        In what dates are counted.
    dtype : str
        What the cells were, in the words of their frame.
    note : str
        Why the column is taken so, where a reader might wonder.
    """

    name: str
    kind: str
    missing: bool = False
    levels: tuple[Level, ...] = ()
    low: float | None = None
    high: float | None = None
    atoms: bool = True
    rare_below: int = RARE_BELOW
    format: str = ""
    unit: str = ""
    dtype: str = ""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what a schema file says of the column, and a user may edit."""
        content: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.kind != LEFT_OUT:
            content["missing"] = self.missing
        if self.kind in ("binary", "categorical") and len(self.levels) <= _MOST_LISTED:
            content["levels"] = list(self.levels)
        if self.kind == "categorical":
            content["rare_below"] = self.rare_below
        if self.kind in ("integer", "continuous"):
            content |= {"low": self.low, "high": self.high, "atoms": self.atoms}
        if self.kind == "datetime" and self.format:
            content["format"] = self.format
        if self.note:
            content["note"] = self.note
        return content


# What a user may say of a column, of what type it is, in words, and for which kinds.
_NUMBERS, _LEVELS = ("integer", "continuous"), ("binary", "categorical")
_OPTIONS: dict[str, tuple[tuple[type, ...], str, tuple[str, ...]]] = {
    "kind": ((str,), "a text", ALL_KINDS),
    "missing": ((bool,), "true or false", tuple(KINDS)),
    "levels": ((list, tuple), "a list of texts or of numbers", _LEVELS),
    "low": ((int, float, type(None)), "a number or null", _NUMBERS),
    "high": ((int, float, type(None)), "a number or null", _NUMBERS),
    "atoms": ((bool,), "true or false", _NUMBERS),
    "rare_below": ((int,), "a whole number from 0", ("categorical",)),
    "format": ((str,), 'a text like "%d.%m.%Y"', ("datetime",)),
    "note": ((str,), "a text", ALL_KINDS),
}
assert set(_OPTIONS) <= {field.name for field in fields(Declaration)}

Overrides = dict[str, dict[str, Any]]


def overrides_of(schema: Any) -> Overrides:
    """Return what the user says of columns: a schema file, or a mapping by name.

    Examples
    --------
    >>> overrides_of({"price": {"kind": "continuous", "low": None}, "zip": "categorical"})
    {'price': {'kind': 'continuous', 'low': None}, 'zip': {'kind': 'categorical'}}

    Raises
    ------
    OptionError
        If the schema is not readable, or says what cannot be.
    """
    if schema is None:
        return {}
    if isinstance(schema, (str, os.PathLike)):
        return _from_file(Path(schema).expanduser())
    if not isinstance(schema, Mapping):
        raise OptionError(
            "schema is a file, or a mapping from columns to kinds or options, like "
            f'{{"price": "continuous"}}; got {type(schema).__name__}.'
        )
    return {
        str(name): _checked(str(name), {"kind": said} if isinstance(said, str) else said)
        for name, said in schema.items()
    }


def _reason(error: BaseException) -> str:
    return "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def _from_file(path: Path) -> Overrides:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise OptionError(f"Cannot read the schema {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise OptionError(
            f"The schema {path} is not JSON ({_reason(error)}). made schema DATA --out writes one "
            "to edit."
        ) from error
    columns = content.get("columns") if isinstance(content, dict) else None
    if not isinstance(columns, list):
        raise OptionError(
            f'The schema {path} has no list "columns". made schema DATA --out writes one to edit.'
        )
    result: Overrides = {}
    for place, column in enumerate(columns):
        if not isinstance(column, dict) or not isinstance(column.get("name"), str):
            raise OptionError(f'Column {place} of the schema {path} has no "name".')
        name = column["name"]
        if name in result:
            raise OptionError(f"The schema {path} names column {name!r} twice.")
        said = {option: value for option, value in column.items() if option != "name"}
        result[name] = _checked(name, said)
    return result


def _checked(name: str, said: object) -> dict[str, Any]:
    """Return the options of one column if they are known and fit each other."""
    if not isinstance(said, Mapping):
        raise OptionError(
            f"The schema says {said!r} of column {name!r}. Give a kind ({', '.join(ALL_KINDS)}) or "
            "a mapping of options."
        )
    options = dict(said)
    for option, value in options.items():
        if option not in _OPTIONS:
            raise OptionError(
                f"The schema gives column {name!r} the option {option!r}."
                f"{did_you_mean(option, _OPTIONS)} Options: {', '.join(_OPTIONS)}."
            )
        types, expected, _ = _OPTIONS[option]
        if not _is_good(value, types) or (option == "rare_below" and value < 0):
            raise OptionError(
                f"In the schema, {option} of column {name!r} is {value!r}; expected {expected}."
            )
    kind = options.get("kind")
    if kind is not None:
        if kind not in ALL_KINDS:
            raise OptionError(
                f"The schema gives column {name!r} the kind {kind!r}."
                f"{did_you_mean(kind, ALL_KINDS)} Kinds: {', '.join(ALL_KINDS)}."
            )
        check_applies(name, kind, options)
    low, high = options.get("low"), options.get("high")
    if low is not None and high is not None and low > high:
        raise OptionError(f"In the schema, low is above high in column {name!r}: {low} > {high}.")
    return options


def _is_good(value: Any, types: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in types
    if isinstance(value, (list, tuple)):
        # Texts and numbers could not be told apart in a file of texts.
        plain = all(isinstance(level, str) for level in value) or all(
            isinstance(level, (int, float)) and math.isfinite(level) for level in value
        )
        return list in types and plain
    return isinstance(value, types) and not (isinstance(value, float) and not math.isfinite(value))


def check_applies(name: str, kind: str, options: Mapping[str, Any]) -> None:
    """Raise `OptionError` if an option is for columns of another kind."""
    for option in options:
        kinds = _OPTIONS[option][2]
        if kind not in kinds:
            raise OptionError(
                f"The schema gives {option} for column {name!r}, which is {kind}: it is for "
                f"{' and '.join(kinds)} columns. Give the kind that you mean, or drop it."
            )


def check_known(overrides: Overrides, names: Sequence[str]) -> None:
    """Raise `DataError` if the schema speaks of a column that the data does not have."""
    for name in overrides:
        if name not in names:
            raise DataError(
                f"The schema has a column {name!r} and the data has not."
                f"{did_you_mean(name, names)} Columns: {shown(names)}."
            )
