"""Masked products over the blocks that are not zero, in sorted order: half of the arithmetic.

Knows blocks and how weights and rows lie in memory; knows nothing of layers or connectivities.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from made.blocks import Runs, Triangle
from made.network.products import Weights, by_output
from made.orderings import ranks

# From so many rows on the values of a unit lie side by side in memory; below, those of a row do.
_ROWS_SIDE_BY_SIDE = 128
# Matrices of so many numbers move row by row, all that a block reads; smaller ones run by run.
_LARGE_MATRIX = 2**18
_AS_IT_IS = np.empty(0, dtype=np.int64)


class TriangularEdges:
    """The mask as blocks of a sorted matrix: half of the arithmetic, for training on the CPU.

    The backward pass writes the gradients into ``.grad`` of the parameters, in memory that is
    used again at every step: memory that is new at every step costs as much as the products. So
    one backward pass follows one forward pass, and gradients are not added up.

    Of many rows, the values of a unit lie side by side, and what comes out is a transposed view:
    blocks of few units are then nearly as fast to multiply as many. Few rows are too short for it.
    """

    def __init__(self, triangle: Triangle) -> None:
        self._buffers: dict[str, Tensor] = {}
        self._by_input = False
        self.triangle = triangle
        self.move(triangle)

    def move(self, triangle: Triangle) -> None:
        """Take another connectivity; memory is kept, where the blocks stay the same."""
        if triangle.blocks is not self.triangle.blocks or triangle.moves != self.triangle.moves:
            # Gradients of edges that are cut are zero, and stay so while the blocks stay.
            self._buffers.clear()
        self.triangle = triangle
        self.input_order = _index(triangle.input_order)
        self.output_order = _index(triangle.output_order)

    def product(self, inputs: Tensor, weights: Weights) -> Tensor:
        weight, bias, conditioning, self._by_input = weights
        return _TriangularProduct.apply(inputs, weight, bias, conditioning, self)

    def sort(self, parameter: Tensor, name: str) -> Tensor:
        """Return W or U in sorted order, (n_out, n_in), zero where the mask cuts a block."""
        from made.network import moves  # Compiled code: slow to import.

        result, source = self._buffer(name, parameter), parameter.detach()
        runs, order, places = self._moves()
        if not _moves_rows(parameter, places):
            moves.gather_runs(
                source.numpy(),
                _numbers(order),
                _numbers(places),
                runs.keep_from,
                runs.keep_to,
                runs.clear_from,
                runs.clear_to,
                result.numpy(),
            )
            return by_output(result, self._by_input)
        # What the blocks read; the mask cuts its corners.
        for rows, columns in self._pieces():
            piece = result[rows, columns]
            if order is None:
                piece.copy_(source[rows, columns])
            else:
                torch.index_select(source[:, columns], 0, order[rows], out=piece)
        moves.clear_runs(result.numpy(), runs.clear_from, runs.clear_to)
        return by_output(result, self._by_input)

    def sort_inputs(self, inputs: Tensor) -> Tensor:
        """Return the inputs in sorted order, shape ``(n_in, n_rows)``."""
        return _columns(inputs, self.input_order)

    def shift(self, bias: Tensor | None, conditioning: Tensor | None) -> Tensor | None:
        """Return ``(U * M) 1 + b`` in sorted order, shape ``(n_out,)``."""
        sums = None
        if bias is not None:
            sums = bias.detach()
            sums = sums if self.output_order is None else sums[self.output_order]
        if conditioning is None:
            return sums
        matrix = self.sort(conditioning, "conditioning")
        conditioned = matrix.new_empty(self.triangle.n_outputs)
        for block in self.triangle.blocks:
            span = slice(block.start, block.stop)
            torch.sum(matrix[span, : block.end], dim=1, out=conditioned[span])
        return conditioned if sums is None else conditioned.add_(sums)

    def multiply(self, columns: Tensor, weight: Tensor, shift: Tensor | None) -> Tensor:
        """Return ``W x + shift`` of sorted inputs and weights, the outputs in their own order.

        Shapes ``(n_in, n_rows)``, ``(n_out, n_in)`` and ``(n_out,)`` -> ``(n_out, n_rows)``.
        """
        result = _new_columns(columns, self.triangle.n_outputs)
        for block in self.triangle.blocks:
            span = slice(block.start, block.stop)
            if block.end:
                torch.mm(weight[span, : block.end], columns[: block.end], out=result[span])
            else:
                result[span].zero_()
            if shift is not None:
                # While the block is near.
                result[span] += shift[span, None]
        return _unsort(result, self.output_order)

    def gradient_buffer(self, parameter: Tensor, name: str) -> Tensor:
        """Return where the gradient in sorted order, (n_out, n_in), is written."""
        if self.triangle.moves:
            return by_output(self._buffer(name, parameter), self._by_input)
        # Nothing moves: the gradient of the parameter is that memory.
        gradient = _grad(parameter)
        if name not in self._buffers:
            self._buffers[name] = gradient.zero_()
        return by_output(gradient, self._by_input)

    def unsort(self, parameter: Tensor, name: str) -> None:
        """Move the gradient from its buffer to the parameter; edges that are cut get zero."""
        from made.network import moves

        runs, order, places = self._moves()
        gradient = _grad(parameter)
        if not self.triangle.moves:
            moves.clear_runs(gradient.numpy(), runs.clear_from, runs.clear_to)
            return
        buffer = self._buffers[name]
        if _moves_rows(parameter, places):
            assert order is not None
            # Outside of the blocks a buffer is zero from the start.
            moves.clear_runs(buffer.numpy(), runs.clear_from, runs.clear_to)
            torch.index_select(buffer, 0, _ranks(order), out=gradient)
            return
        moves.scatter_runs(
            buffer.numpy(),
            _numbers(order),
            _numbers(places),
            runs.keep_from,
            runs.keep_to,
            gradient.numpy(),
        )

    def _moves(self) -> tuple[Runs, Tensor | None, Tensor | None]:
        """Return the runs of a matrix as it is stored, and the orders of its two sides."""
        if self._by_input:
            return self.triangle.columns, self.input_order, self.output_order
        return self.triangle.rows, self.output_order, self.input_order

    def _pieces(self) -> list[tuple[slice, slice]]:
        """Return the rows and columns of the blocks in a matrix as it is stored."""
        blocks = self.triangle.blocks
        if not self._by_input:
            return [(slice(b.start, b.stop), slice(0, b.end)) for b in blocks]
        # Inputs between the borders of two blocks are read by all outputs from the second on.
        ends = [0, *(block.end for block in blocks)]
        pieces = zip(blocks, pairwise(ends), strict=True)
        return [(slice(*rows), slice(b.start, None)) for b, rows in pieces if rows[0] < rows[1]]

    def _buffer(self, name: str, parameter: Tensor) -> Tensor:
        """Return memory for a matrix, the same at every call, zero at first."""
        found = self._buffers.get(name)
        if found is None:
            found = self._buffers[name] = torch.zeros_like(parameter, requires_grad=False)
        return found


class PreparedEdges(TriangularEdges):
    """Blocks whose weights are sorted once and then used for many batches, without gradients."""

    _prepared: tuple[Tensor, Tensor | None] | None = None

    def product(self, inputs: Tensor, weights: Weights) -> Tensor:
        weight, bias, conditioning, self._by_input = weights
        if self._prepared is None:
            self._prepared = self.sort(weight, "weight"), self.shift(bias, conditioning)
        return self.multiply(self.sort_inputs(inputs), *self._prepared).t()


class _TriangularProduct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        conditioning: Tensor | None,
        edges: TriangularEdges,
    ) -> Tensor:
        columns = edges.sort_inputs(inputs)
        sorted_weight = edges.sort(weight, "weight")
        result = edges.multiply(columns, sorted_weight, edges.shift(bias, conditioning))
        ctx.edges = edges
        ctx.parameters = (weight, bias, conditioning)
        ctx.needs_inputs = ctx.needs_input_grad[0]
        ctx.save_for_backward(columns, sorted_weight)
        return result.t()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        edges: TriangularEdges = ctx.edges
        blocks = edges.triangle.blocks
        columns, sorted_weight = ctx.saved_tensors
        weight, bias, conditioning = ctx.parameters
        gradient = gradients[0]
        if bias is not None:
            torch.sum(gradient, dim=0, out=_grad(bias))
        gradient = _columns(gradient, edges.output_order)
        products = edges.gradient_buffer(weight, "weight gradient")
        for block in blocks:
            span = slice(block.start, block.stop)
            if block.end:
                torch.mm(gradient[span], columns[: block.end].t(), out=products[span, : block.end])
        edges.unsort(weight, "weight gradient")
        if conditioning is not None:
            sums = gradient.sum(dim=1)[:, None]
            products = edges.gradient_buffer(conditioning, "conditioning gradient")
            for block in blocks:
                span = slice(block.start, block.stop)
                products[span, : block.end].copy_(sums[span].expand(-1, block.end))
            edges.unsort(conditioning, "conditioning gradient")
        if not ctx.needs_inputs:
            return None, None, None, None, None
        result = _new_columns(columns, len(columns))
        begin = 0
        for block in blocks:
            # The inputs behind the border of the block before: seen from this block on.
            if begin < block.end:
                torch.mm(
                    sorted_weight[block.start :, begin : block.end].t(),
                    gradient[block.start :],
                    out=result[begin : block.end],
                )
                begin = block.end
        # What no output sees.
        result[begin:].zero_()
        return _unsort(result, edges.input_order).t(), None, None, None, None


def _grad(parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _index(order: np.ndarray | None) -> Tensor | None:
    return None if order is None else torch.as_tensor(order)


def _columns(matrix: Tensor, order: Tensor | None) -> Tensor:
    """Return ``(n_rows, n_units)`` as ``(n_units, n_rows)``, the units in ``order``."""
    if len(matrix) < _ROWS_SIDE_BY_SIDE:
        return (matrix if order is None else matrix.index_select(1, order)).t()
    columns = matrix.t()
    return columns.contiguous() if order is None else columns.index_select(0, order)


def _new_columns(like: Tensor, n_units: int) -> Tensor:
    """Return memory for ``(n_units, n_rows)``, as many rows as ``like`` has, laid out alike."""
    n_rows = like.shape[1]
    if n_rows < _ROWS_SIDE_BY_SIDE:
        return like.new_empty(n_rows, n_units).t()
    return like.new_empty(n_units, n_rows)


def _unsort(columns: Tensor, order: Tensor | None) -> Tensor:
    """Return the matrix with sorted row ``i`` back at place ``order[i]``."""
    # Looking up where each row went is faster than writing it there.
    return columns if order is None else _columns(columns.t(), _ranks(order))


def _ranks(order: Tensor) -> Tensor:
    return torch.as_tensor(ranks(order.numpy()))


def _moves_rows(parameter: Tensor, places: Tensor | None) -> bool:
    """Whether rows move as they are, on all threads of torch: of a large matrix that pays."""
    return places is None and parameter.numel() >= _LARGE_MATRIX


def _numbers(order: Tensor | None) -> np.ndarray:
    """Return an order in numbers; empty where there is none."""
    return _AS_IT_IS if order is None else order.numpy()
