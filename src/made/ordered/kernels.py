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
def _activate(values, activations, offset, first, last, code):
    """Write the activations of units ``first .. last - 1``; the choice stands outside of loops."""
    n_lanes = values.shape[1]
    if code == 0:
        for u in range(first, last):
            for r in range(n_lanes):
                activations[offset + u, r] = max(values[u, r], _ZERO)
    elif code == 1:
        for u in range(first, last):
            for r in range(n_lanes):
                x = values[u, r]
                activations[offset + u, r] = x if x > _ZERO else np.float32(math.expm1(x))
    elif code == 2:
        for u in range(first, last):
            for r in range(n_lanes):
                x = values[u, r]
                normal = _HALF * (_ONE + np.float32(math.erf(x * _INVERSE_SQRT_2)))
                activations[offset + u, r] = x * normal
    elif code == 3:
        for u in range(first, last):
            for r in range(n_lanes):
                activations[offset + u, r] = np.float32(math.tanh(values[u, r]))
    else:
        # Beyond 20 the softplus is its argument, to the last bit of a float.
        for u in range(first, last):
            for r in range(n_lanes):
                x = values[u, r]
                y = x if x > np.float32(20) else np.float32(math.log1p(math.exp(x)))
                activations[offset + u, r] = y


@numba.njit(**_OPTIONS)
def _set_product(weights, offset, inputs, products):
    """Write ``W @ inputs`` to ``products``, W being a piece of ``weights``."""
    n_rows, n_columns = len(products), len(inputs)
    if n_rows == 0:
        return
    if n_columns == 0:
        products[:] = _ZERO
        return
    weight = weights[offset : offset + n_rows * n_columns].reshape((n_rows, n_columns))
    np.dot(weight, inputs, products)


@numba.njit(**_OPTIONS)
def _add_product(weights, offset, inputs, scratch, products):
    """Add ``W @ inputs`` to ``products``, W being a piece of ``weights``."""
    n_rows = len(products)
    if n_rows == 0 or len(inputs) == 0:
        return
    _set_product(weights, offset, inputs, scratch[:n_rows])
    for i in range(n_rows):
        for r in range(products.shape[1]):
            products[i, r] += scratch[i, r]


@numba.njit(**_OPTIONS)
def _finish_units(units, place, shift, gains, activation, products, activations, squares):
    """Turn products into activations.

    ``units`` are first and end among the products, of one degree. Of ``place`` the first is how
    much later activations stand than products, the second how much earlier the layer before does,
    or 0 where it is not added; the third is the number of units of the layer up to here.
    """
    first, last = units
    to_activations, to_before, n_seen = place
    n_lanes = products.shape[1]
    for u in range(first, last):
        for r in range(n_lanes):
            products[u, r] += shift[u]
    if to_before > 0:
        for u in range(first, last):
            for r in range(n_lanes):
                products[u, r] += products[u - to_before, r]
    if len(gains) == 0:
        _activate(products, activations, to_activations, first, last, activation)
        return
    for u in range(first, last):
        for r in range(n_lanes):
            squares[r] += products[u, r] * products[u, r]
    for u in range(first, last):
        for r in range(n_lanes):
            mean = squares[r] / np.float32(n_seen)
            scale = _ONE / np.float32(math.sqrt(mean + _EPSILON))
            activations[to_activations + u, r] = products[u, r] * scale * gains[u]
    first, last = first + to_activations, last + to_activations
    _activate(activations, activations, 0, first, last, activation)


@numba.njit(**_OPTIONS)
def _add_near(weights, offset, width, units, sources, products, activations):
    """Add to the products of ``units`` what comes from the ``sources`` in their own run."""
    first, last = units
    left, right = sources
    for u in range(first, last):
        for k in range(left, right):
            weight = weights[offset + k - left]
            for r in range(products.shape[1]):
                products[u, r] += weight * activations[k, r]
        offset += width


