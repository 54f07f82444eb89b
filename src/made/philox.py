"""Many uniforms at once, compiled: bit for bit those of NumPy's Philox 4x64-10.

Knows the generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) and rows;
knows nothing of seeds. Importing this module is slow (Numba); compiled code is cached on disk.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_WORDS = 4  # A value of the counter yields four words of 64 bits.
_ROUNDS = 10
_MULTIPLIERS = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_SHIFT = np.uint64(11)  # A float holds 53 of the 64 bits.
_UNIT = 2.0**-53
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True}


def _multiply(_context: Any, _first: Any, _second: Any) -> tuple[Any, Any]:
    """Return the type and the code of the upper half of the product of two words."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        first, second = (builder.zext(argument, wide) for argument in arguments)
        product = builder.lshr(builder.mul(first, second), ir.Constant(wide, 64))
        return builder.trunc(product, ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


_high: Any = intrinsic(_multiply)


@numba.njit(**_OPTIONS)
def _block(counter, key):
    """Return the four words of a value of the counter."""
    a, b, c, d = counter, np.uint64(0), np.uint64(0), np.uint64(0)
    first, second = key
    for _ in range(_ROUNDS):
        a, b, c, d = (
            _high(_MULTIPLIERS[1], c) ^ b ^ first,
            _MULTIPLIERS[1] * c,
            _high(_MULTIPLIERS[0], a) ^ d ^ second,
            _MULTIPLIERS[0] * a,
        )
        first += _WEYL[0]
        second += _WEYL[1]
    return a, b, c, d


@numba.njit(**_OPTIONS)
def _float(word):
    return np.float64(np.int64(word >> _SHIFT)) * _UNIT


@numba.njit(**_OPTIONS)
def _fill_row(key, counter, row):
    whole = len(row) // _WORDS * _WORDS
    for first in range(0, whole, _WORDS):
        a, b, c, d = _block(counter, key)
        row[first] = _float(a)
        row[first + 1] = _float(b)
        row[first + 2] = _float(c)
        row[first + 3] = _float(d)
        counter += np.uint64(1)
    if whole < len(row):
        words = _block(counter, key)
        for k in range(len(row) - whole):
            row[whole + k] = _float(words[k])


@numba.njit(parallel=True, **_OPTIONS)
def fill_rows(key, first_row, rows):
    """Fill ``rows``, the first of which has number ``first_row``, each from a run of its own."""
    n_blocks = np.uint64((rows.shape[1] + _WORDS - 1) // _WORDS)
    for r in numba.prange(len(rows)):
        # NumPy counts up before it draws: the first block of all has number 1.
        counter = np.uint64(first_row + np.uint64(r)) * n_blocks + np.uint64(1)
        _fill_row(key, counter, rows[r])
