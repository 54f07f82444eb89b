"""Sorting units by degree, and the blocks of a matrix that are not zero.

Sorted by degree, every masked matrix is a staircase: an output sees the first so many inputs, and
a block of outputs nothing beyond what its last one sees. Knows degrees; knows nothing of weights,
products or layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Block:
    """Sorted outputs ``start .. stop - 1``: some see input ``end - 1``, none an input beyond."""

    start: int
    stop: int
    end: int


@dataclass(frozen=True)
class Runs:
    """Which numbers of each row of a sorted matrix stay, and which the mask makes zero.

    Row i keeps ``keep_from[i] .. keep_to[i] - 1``. Products also read ``clear_from[i] ..
    clear_to[i] - 1``, which must be zero; they read nothing else.
    """

    keep_from: np.ndarray
    keep_to: np.ndarray
    clear_from: np.ndarray
    clear_to: np.ndarray


@dataclass(frozen=True)
class Triangle:
    """A masked matrix in sorted order.

    ``input_order[i]`` is the input at sorted place i; None where the inputs are sorted already.
    The same for ``output_order``. Sorted output i sees the sorted inputs ``0 .. seen[i] - 1``.
    ``rows`` are the runs of the matrix ``(n_outputs, n_inputs)``, ``columns`` those of its
    transpose.
    """

    n_inputs: int
    input_order: np.ndarray | None
    output_order: np.ndarray | None
    seen: np.ndarray
    blocks: tuple[Block, ...]
    rows: Runs
    columns: Runs

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
    if (degrees[1:] >= degrees[:-1]).all():
        return None
    # Short integers are sorted by their digits, several times faster.
    is_short = degrees.max() < 2**16
    return np.argsort(degrees.astype(np.uint16) if is_short else degrees, kind="stable")


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
    >>> [(block.start, block.stop, block.end) for block in
    ...  triangle(np.array([1, 1, 2, 3]), np.array([1, 2, 3]), 2, strict=False).blocks]
    [(0, 2, 1), (2, 4, 3)]
    """
    input_order, output_order = sorting_order(degrees_in), sorting_order(degrees_out)
    inputs = degrees_in if input_order is None else degrees_in[input_order]
    outputs = degrees_out if output_order is None else degrees_out[output_order]
    # How many of the sorted inputs each sorted output sees.
    seen = np.searchsorted(inputs, outputs, side="left" if strict else "right")
    n_blocks = min(n_blocks, len(outputs))
    if before is not None and len(before.blocks) == n_blocks and np.array_equal(before.seen, seen):
        shape = (before.blocks, before.rows, before.columns)
    else:
        blocks = _blocks(seen, n_blocks)
        shape = (blocks, _row_runs(seen, blocks), _column_runs(seen, blocks, len(inputs)))
    return Triangle(len(inputs), input_order, output_order, seen, *shape)


def _blocks(seen: np.ndarray, n_blocks: int) -> tuple[Block, ...]:
    borders = np.linspace(0, len(seen), n_blocks + 1).round().astype(int).tolist()
    return tuple(Block(start, stop, int(seen[stop - 1])) for start, stop in pairwise(borders))


def _row_runs(seen: np.ndarray, blocks: tuple[Block, ...]) -> Runs:
    sizes = [block.stop - block.start for block in blocks]
    ends = np.repeat([block.end for block in blocks], sizes)
    return Runs(np.zeros_like(seen), seen, seen, ends)


def _column_runs(seen: np.ndarray, blocks: tuple[Block, ...], n_inputs: int) -> Runs:
    inputs = np.arange(n_inputs)
    # The first output that sees an input, and the first block that reads it.
    first = np.searchsorted(seen, inputs, side="right")
    block = np.searchsorted([block.end for block in blocks], inputs, side="right")
    starts = np.array([block.start for block in blocks] + [len(seen)])
    return Runs(first, np.full_like(inputs, len(seen)), starts[block], first)