@numba.njit(**_OPTIONS)
def _to_before(plan, layer):
    """Return how much earlier the layer stands whose products are added to this one's, or 0."""
    if plan.residual and layer > 0:
        return plan.target_base[layer] - plan.target_base[layer - 1]
    return 0


@numba.njit(**_OPTIONS)
def _take_known(plan, known, products, activations, squares):
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
        _set_product(
            plan.known,
            plan.known_offsets[layer],
            activations[source : source + n_seen],
            products[base : base + n_units],
        )
        for t in range(plan.n_known):
            first, last = plan.target_begin[layer, t], plan.target_begin[layer, t + 1]
            _finish_units(
                (base + first, base + last),
                (plan.n_inputs, _to_before(plan, layer), last),
                plan.shift,
                plan.gains,
                plan.activation,
                products,
                activations,
                squares[layer],
            )


@numba.njit(**_OPTIONS)
def _exponentials(products, shift, powers, scales, bits):
    """Write exp(products + shift) to ``powers``, to about 1e-7; infinity beyond floats.

    The library's exponential takes one number at a time; this one compiles to vector code.
    exp(x) = 2^n 2^f with n whole and f in [-1/2, 1/2]; 2^n is written as the bits of a float
    (``bits`` and ``scales`` are one piece of memory), 2^f is its series.
    """
    for r in range(len(products)):
        x = (products[r] + shift) * np.float32(1.4426950408889634)
        y = min(max(x, np.float32(-127)), np.float32(128))
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
    for r in range(len(products)):
        powers[r] *= scales[r]


@numba.njit(**_OPTIONS)
def _take_odds(plan, uniforms, rows, odds):
    """Write (1 - u) / u of every uniform, step by step and all rows of a step side by side."""
    for first in range(0, len(uniforms), _ROWS_TOGETHER):
        n_rows = min(_ROWS_TOGETHER, len(uniforms) - first)
        for r in range(n_rows):
            of_row, written = uniforms[first + r], rows[r]
            for column in range(len(written)):
                written[column] = np.float32((1 - of_row[column]) / of_row[column])
        for step in range(plan.n_known, len(plan.order)):
            column, written = plan.order[step], odds[step, first:]
            for r in range(n_rows):
                written[r] = rows[r, column]


@numba.njit(**_OPTIONS)
def _write_rows(plan, activations, result):
    for first in range(0, len(result), _ROWS_TOGETHER):
        last = min(first + _ROWS_TOGETHER, len(result))
        for step in range(len(plan.order)):
            column = plan.order[step]
            for r in range(first, last):
                result[r, column] = activations[step, r]


@numba.njit(**_OPTIONS)
def _work_space(plan, n_lanes):
    """Return the memory that a thread uses again for every tile: new memory costs more."""
    n_matrices, n_columns = len(plan.source_base), len(plan.order)
    n_sources = plan.n_inputs + plan.target_base[n_matrices - 1]
    activations = np.zeros((n_sources, n_lanes), dtype=np.float32)
    products = np.empty((plan.n_products, n_lanes), dtype=np.float32)
    scratch = np.empty((plan.n_products, n_lanes), dtype=np.float32)
    odds = np.ones((n_columns, n_lanes), dtype=np.float32)
    rows = np.empty((_ROWS_TOGETHER, n_columns), dtype=np.float32)
    return activations, products, scratch, odds, rows


