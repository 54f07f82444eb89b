"""The compiled kernel that draws rows of binary columns, every hidden unit computed once.

Works on tiles of rows; within a tile, a unit's values of all rows lie side by side in memory.
Far and mid products are BLAS calls, the steps of a run are loops. Knows a `Plan` and uniforms;
knows nothing of torch. Importing this module is slow (Numba); compiled code is cached on disk.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from made.network.layers import NORM_EPSILON

_EPSILON = np.float32(NORM_EPSILON)
_INVERSE_SQRT_2 = np.float32(1 / math.sqrt(2))
# Tables are turned a few rows at a time, so that both sides stay in the nearest cache.
_ROWS_TOGETHER = 16
_HALF, _ZERO, _ONE = np.float32(0.5), np.float32(0), np.float32(1)
# Products may be contracted to fused multiply-adds; nothing else is reordered.
_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "fastmath": {"contract"},
    "error_model": "numpy",
}


@numba.njit(inline="always", **_OPTIONS)
def _activate(x, code):
    if code == 0:
        return x if x > _ZERO else _ZERO
    if code == 1:
        return x if x > _ZERO else np.float32(math.expm1(x))
    if code == 2:
        return _HALF * x * (_ONE + np.float32(math.erf(x * _INVERSE_SQRT_2)))
    if code == 3:
        return np.float32(math.tanh(x))
    # Beyond 20 the softplus is its argument, to the last bit of a float.
    return x if x > np.float32(20) else np.float32(math.log1p(math.exp(x)))


@numba.njit(**_OPTIONS)
def _add_product(weights, offset, n_rows, inputs, scratch, products):
    """Add ``W @ inputs`` to ``products``, W being a piece of ``weights``."""
    n_columns = len(inputs)
    if n_rows == 0 or n_columns == 0:
        return
    weight = weights[offset : offset + n_rows * n_columns].reshape((n_rows, n_columns))
    np.dot(weight, inputs, scratch[:n_rows])
    for i in range(n_rows):
        for r in range(products.shape[1]):
            products[i, r] += scratch[i, r]


@numba.njit(**_OPTIONS)
def _finish_units(plan, layer, first, last, products, activations, squares):
    """Turn the products of units ``first .. last - 1``, all of one degree, into activations."""
    base = plan.target_base[layer]
    n_lanes = products.shape[1]
    if plan.residual and layer > 0:
        before = plan.target_base[layer - 1]
        for u in range(first, last):
            for r in range(n_lanes):
                products[base + u, r] += products[before + u, r]
    if len(plan.gains) == 0:
        for u in range(first, last):
            for r in range(n_lanes):
                activations[plan.n_inputs + base + u, r] = _activate(
                    products[base + u, r], plan.activation
                )
        return
    for u in range(first, last):
        for r in range(n_lanes):
            squares[layer, r] += products[base + u, r] * products[base + u, r]
    for u in range(first, last):
        gain = plan.gains[base + u]
        for r in range(n_lanes):
            mean = squares[layer, r] / np.float32(last)
            normed = products[base + u, r] * (_ONE / np.float32(math.sqrt(mean + _EPSILON))) * gain
            activations[plan.n_inputs + base + u, r] = _activate(normed, plan.activation)


@numba.njit(**_OPTIONS)
def _add_near(plan, run, start, stop, step, matrix, products, activations):
    """Add to the products of a step what comes from its own run, and return their range."""
    left = plan.source_begin[matrix, start]
    right = plan.source_limit[matrix, step]
    width = plan.source_limit[matrix, stop - 1] - left
    top = plan.target_begin[matrix, start]
    first, last = plan.target_begin[matrix, step], plan.target_begin[matrix, step + 1]
    base, source = plan.target_base[matrix], plan.source_base[matrix]
    for u in range(first, last):
        offset = plan.near_offsets[run, matrix] + (u - top) * width
        for k in range(left, right):
            weight = plan.near[offset + k - left]
            for r in range(products.shape[1]):
                products[base + u, r] += weight * activations[source + k, r]
    return first, last


@numba.njit(**_OPTIONS)
def _take_known(plan, known, products, activations, squares, scratch):
    """Compute all units that known columns at the front decide: one product a layer."""
    for t in range(plan.n_known):
        for r in range(len(known)):
            activations[t, r] = known[r, t]
    for layer in range(plan.n_hidden):
        n_units = plan.target_begin[layer, plan.n_known]
        if n_units == 0:
            continue
        source, base = plan.source_base[layer], plan.target_base[layer]
        n_seen = plan.source_limit[layer, plan.n_known - 1]
        _add_product(
            plan.known,
            plan.known_offsets[layer],
            n_units,
            activations[source : source + n_seen],
            scratch,
            products[base : base + n_units],
        )
        for t in range(plan.n_known):
            first, last = plan.target_begin[layer, t], plan.target_begin[layer, t + 1]
            _finish_units(plan, layer, first, last, products, activations, squares)


@numba.njit(**_OPTIONS)
def _exponentials(logits, powers, scales, bits):
    """Write exp(logits) to ``powers``, to about 1e-7; infinity beyond the range of floats.

    The library's exponential takes one number at a time; this one compiles to vector code.
    exp(x) = 2^n 2^f with n whole and f in [-1/2, 1/2]; 2^n is written as the bits of a float
    (``bits`` and ``scales`` are one piece of memory), 2^f is its series.
    """
    for r in range(len(logits)):
        y = min(max(logits[r] * np.float32(1.4426950408889634), np.float32(-127)), np.float32(128))
        n = np.floor(y + _HALF)
        f = y - n
        p = np.float32(1.5403530e-4)
        p = p * f + np.float32(1.3333558e-3)
        p = p * f + np.float32(9.6181291e-3)
        p = p * f + np.float32(5.5504109e-2)
        p = p * f + np.float32(2.4022651e-1)
        p = p * f + np.float32(6.9314718e-1)
        powers[r] = p * f + _ONE
        bits[r] = (np.int32(n) + np.int32(127)) << np.int32(23)
    for r in range(len(logits)):
        powers[r] *= scales[r]


@numba.njit(**_OPTIONS)
def _take_odds(plan, uniforms, odds):
    """Write (1 - u) / u of every uniform, step by step and all rows of a step side by side."""
    for first in range(0, len(uniforms), _ROWS_TOGETHER):
        last = min(first + _ROWS_TOGETHER, len(uniforms))
        for step in range(plan.n_known, len(plan.order)):
            column = plan.order[step]
            for r in range(first, last):
                uniform = uniforms[r, column]
                odds[step, r] = np.float32((1 - uniform) / uniform)


@numba.njit(**_OPTIONS)
def _write_rows(plan, activations, result):
    for first in range(0, len(result), _ROWS_TOGETHER):
        last = min(first + _ROWS_TOGETHER, len(result))
        for step in range(len(plan.order)):
            column = plan.order[step]
            for r in range(first, last):
                result[r, column] = activations[step, r]


@numba.njit(**_OPTIONS)
def _draw_tile(plan, uniforms, known, result, n_lanes):
    n_matrices = len(plan.source_base)
    n_sources = plan.n_inputs + plan.target_base[n_matrices - 1]
    activations = np.zeros((n_sources, n_lanes), dtype=np.float32)
    products = np.empty((plan.n_products, n_lanes), dtype=np.float32)
    scratch = np.empty((plan.n_products, n_lanes), dtype=np.float32)
    squares = np.zeros((plan.n_hidden, n_lanes), dtype=np.float32)
    odds = np.ones((len(plan.order), n_lanes), dtype=np.float32)
    powers = np.empty(n_lanes, dtype=np.float32)
    bits = np.empty(n_lanes, dtype=np.int32)
    scales = bits.view(np.float32)
    outputs = plan.target_base[n_matrices - 1]
    _take_odds(plan, uniforms, odds)
    for i in range(plan.n_products):
        products[i, :] = plan.shift[i]
    if plan.n_known:
        _take_known(plan, known, products, activations, squares, scratch)
    run = 0
    for block in range(len(plan.block_edges) - 1):
        block_start, block_stop = plan.block_edges[block], plan.block_edges[block + 1]
        for q in range(n_matrices):
            first, last = plan.target_begin[q, block_start], plan.target_begin[q, block_stop]
            source, base = plan.source_base[q], plan.target_base[q]
            _add_product(
                plan.far,
                plan.far_offsets[block, q],
                last - first,
                activations[source : source + plan.source_begin[q, block_start]],
                scratch,
                products[base + first : base + last],
            )
        while run < len(plan.run_edges) - 1 and plan.run_edges[run] < block_stop:
            start, stop = plan.run_edges[run], plan.run_edges[run + 1]
            for q in range(n_matrices):
                first, last = plan.target_begin[q, start], plan.target_begin[q, stop]
                source, base = plan.source_base[q], plan.target_base[q]
                _add_product(
                    plan.mid,
                    plan.mid_offsets[run, q],
                    last - first,
                    activations[
                        source + plan.source_begin[q, block_start] : source
                        + plan.source_begin[q, start]
                    ],
                    scratch,
                    products[base + first : base + last],
                )
            for step in range(start, stop):
                for q in range(n_matrices):
                    first, last = _add_near(plan, run, start, stop, step, q, products, activations)
                    if q < plan.n_hidden:
                        _finish_units(plan, q, first, last, products, activations, squares)
                # The inverse cdf: 1 where u >= 1 / (1 + exp(logit)), that is where the odds
                # exp(logit) reach (1 - u) / u.
                _exponentials(products[outputs + step], powers, scales, bits)
                for r in range(n_lanes):
                    activations[step, r] = _ONE if powers[r] >= odds[step, r] else _ZERO
            run += 1
    _write_rows(plan, activations, result)


@numba.njit(**_OPTIONS)
def draw_serial(plan, uniforms, known, result, n_lanes):
    """Draw ``len(result)`` rows, tile after tile."""
    for first in range(0, len(result), n_lanes):
        last = min(first + n_lanes, len(result))
        _draw_tile(plan, uniforms[first:last], known[first:last], result[first:last], n_lanes)


@numba.njit(parallel=True, **_OPTIONS)
def draw_parallel(plan, uniforms, known, result, n_lanes):
    """Draw ``len(result)`` rows, several tiles at a time."""
    n_tiles = (len(result) + n_lanes - 1) // n_lanes
    for tile in numba.prange(n_tiles):
        first = tile * n_lanes
        last = min(first + n_lanes, len(result))
        _draw_tile(plan, uniforms[first:last], known[first:last], result[first:last], n_lanes)
