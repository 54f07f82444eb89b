"""Masked products, y = (W * M) x + (U * M) 1 + b: dense, or over the blocks that are not zero.

A layer asks an `Edges` object for its product; which one it is decides how the mask is applied,
never what comes out. Knows masks and blocks; knows nothing of layers or connectivities.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from made.blocks import Runs, Triangle
from made.orderings import ranks

_AS_IT_IS = np.empty(0, dtype=np.int64)


class Weights(NamedTuple):
    """W, b and U of a layer; W and U are ``(n_out, n_in)``, or ``(n_in, n_out)`` by input."""

    weight: nn.Parameter
    bias: nn.Parameter | None
    conditioning: nn.Parameter | None
    by_input: bool


class Edges(Protocol):
    """The edges of one masked matrix under one connectivity."""

    def product(self, inputs: Tensor, weights: Weights) -> Tensor:
        """Return ``(W * M) x + (U * M) 1 + b``, shape ``(n_rows, n_out)``."""
        ...


class DenseEdges:
    """The mask as a matrix of zeros and ones: plain, differentiable to any order, any device."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def product(self, inputs: Tensor, weights: Weights) -> Tensor:
        weight, bias, conditioning, by_input = weights
        shift = bias
        if conditioning is not None:
            conditioned = (by_output(conditioning, by_input) * self.mask).sum(dim=1)
            shift = conditioned if bias is None else conditioned + bias
        return F.linear(inputs, by_output(weight, by_input) * self.mask, shift)


