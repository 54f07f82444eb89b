"""The steps of an ordered network cut into blocks, and the weights cut to match.

Steps are cut into blocks and these into short runs. What a run needs comes in three parts: from
everything before its block ("far", one large product a block), from the block before the run
("mid", a small product), and from the run itself ("near", step by step). Knows the ordered network;
the arrays are laid out for `kernels`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from made.ordered.network import INPUTS, OrderedNetwork

BLOCK_STEPS = 192
RUN_STEPS = 24

ACTIVATION_CODES = {"relu": 0, "elu": 1, "gelu": 2, "tanh": 3, "softplus": 4}


class Plan(NamedTuple):
    """Everything that a kernel needs, in arrays.

    Matrices are numbered: hidden layers first, then readouts. Activations of all sources share
    one array: the input features, then layer 0, 1, ...; so do what the matrices produce: layer
    0, 1, ..., then the outputs.
    """

    n_hidden: int
    n_known: int
    n_inputs: int
    n_products: int
    block_edges: np.ndarray  # Steps at which blocks begin, and the end.
    run_edges: np.ndarray  # Steps at which runs begin, and the end; block edges are among them.
    source_base: np.ndarray  # (n_matrices,): first row of the source among the activations.
    target_base: np.ndarray  # (n_matrices,): first row of the target among the products.
    source_begin: np.ndarray  # (n_matrices, n_columns + 1): units of the source before a step.
    source_limit: np.ndarray  # (n_matrices, n_columns): units of the source seen in a step.
    target_begin: np.ndarray  # (n_matrices, n_columns + 1): units of the target before a step.
    known: np.ndarray  # Flat weights of the steps that are known beforehand.
    known_offsets: np.ndarray  # (n_matrices,)
    far: np.ndarray
    far_offsets: np.ndarray  # (n_blocks, n_matrices)
    mid: np.ndarray
    mid_offsets: np.ndarray  # (n_runs, n_matrices)
    near: np.ndarray
    near_offsets: np.ndarray  # (n_runs, n_matrices)
    shift: np.ndarray  # Added to every row of the products.
    gains: np.ndarray  # Of the norm, layer after layer; empty without a norm.
    activation: int
    residual: bool
    order: np.ndarray

    @property
    def n_bytes(self) -> int:
        """Memory of the weights."""
        return sum(part.nbytes for part in (self.known, self.far, self.mid, self.near))


def make_plan(
    ordered: OrderedNetwork,
    n_known: int = 0,
    *,
    block_steps: int = BLOCK_STEPS,
    run_steps: int = RUN_STEPS,
) -> Plan:
    """Cut the steps from ``n_known`` on, and the weights with them."""
    n_columns, n_hidden = ordered.n_columns, len(ordered.hidden)
    matrices = (*ordered.hidden, *ordered.readouts)
    widths = [len(matrix.shift) for matrix in ordered.hidden]
    n_inputs = ordered.begin(INPUTS, n_columns)
    target_bases = np.concatenate([[0], np.cumsum(widths, dtype=np.int64)]).astype(np.int64)
    # Activations of all sources in one array: the inputs stand before the first layer.
    source_bases = {INPUTS: 0} | {k: n_inputs + int(target_bases[k]) for k in range(n_hidden)}
    cutter = _Cutter(ordered)
    block_edges = _edges(n_known, n_columns, block_steps)
    runs = [
        (block_start, start, stop)
        for block_start, block_stop in pairwise(block_edges.tolist())
        for start, stop in pairwise(_edges(block_start, block_stop, run_steps).tolist())
    ]
    known, known_offsets = cutter.cut([cutter.known(n_known)])
    far, far_offsets = cutter.cut(
        [cutter.far(start, stop) for start, stop in pairwise(block_edges.tolist())]
    )
    mid, mid_offsets = cutter.cut([cutter.mid(*run) for run in runs])
    near, near_offsets = cutter.cut([cutter.near(start, stop) for _, start, stop in runs])
    shift = [matrix.shift.detach().cpu().numpy() for matrix in ordered.hidden]
    shift.append(_output_shift(ordered))
    gains = [gain.cpu().numpy() for gain in ordered.gains]
    config = ordered.model.config
    return Plan(
        n_hidden=n_hidden,
        n_known=n_known,
        n_inputs=n_inputs,
        n_products=sum(len(part) for part in shift),
        block_edges=block_edges,
        run_edges=np.array([n_known, *(stop for _, _, stop in runs)], dtype=np.int64),
        source_base=np.array([source_bases[m.source] for m in matrices], dtype=np.int64),
        target_base=np.array(
            [*target_bases[:n_hidden], *(target_bases[-1] for _ in ordered.readouts)],
            dtype=np.int64,
        ),
        source_begin=cutter.source_begin,
        source_limit=cutter.source_limit,
        target_begin=cutter.target_begin,
        known=known,
        known_offsets=known_offsets[0],
        far=far,
        far_offsets=far_offsets,
        mid=mid,
        mid_offsets=mid_offsets,
        near=near,
        near_offsets=near_offsets,
        shift=np.concatenate(shift).astype(np.float32),
        gains=np.concatenate([*gains, np.empty(0)]).astype(np.float32),
        activation=ACTIVATION_CODES[config.activation],
        residual=config.residual,
        order=ordered.connectivity.order.astype(np.int64),
    )


# Rows from, to; columns from, to: a piece of a matrix.
_Piece = tuple[int, int, int, int]


class _Cutter:
    """Cuts pieces out of all matrices and lays them out one after the other."""

    def __init__(self, ordered: OrderedNetwork) -> None:
        n_columns, self.n_hidden = ordered.n_columns, len(ordered.hidden)
        matrices = (*ordered.hidden, *ordered.readouts)
        sources = [matrix.source for matrix in matrices]
        self._weights = [matrix.weight.detach().cpu().numpy() for matrix in matrices]

        def table(width: int, rows: list[list[int]]) -> np.ndarray:
            return np.array(rows, dtype=np.int64).reshape(-1, width)

        steps = range(n_columns + 1)
        self.source_begin = table(
            n_columns + 1, [[ordered.begin(source, step) for step in steps] for source in sources]
        )
        self.source_limit = table(
            n_columns,
            [[ordered.limit(source, step) for step in steps[:-1]] for source in sources],
        )
        targets = [starts.tolist() for starts in ordered.unit_starts]
        targets += [ordered.output_starts.tolist() for _ in ordered.readouts]
        self.target_begin = table(n_columns + 1, targets)

    def known(self, n_known: int) -> list[_Piece]:
        """Pieces for the hidden units that known columns decide; outputs are not needed."""
        if not n_known:
            return [(0, 0, 0, 0)] * len(self._weights)
        rows, columns = self.target_begin[:, n_known], self.source_limit[:, n_known - 1]
        return [
            (0, int(row), 0, int(column)) if q < self.n_hidden else (0, 0, 0, 0)
            for q, (row, column) in enumerate(zip(rows, columns, strict=True))
        ]

    def far(self, start: int, stop: int) -> list[_Piece]:
        """Pieces from everything before a block to the block."""
        nothing = np.zeros_like(self.source_begin[:, start])
        return self._pieces(start, stop, nothing, self.source_begin[:, start])

    def mid(self, block_start: int, start: int, stop: int) -> list[_Piece]:
        """Pieces from the block before a run to the run."""
        begins = self.source_begin
        return self._pieces(start, stop, begins[:, block_start], begins[:, start])

    def near(self, start: int, stop: int) -> list[_Piece]:
        """Pieces from a run to itself."""
        return self._pieces(
            start, stop, self.source_begin[:, start], self.source_limit[:, stop - 1]
        )

    def cut(self, pieces: list[list[_Piece]]) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights of all pieces, flat, and where each begins."""
        cuts, offsets, end = [np.empty(0, dtype=np.float32)], [], 0
        for row in pieces:
            offsets.append([])
            for weight, (first, last, left, right) in zip(self._weights, row, strict=True):
                cuts.append(weight[first:last, left:right].ravel())
                offsets[-1].append(end)
                end += len(cuts[-1])
        shape = (len(pieces), len(self._weights))
        return np.concatenate(cuts), np.array(offsets, dtype=np.int64).reshape(shape)

    def _pieces(self, start: int, stop: int, left: np.ndarray, right: np.ndarray) -> list[_Piece]:
        rows = self.target_begin[:, [start, stop]]
        table = np.column_stack([rows, left, right]).tolist()
        return [(first, last, begin, end) for first, last, begin, end in table]


def _output_shift(ordered: OrderedNetwork) -> np.ndarray:
    """Return everything that is added to the outputs of every row."""
    total = ordered.output_shift.clone()
    for readout in ordered.readouts:
        total = total + readout.shift
    return total.detach().cpu().numpy()


def _edges(start: int, stop: int, length: int) -> np.ndarray:
    return np.append(np.arange(start, stop, length), stop).astype(np.int64)
