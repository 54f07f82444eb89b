"""Masked products, y = (W * M) x + (U * M) 1 + b, and their plain form: a mask as a matrix.

A layer asks an `Edges` object for its product; which one it is decides how the mask is applied,
never what comes out. Knows masks; knows nothing of layers, blocks or connectivities.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch.nn.functional as F
from torch import Tensor, nn


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


def by_output(matrix: Tensor, by_input: bool) -> Tensor:
    """Return the matrix as ``(n_out, n_in)``."""
    return matrix.t() if by_input else matrix
