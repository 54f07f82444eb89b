"""Texts -> numbers.

Knows how people write numbers; knows nothing of columns. Dates are `dates`' business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_LEADING_ZERO = r"^[+-]?0[0-9]"


def numbers_of(texts: Sequence[str] | pyarrow.Array) -> np.ndarray:
    """Return the numbers that texts are, float64; NaN for a text that is none.

    Examples
    --------
    >>> numbers_of(["1", " 2.5", "1e3", "x", "inf"]).tolist()
    [1.0, 2.5, 1000.0, nan, nan]
    """
    import pyarrow

    compute = arrow_compute()
    stripped = compute.utf8_trim_whitespace(as_texts(texts))
    is_number = compute.match_substring_regex(stripped, _NUMBER)
    numbers = compute.if_else(is_number, stripped, pyarrow.scalar(None, stripped.type))
    numbers = compute.utf8_ltrim(numbers, "+").cast(pyarrow.float64())
    # Zero has no sign.
    return numbers.to_numpy(zero_copy_only=False) + 0.0


def has_leading_zero(text: str) -> bool:
    """Return whether a text is a number that would lose zeros: 007, a postcode 01069.

    Examples
    --------
    >>> has_leading_zero("01069"), has_leading_zero("0.5")
    (True, False)
    """
    return re.match(_LEADING_ZERO, text.strip()) is not None


def any_leading_zero(texts: Sequence[str] | pyarrow.Array) -> bool:
    """Return whether any of the texts `has_leading_zero`."""
    compute = arrow_compute()
    stripped = compute.utf8_trim_whitespace(as_texts(texts))
    return bool(compute.any(compute.match_substring_regex(stripped, _LEADING_ZERO)).as_py())


def as_texts(texts: Any) -> Any:
    """Return texts as a pyarrow array of them."""
    import pyarrow

    kind = pyarrow.large_string()
    return texts.cast(kind) if isinstance(texts, pyarrow.Array) else pyarrow.array(texts, kind)


def arrow_compute() -> Any:
    """Return `pyarrow.compute`, whose functions are made when run: no type checker sees them."""
    return import_module("pyarrow.compute")