class TriangularEdges:
    """The mask as blocks of a sorted matrix: half of the arithmetic, for training on the CPU.

    The backward pass writes the gradients into ``.grad`` of the parameters, in memory that is
    used again at every step: memory that is new at every step costs as much as the products. So
    one backward pass follows one forward pass, and gradients are not added up.
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

        result = self._buffer(name, parameter)
        runs, order, places = self._moves()
        moves.gather_runs(
            parameter.detach().numpy(),
            order,
            places,
            runs.keep_from,
            runs.keep_to,
            runs.clear_from,
            runs.clear_to,
            result.numpy(),
        )
        return by_output(result, self._by_input)

    def sort_inputs(self, inputs: Tensor) -> Tensor:
        """Return the inputs in sorted order."""
        return inputs if self.input_order is None else inputs.index_select(1, self.input_order)

    def conditioned_shift(self, conditioning: Tensor | None) -> Tensor | None:
        """Return ``(U * M) 1`` in sorted order, shape ``(n_out,)``."""
        if conditioning is None:
            return None
        matrix = self.sort(conditioning, "conditioning")
        sums = matrix.new_empty(self.triangle.n_outputs)
        for block in self.triangle.blocks:
            span = slice(block.start, block.stop)
            torch.sum(matrix[span, : block.end], dim=1, out=sums[span])
        return sums

    def multiply(self, inputs: Tensor, weight: Tensor, shift: Tensor | None) -> Tensor:
        """Return ``W x + shift`` of sorted inputs and weights, the outputs in their own order."""
        result = inputs.new_empty(len(inputs), self.triangle.n_outputs)
        for block in self.triangle.blocks:
            span = slice(block.start, block.stop)
            if block.end:
                torch.mm(inputs[:, : block.end], weight[span, : block.end].T, out=result[:, span])
            else:
                result[:, span].zero_()
        if shift is not None:
            result += shift
        return _unsort_columns(result, self.triangle.output_order)

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
        gradient = _grad(parameter).numpy()
        if self.triangle.moves:
            buffer = self._buffers[name].numpy()
            moves.scatter_runs(buffer, order, places, runs.keep_from, runs.keep_to, gradient)
        else:
            moves.clear_runs(gradient, runs.clear_from, runs.clear_to)

    def _moves(self) -> tuple[Runs, np.ndarray, np.ndarray]:
        """Return the runs of a matrix as it is stored, and the orders of its two sides."""
        orders = (self.triangle.output_order, self.triangle.input_order)
        rows, columns = (_AS_IT_IS if order is None else order for order in orders)
        if self._by_input:
            return self.triangle.columns, columns, rows
        return self.triangle.rows, rows, columns

    def _buffer(self, name: str, parameter: Tensor) -> Tensor:
        """Return memory for a matrix, the same at every call, zero at first."""
        found = self._buffers.get(name)
        if found is None:
            found = self._buffers[name] = torch.zeros_like(parameter, requires_grad=False)
        return found


class PreparedEdges(TriangularEdges):
    """Blocks whose weights are sorted once and then used for many batches, without gradients.

    The values of a unit for all rows lie side by side, what comes out is a transposed view: so
    blocks of few units are as fast to multiply as many, and a shift is added while they are near.
    """

    _prepared: tuple[Tensor, Tensor | None] | None = None

    def product(self, inputs: Tensor, weights: Weights) -> Tensor:
        if self._prepared is None:
            self._prepared = self._prepare(weights)
        weight, shift = self._prepared
        columns = inputs.t()
        if self.input_order is None:
            columns = columns.contiguous()
        else:
            columns = columns.index_select(0, self.input_order)
        result = inputs.new_empty(self.triangle.n_outputs, len(inputs))
        for block in self.triangle.blocks:
            part = result[block.start : block.stop]
            if block.end:
                torch.mm(weight[block.start : block.stop, : block.end], columns[: block.end], out=part)
            else:
                part.zero_()
            if shift is not None:
                part += shift[block.start : block.stop]
        order = self.triangle.output_order
        if order is not None:
            result = result.index_select(0, torch.as_tensor(ranks(order)))
        return result.t()

    def _prepare(self, weights: Weights) -> tuple[Tensor, Tensor | None]:
        """Return W in sorted order, and what is added to every row, (n_out, 1)."""
        weight, bias, conditioning, self._by_input = weights
        shift = self.conditioned_shift(conditioning)
        if bias is not None:
            in_order = bias if self.output_order is None else bias[self.output_order]
            shift = in_order if shift is None else shift + in_order
        return self.sort(weight, "weight"), None if shift is None else shift[:, None]


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
        sorted_inputs = edges.sort_inputs(inputs)
        sorted_weight = edges.sort(weight, "weight")
        shift = edges.conditioned_shift(conditioning)
        result = edges.multiply(sorted_inputs, sorted_weight, shift)
        if bias is not None:
            result += bias
        ctx.edges = edges
        ctx.parameters = (weight, bias, conditioning)
        ctx.needs_inputs = ctx.needs_input_grad[0]
        ctx.save_for_backward(sorted_inputs, sorted_weight)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        edges: TriangularEdges = ctx.edges
        blocks = edges.triangle.blocks
        sorted_inputs, sorted_weight = ctx.saved_tensors
        weight, bias, conditioning = ctx.parameters
        gradient = gradients[0]
        if bias is not None:
            torch.sum(gradient, dim=0, out=_grad(bias))
        if edges.output_order is not None:
            gradient = gradient.index_select(1, edges.output_order)
        products = edges.gradient_buffer(weight, "weight gradient")
        for block in blocks:
            span = slice(block.start, block.stop)
            if block.end:
                torch.mm(
                    gradient[:, span].T,
                    sorted_inputs[:, : block.end],
                    out=products[span, : block.end],
                )
        edges.unsort(weight, "weight gradient")
        if conditioning is not None:
            sums = gradient.sum(dim=0)[:, None]
            products = edges.gradient_buffer(conditioning, "conditioning gradient")
            for block in blocks:
                span = slice(block.start, block.stop)
                products[span, : block.end].copy_(sums[span].expand(-1, block.end))
            edges.unsort(conditioning, "conditioning gradient")
        if not ctx.needs_inputs:
            return None, None, None, None, None
        result = torch.zeros_like(sorted_inputs)
        begin = 0
        for block in blocks:
            # The inputs behind the border of the block before: seen from this block on.
            if begin < block.end:
                torch.mm(
                    gradient[:, block.start :],
                    sorted_weight[block.start :, begin : block.end],
                    out=result[:, begin : block.end],
                )
                begin = block.end
        return _unsort_columns(result, edges.triangle.input_order), None, None, None, None


def by_output(matrix: Tensor, by_input: bool) -> Tensor:
    """Return the matrix as ``(n_out, n_in)``."""
    return matrix.t() if by_input else matrix


def _grad(parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _index(order: np.ndarray | None) -> Tensor | None:
    return None if order is None else torch.as_tensor(order)


def _unsort_columns(matrix: Tensor, order: np.ndarray | None) -> Tensor:
    """Return the matrix with sorted column ``i`` back at place ``order[i]``."""
    # Looking up where each column went is three times as fast as writing it there.
    return matrix if order is None else matrix.index_select(1, torch.as_tensor(ranks(order)))
