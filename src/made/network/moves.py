"""Compiled moves between a matrix and its sorted, masked form.

A row of the sorted matrix keeps one run of the numbers of a row of the matrix, and is zero where
the mask cuts. Knows runs; knows nothing of degrees or products. Importing this module is slow
(Numba); compiled code is cached on disk.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch

# Below this many numbers, waking a second thread costs more than it saves.
_ONE_THREAD = 100_000
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


def gather_runs(matrix, order, places, keep_from, keep_to, clear_from, clear_to, out):
    """Write rows ``order[i]``, columns ``places[j]``, of ``matrix`` to row i, column j of ``out``.

    Row i gets the columns ``keep_from[i] .. keep_to[i] - 1``, and zeros from ``clear_from[i]``
    to ``clear_to[i] - 1``; other columns of ``out`` are left. An empty ``order`` or ``places``
    stands for the rows or columns as they are.
    """
    arguments = (matrix, order, places, keep_from, keep_to, clear_from, clear_to, out)
    n_threads = _threads(out.size)
    if n_threads == 1:
        _gather(*arguments, 0, 1)
    else:
        _gather_parallel(*arguments, n_threads)


def scatter_runs(gradient, order, places, keep_from, keep_to, out):
    """Undo `gather_runs`: what was not kept is zero in ``out``."""
    arguments = (gradient, order, places, keep_from, keep_to, out)
    n_threads = _threads(out.size)
    if n_threads == 1:
        _scatter(*arguments, 0, 1)
    else:
        _scatter_parallel(*arguments, n_threads)


@numba.njit(**_OPTIONS)
def clear_runs(matrix, clear_from, clear_to):
    """Write zeros to the columns ``clear_from[i] .. clear_to[i] - 1`` of every row i."""
    for i in range(len(matrix)):
        _clear(matrix[i, clear_from[i] : clear_to[i]])


@numba.njit(**_OPTIONS)
def _gather(matrix, order, places, keep_from, keep_to, clear_from, clear_to, out, first, step):
    # Every thread takes each n-th row: the rows grow longer, and halves would be uneven.
    for i in range(first, len(out), step):
        row = matrix[order[i] if len(order) else i]
        begin, end = keep_from[i], keep_to[i]
        target = out[i, begin:end]
        if len(places):
            kept = places[begin:end]
            for j in range(len(target)):
                target[j] = row[kept[j]]
        else:
            _copy(row[begin:end], target)
        _clear(out[i, clear_from[i] : clear_to[i]])


@numba.njit(parallel=True, **_OPTIONS)
def _gather_parallel(
    matrix, order, places, keep_from, keep_to, clear_from, clear_to, out, n_threads
):
    for thread in numba.prange(n_threads):
        first = np.int64(thread)  # Unsigned, it would not mix with other indices.
        _gather(
            matrix, order, places, keep_from, keep_to, clear_from, clear_to, out, first, n_threads
        )


@numba.njit(**_OPTIONS)
def _scatter(gradient, order, places, keep_from, keep_to, out, first, step):
    for i in range(first, len(gradient), step):
        row = out[order[i] if len(order) else i]
        begin, end = keep_from[i], keep_to[i]
        source = gradient[i, begin:end]
        if len(places):
            _clear(row)
            kept = places[begin:end]
            for j in range(len(source)):
                row[kept[j]] = source[j]
        else:
            _clear(row[:begin])
            _copy(source, row[begin:end])
            _clear(row[end:])


@numba.njit(parallel=True, **_OPTIONS)
def _scatter_parallel(gradient, order, places, keep_from, keep_to, out, n_threads):
    for thread in numba.prange(n_threads):
        first = np.int64(thread)
        _scatter(gradient, order, places, keep_from, keep_to, out, first, n_threads)


def _threads(size):
    """Return how many threads move ``size`` numbers: as many as torch has, and numba can."""
    if size < _ONE_THREAD:
        return 1
    n_threads = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    numba.set_num_threads(n_threads)
    return n_threads
