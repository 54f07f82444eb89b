"""Names of column types, in the words of a frame -> types of pyarrow, and the numbers they hold.

Knows texts that describe types, some of them from a model file that nobody vouches for; knows
nothing of columns or cells.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow

_PLAIN = {"null", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "halffloat", "float", "double", "string", "large_string", "string_view"}  # fmt: skip
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=([\w/+:-]+))?\]")
_DATE = re.compile(r"(date32|date64)\[\w+\]")
_DECIMAL = re.compile(
    r"(?:decimal(32|64|128|256)\(|Decimal\(precision=)(\d+), (?:scale=)?(-?\d+)\)"
)
_DICTIONARY = re.compile(r"dictionary<values=(\w+), indices=(u?int\d+), ordered=([01])>")
_FLOATS = {"float16": np.float16, "halffloat": np.float16, "float32": np.float32,
           "float": np.float32}  # fmt: skip


def arrow_type(text: str) -> pyarrow.DataType | None:
    """Return the pyarrow type that ``text`` describes, None if it is none that is known.

    Examples
    --------
    >>> arrow_type("timestamp[us, tz=UTC]"), arrow_type("list<item: int64>")
    (TimestampType(timestamp[us, tz=UTC]), None)
    """
    import pyarrow

    if text in _PLAIN:
        return pyarrow.type_for_alias(text)
    if found := _TIMESTAMP.fullmatch(text):
        return pyarrow.timestamp(found.group(1), found.group(2))
    if found := _DATE.fullmatch(text):
        return pyarrow.type_for_alias(found.group(1))
    if found := _DICTIONARY.fullmatch(text):
        if found.group(1) not in _PLAIN or found.group(2) not in _PLAIN:
            return None
        values, indices = map(pyarrow.type_for_alias, found.groups()[:2])
        return pyarrow.dictionary(indices, values, found.group(3) == "1")
    if found := _DECIMAL.fullmatch(text):
        bits, precision, scale = found.group(1) or "128", *map(int, found.groups()[1:])
        try:
            return getattr(pyarrow, f"decimal{bits}")(precision, scale)
        except ValueError:
            return None
    return None


def largest_of(text: str) -> float:
    """Return the largest number that a type of fractions holds; infinity where it is float64's.

    Examples
    --------
    >>> largest_of("decimal128(4, 2)"), largest_of("Float32") > 3e38, largest_of("int8")
    (99.99, True, inf)
    """
    name = text.removesuffix("[pyarrow]")
    if name.lower() in _FLOATS:
        return float(np.finfo(_FLOATS[name.lower()]).max)
    found = _DECIMAL.fullmatch(name)
    if not found:
        return np.inf
    precision, scale = int(found.group(2)), int(found.group(3))
    if not 0 < precision <= 76 or abs(scale) > 76:
        return np.inf
    # Digits that float64 does not have would round up to one more.
    largest = float(10**precision - 1) / 10.0**scale
    return largest if precision <= 15 else float(np.nextafter(largest * (1 - 1e-15), 0))