@numba.njit(**_OPTIONS)
def _walk_run(plan, run, start, stop, odds, products, activations, squares):
    """Decide the cells of a run, step by step."""
    # What the steps need, out of the plan: to look it up takes as long as a step does.
    source_base, source_limit = plan.source_base, plan.source_limit
    target_base, target_begin = plan.target_base, plan.target_begin
    near, shift, gains, activation = plan.near, plan.shift, plan.gains, plan.activation
    n_matrices, n_hidden, n_inputs = len(source_base), plan.n_hidden, plan.n_inputs
    n_lanes = products.shape[1]
    lefts = plan.source_begin[:, start].copy()
    widths = source_limit[:, stop - 1] - lefts
    offsets = plan.near_offsets[run].copy()
    powers = np.empty(n_lanes, dtype=np.float32)
    bits = np.empty(n_lanes, dtype=np.int32)
    scales = bits.view(np.float32)
    for step in range(start, stop):
        for q in range(n_matrices):
            first, last = target_begin[q, step], target_begin[q, step + 1]
            if first == last:
                continue
            source, base = source_base[q], target_base[q]
            units = base + first, base + last
            sources = source + lefts[q], source + source_limit[q, step]
            _add_near(near, offsets[q], widths[q], units, sources, products, activations)
            offsets[q] += (last - first) * widths[q]
            if q < n_hidden:
                place = n_inputs, _to_before(plan, q), last
                _finish_units(
                    units, place, shift, gains, activation, products, activations, squares[q]
                )
        # The inverse cdf: 1 where u >= 1 / (1 + exp(logit)), that is where the odds exp(logit)
        # reach (1 - u) / u.
        output = target_base[n_hidden] + step
        _exponentials(products[output], shift[output], powers, scales, bits)
        for r in range(n_lanes):
            activations[step, r] = _ONE if powers[r] >= odds[step, r] else _ZERO


@numba.njit(**_OPTIONS)
def _draw_tile(plan, uniforms, known, result, space):
    activations, products, scratch, odds, rows = space
    n_matrices, n_lanes = len(plan.source_base), products.shape[1]
    squares = np.zeros((plan.n_hidden, n_lanes), dtype=np.float32)
    _take_odds(plan, uniforms, rows, odds)
    if plan.n_known:
        _take_known(plan, known, products, activations, squares)
    run = 0
    for block in range(len(plan.block_edges) - 1):
        block_start, block_stop = plan.block_edges[block], plan.block_edges[block + 1]
        for q in range(n_matrices):
            first, last = plan.target_begin[q, block_start], plan.target_begin[q, block_stop]
            source, base = plan.source_base[q], plan.target_base[q]
            earlier = activations[source : source + plan.source_begin[q, block_start]]
            into = products[base + first : base + last]
            # Further readouts add to what the first has written.
            if q <= plan.n_hidden:
                _set_product(plan.far, plan.far_offsets[block, q], earlier, into)
            else:
                offset = plan.far_offsets[block, q]
                _add_product(plan.far, offset, earlier, scratch, into)
        while run < len(plan.run_edges) - 1 and plan.run_edges[run] < block_stop:
            start, stop = plan.run_edges[run], plan.run_edges[run + 1]
            for q in range(n_matrices):
                first, last = plan.target_begin[q, start], plan.target_begin[q, stop]
                source, base = plan.source_base[q], plan.target_base[q]
                left, right = plan.source_begin[q, block_start], plan.source_begin[q, start]
                _add_product(
                    plan.mid,
                    plan.mid_offsets[run, q],
                    activations[source + left : source + right],
                    scratch,
                    products[base + first : base + last],
                )
            _walk_run(plan, run, start, stop, odds, products, activations, squares)
            run += 1
    _write_rows(plan, activations, result)


@numba.njit(**_OPTIONS)
def draw_serial(plan, uniforms, known, result, n_lanes):
    """Draw ``len(result)`` rows, tile after tile."""
    _draw_tiles(plan, uniforms, known, result, n_lanes, 0, 1)


@numba.njit(parallel=True, **_OPTIONS)
def draw_parallel(plan, uniforms, known, result, n_lanes, n_threads):
    """Draw ``len(result)`` rows, a tile a thread at a time."""
    for thread in numba.prange(n_threads):
        _draw_tiles(plan, uniforms, known, result, n_lanes, thread, n_threads)


@numba.njit(**_OPTIONS)
def _draw_tiles(plan, uniforms, known, result, n_lanes, first_tile, every):
    """Draw every so many-th tile of rows."""
    space = _work_space(plan, n_lanes)
    for first in range(first_tile * n_lanes, len(result), every * n_lanes):
        last = min(first + n_lanes, len(result))
        _draw_tile(plan, uniforms[first:last], known[first:last], result[first:last], space)
