"""A walk through the steps in plain torch, every hidden unit computed once: any family, any device.

A twin of `kernels` without compiled code: before a block of steps, products bring in everything
earlier; inside it, each step adds the little that its own block contributes. Knows the ordered
network and the families of its columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from made.network.autoencoder import ACTIVATIONS
from made.network.layers import NORM_EPSILON
from made.ordered.network import INPUTS, OrderedMatrix, OrderedNetwork

_BLOCK_STEPS = 32


class _Walk:
    """The state of one walk through the steps: what is final so far, for all rows."""

    def __init__(self, ordered: OrderedNetwork, n_rows: int) -> None:
        device = ordered.model.device
        self.ordered = ordered
        self.config = ordered.model.config
        self.activate = ACTIVATIONS[self.config.activation]
        inputs = torch.zeros(int(ordered.input_starts[-1]), n_rows, device=device)
        # Values of a unit for all rows lie side by side, source by source.
        self.values = {INPUTS: inputs}
        self.products: list[Tensor] = []
        self.squares: list[Tensor] = []
        for layer, matrix in enumerate(ordered.hidden):
            self.values[layer] = torch.zeros(len(matrix.shift), n_rows, device=device)
            self.products.append(matrix.shift[:, None].repeat(1, n_rows))
            self.squares.append(torch.zeros(n_rows, device=device))
        shift = ordered.output_shift + sum(readout.shift for readout in ordered.readouts)
        self.outputs = shift[:, None].repeat(1, n_rows)

    def add(self, matrix: OrderedMatrix, target: Tensor, rows: slice, columns: slice) -> None:
        """Add a piece of a matrix times final values to the products of its rows."""
        if rows.start < rows.stop and columns.start < columns.stop:
            values = self.values[matrix.source][columns]
            target[rows].addmm_(matrix.weight[rows, columns], values)

    def finish(self, layer: int, units: slice) -> None:
        """Turn the products of ``units``, all of one degree, into activations."""
        if units.start == units.stop:
            return
        products = self.products[layer]
        if self.config.residual and layer:
            products[units] += self.products[layer - 1][units]
        normed = products[units]
        if self.ordered.gains:
            self.squares[layer] += normed.square().sum(dim=0)
            mean = self.squares[layer] / units.stop
            gain = self.ordered.gains[layer][units, None]
            normed = normed * torch.rsqrt(mean + NORM_EPSILON) * gain
        self.values[layer][units] = self.activate(normed)


# What becomes of a step: its number, its column, the network's outputs for it -> values (n_rows,).
Decide = Callable[[int, int, Tensor], Tensor]


@torch.no_grad()
def draw_stepwise(
    ordered: OrderedNetwork,
    uniforms: Tensor,
    known: Tensor,
    *,
    block_steps: int = _BLOCK_STEPS,
) -> Tensor:
    """Draw rows along the ordering.

    Parameters
    ----------
    ordered : OrderedNetwork
    uniforms : Tensor, shape (n_rows, n_columns)
    known : Tensor, shape (n_rows, n_known)
        Values of the first ``n_known`` columns of the ordering.

    Returns
    -------
    Tensor, shape (n_rows, n_columns)
    """

    def draw(_: int, column: int, outputs: Tensor) -> Tensor:
        return ordered.model.draw_column(column, outputs, uniforms[:, column])

    return walk(ordered, known, draw, block_steps=block_steps)


@torch.no_grad()
def walk(
    ordered: OrderedNetwork, known: Tensor, decide: Decide, *, block_steps: int = _BLOCK_STEPS
) -> Tensor:
    """Go through the steps of the front; ``decide`` gives the values of those not known.

    Returns
    -------
    Tensor, shape (n_rows, n_columns)
        NaN in columns that are not reached.
    """
    model, order = ordered.model, ordered.connectivity.order.tolist()
    n_rows, n_known = known.shape
    state = _Walk(ordered, n_rows)
    dtype = torch.float32 if model.only_binary else torch.float64
    result = torch.full((n_rows, ordered.n_columns), torch.nan, dtype=dtype, device=known.device)
    for step in range(n_known):
        _place(state, step, known[:, step], result)
    n_front = ordered.n_front
    edges = [0, n_known] if n_known else [0]
    edges += [*range(n_known + block_steps, n_front, block_steps), n_front]
    for start, stop in itertools.pairwise(edges):
        _add_earlier(state, start, stop)
        for step in range(start, stop):
            _add_own_block(state, start, step)
            if step >= n_known:
                span = slice(*ordered.output_starts[step : step + 2].tolist())
                values = decide(step, order[step], state.outputs[span].T)
                _place(state, step, values, result)
    return result


def _place(walk: _Walk, step: int, values: Tensor, result: Tensor) -> None:
    """Enter the values of a step's column."""
    ordered = walk.ordered
    column = int(ordered.connectivity.order[step])
    result[:, column] = values
    span = slice(*ordered.input_starts[step : step + 2].tolist())
    walk.values[INPUTS][span] = ordered.model.encode_column(column, values).T


def _spans(walk: _Walk, start: int, stop: int) -> list[tuple[OrderedMatrix, Tensor, slice]]:
    """Return all matrices, where their products go, and the rows that become final."""
    ordered = walk.ordered
    spans = []
    for layer, matrix in enumerate(ordered.hidden):
        rows = slice(ordered.begin(layer, start), ordered.begin(layer, stop))
        spans.append((matrix, walk.products[layer], rows))
    for readout in ordered.readouts:
        rows = slice(int(ordered.output_starts[start]), int(ordered.output_starts[stop]))
        spans.append((readout, walk.outputs, rows))
    return spans


def _add_earlier(walk: _Walk, start: int, stop: int) -> None:
    for matrix, target, rows in _spans(walk, start, stop):
        walk.add(matrix, target, rows, slice(0, walk.ordered.begin(matrix.source, start)))


def _add_own_block(walk: _Walk, start: int, step: int) -> None:
    ordered = walk.ordered
    for number, (matrix, target, rows) in enumerate(_spans(walk, step, step + 1)):
        left = ordered.begin(matrix.source, start)
        walk.add(matrix, target, rows, slice(left, ordered.limit(matrix.source, step)))
        if number < len(ordered.hidden):
            walk.finish(number, rows)
