"""Compiled moves between a matrix and its sorted, masked form.

A row of the sorted matrix keeps one run of the numbers of a row of the matrix, and is zero where
the mask cuts. Knows runs; knows nothing of degrees or products. Importing this module is slow
(Numba); compiled code is cached on disk.
"""

from __future__ import annotations

from typing import Any

import numba

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True}


@numba.njit(**_OPTIONS)
def _copy(source, target):
    # Counting from 0 over views lets the compiler move whole vectors: it need not fear
    # negative indices.
    for j in range(len(target)):
        target[j] = source[j]


@numba.njit(**_OPTIONS)
def _clear(target):
    for j in range(len(target)):
        target[j] = 0


@numba.njit(**_OPTIONS)
def gather_runs(matrix, order, places, keep_from, keep_to, clear_from, clear_to, out):
    """Write rows ``order[i]``, columns ``places[j]``, of ``matrix`` to row i, column j of ``out``.

    Row i gets the columns ``keep_from[i] .. keep_to[i] - 1``, and zeros from ``clear_from[i]``
    to ``clear_to[i] - 1``; other columns of ``out`` are left. An empty ``order`` or ``places``
    stands for the rows or columns as they are.
    """
    for i in range(len(out)):
        row = matrix[order[i] if len(order) else i]
        first, last = keep_from[i], keep_to[i]
        target = out[i, first:last]
        if len(places):
            kept = places[first:last]
            for j in range(len(target)):
                target[j] = row[kept[j]]
        else:
            _copy(row[first:last], target)
        _clear(out[i, clear_from[i] : clear_to[i]])


@numba.njit(**_OPTIONS)
def scatter_runs(gradient, order, places, keep_from, keep_to, out):
    """Undo `gather_runs`: what was not kept is zero in ``out``."""
    for i in range(len(gradient)):
        row = out[order[i] if len(order) else i]
        first, last = keep_from[i], keep_to[i]
        source = gradient[i, first:last]
        if len(places):
            _clear(row)
            kept = places[first:last]
            for j in range(len(source)):
                row[kept[j]] = source[j]
        else:
            _clear(row[:first])
            _copy(source, row[first:last])
            _clear(row[last:])


@numba.njit(**_OPTIONS)
def clear_runs(matrix, clear_from, clear_to):
    """Write zeros to the columns ``clear_from[i] .. clear_to[i] - 1`` of every row i."""
    for i in range(len(matrix)):
        _clear(matrix[i, clear_from[i] : clear_to[i]])
