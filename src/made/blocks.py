"""Sorting units by degree, and the blocks of a matrix that are not zero.

Sorted by degree, every masked matrix is lower-triangular in blocks: the units of a block see all
inputs up to a border, some of the inputs in a narrow strip behind it, and nothing beyond. Knows
degrees; knows nothing of weights, products or layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Block:
    """Sorted outputs ``start .. stop - 1`` and the sorted inputs that they see.

    All of them see inputs ``0 .. full - 1``; which of them sees which of ``full .. end - 1`` is
    in ``mask``, shape ``(stop - start, end - full)``; none sees an input from ``end`` on.
    """

    start: int
    stop: int
    full: int
    end: int
    mask: np.ndarray


@dataclass(frozen=True)
class Triangle:
    """A masked matrix in sorted order.

    ``input_order[i]`` is the input at sorted place i; None where the inputs are sorted already.
    The same for ``output_order``. Sorted output i sees the sorted inputs ``0 .. seen[i] - 1``.
    """

    n_inputs: int
    input_order: np.ndarray | None
    output_order: np.ndarray | None
    seen: np.ndarray
    blocks: tuple[Block, ...]

    @property
    def n_outputs(self) -> int:
        return len(self.seen)

    @property
    def moves(self) -> bool:
        """Whether sorting moves anything."""
        return self.input_order is not None or self.output_order is not None

    @property
    def n_products(self) -> int:
        """Number of multiplications a row, where a dense product needs n_inputs * n_outputs."""
        return sum((block.stop - block.start) * block.end for block in self.blocks)


def sorting_order(degrees: np.ndarray) -> np.ndarray | None:
    """Return the stable order that sorts ``degrees``, or None if they are sorted.

    Examples
    --------
    >>> sorting_order(np.array([2, 1, 2])).tolist(), sorting_order(np.array([1, 2, 2]))
    ([1, 0, 2], None)
    """
    if (np.diff(degrees) >= 0).all():
        return None
    return np.argsort(degrees, kind="stable")


def triangle(
    degrees_out: np.ndarray,
    degrees_in: np.ndarray,
    n_blocks: int,
    *,
    strict: bool,
    before: Triangle | None = None,
) -> Triangle:
    """Return the blocks of the mask between units of the given degrees.

    Parameters
    ----------
    degrees_out, degrees_in : ndarray of int
        In any order.
    n_blocks : int
        Into how many blocks of about equal size the outputs are cut.
    strict : bool
        Whether an output sees only inputs of a lower degree (outputs of the network), or of the
        same degree too (hidden units).
    before : Triangle, optional
        Its blocks are taken over, as the same object, if they would be equal: two connectivities
        often differ in the order of the columns alone.

    Examples
    --------
    >>> [(b.start, b.stop, b.full, b.end) for b in
    ...  triangle(np.array([1, 1, 2, 3]), np.array([1, 2, 3]), 2, strict=False).blocks]
    [(0, 2, 1, 1), (2, 4, 2, 3)]
    """
    input_order, output_order = sorting_order(degrees_in), sorting_order(degrees_out)
    inputs = degrees_in if input_order is None else degrees_in[input_order]
    outputs = degrees_out if output_order is None else degrees_out[output_order]
    # How many of the sorted inputs each sorted output sees.
    seen = np.searchsorted(inputs, outputs, side="left" if strict else "right")
    if before is not None and len(before.blocks) == min(n_blocks, len(outputs)):
        blocks = before.blocks if np.array_equal(before.seen, seen) else _blocks(seen, n_blocks)
    else:
        blocks = _blocks(seen, n_blocks)
    return Triangle(len(inputs), input_order, output_order, seen, blocks)


def _blocks(seen: np.ndarray, n_blocks: int) -> tuple[Block, ...]:
    borders = np.linspace(0, len(seen), min(n_blocks, len(seen)) + 1).round().astype(int).tolist()
    blocks = []
    for start, stop in pairwise(borders):
        full, end = int(seen[start]), int(seen[stop - 1])
        mask = np.arange(full, end)[None, :] < seen[start:stop, None]
        blocks.append(Block(start, stop, full, end, mask))
    return tuple(blocks)
