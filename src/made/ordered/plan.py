"""The steps of an ordered network cut into blocks, and the weights cut to match.

Steps are cut into blocks and these into short runs. What a run needs comes in three parts: from
everything before its block ("far", one large product a block), from the block before the run
("mid", a small product), and from the run itself ("near", step by step). Knows the ordered network;
the arrays are laid out for `kernels`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from made.network.config import NetworkConfig
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
    n_columns = ordered.n_columns
    block_edges = _edges(n_known, n_columns, block_steps)
    run_edges = np.unique(
        np.concatenate(
            [
                _edges(int(start), int(stop), run_steps)
                for start, stop in zip(block_edges[:-1], block_edges[1:], strict=True)
            ]
            or [block_edges]
        )
    )
    matrices = (*ordered.hidden, *ordered.readouts)
    n_hidden = len(ordered.hidden)
    steps = range(n_columns)
    begins = {
        source: np.array([ordered.begin(source, step) for step in range(n_columns + 1)])
        for source in range(INPUTS, n_hidden)
    }
    limits = {
        source: np.array([ordered.limit(source, step) for step in steps])
        for source in range(INPUTS, n_hidden)
    }
    widths = [len(matrix.shift) for matrix in ordered.hidden]
    source_bases = np.concatenate([[0], begins[INPUTS][-1:], *[[w] for w in widths]]).cumsum()
    target_bases = np.concatenate([[0], *[[w] for w in widths]]).cumsum()
    weights = [matrix.weight.cpu().numpy() for matrix in matrices]
    source_begin = np.array([begins[m.source] for m in matrices]).reshape(-1, n_columns + 1)
    source_limit = np.array([limits[m.source] for m in matrices]).reshape(-1, n_columns)
    target_begin = np.array(
        [*(begins[layer] for layer in range(n_hidden)),
         *(ordered.output_starts for _ in ordered.readouts)]
    ).reshape(-1, n_columns + 1)  # fmt: skip

    def cut(cells: list[tuple[int, int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
        """Return pieces of all matrices, one list entry (rows from, to, columns from, to) each."""
        pieces, offsets, end = [], [], 0
        for number, (first, last, left, right) in enumerate(cells):
            piece = weights[number % len(matrices)][first:last, left:right].ravel()
            pieces.append(piece)
            offsets.append(end)
            end += len(piece)
        flat = np.concatenate(pieces) if pieces else np.empty(0)
        shape = (len(cells) // max(len(matrices), 1), len(matrices))
        return flat.astype(np.float32), np.array(offsets, dtype=np.int64).reshape(shape)

    numbers = range(len(matrices))
    last_known = max(n_known - 1, 0)
    # Outputs of known columns are not needed, and without known columns there is nothing.
    known, known_offsets = cut(
        [
            (0, target_begin[q, n_known], 0, source_limit[q, last_known])
            if n_known and q < n_hidden
            else (0, 0, 0, 0)
            for q in numbers
        ]
    )
    blocks = list(zip(block_edges[:-1], block_edges[1:], strict=True))
    runs = list(zip(run_edges[:-1], run_edges[1:], strict=True))
    block_of = [block_edges[np.searchsorted(block_edges, s, side="right") - 1] for s, _ in runs]
    far, far_offsets = cut(
        [
            (target_begin[q, s], target_begin[q, e], 0, source_begin[q, s])
            for s, e in blocks
            for q in numbers
        ]
    )
    mid, mid_offsets = cut(
        [
            (target_begin[q, s], target_begin[q, e], source_begin[q, b], source_begin[q, s])
            for (s, e), b in zip(runs, block_of, strict=True)
            for q in numbers
        ]
    )
    near, near_offsets = cut(
        [
            (target_begin[q, s], target_begin[q, e], source_begin[q, s], source_limit[q, e - 1])
            for s, e in runs
            for q in numbers
        ]
    )
    config: NetworkConfig = ordered.model.config
    shift = np.concatenate(
        [*(m.shift.detach().cpu().numpy() for m in ordered.hidden), _output_shift(ordered)]
    )
    gains = [gain.cpu().numpy() for gain in ordered.gains]
    return Plan(
        n_hidden=n_hidden,
        n_known=n_known,
        n_inputs=int(begins[INPUTS][-1]),
        n_products=len(shift),
        block_edges=block_edges,
        run_edges=run_edges,
        source_base=np.array([source_bases[m.source + 1] for m in matrices], dtype=np.int64),
        target_base=np.array(
            [*target_bases[:n_hidden], *(target_bases[-1] for _ in ordered.readouts)],
            dtype=np.int64,
        ),
        source_begin=source_begin.astype(np.int64),
        source_limit=source_limit.astype(np.int64),
        target_begin=target_begin.astype(np.int64),
        known=known,
        known_offsets=known_offsets.reshape(-1),
        far=far,
        far_offsets=far_offsets,
        mid=mid,
        mid_offsets=mid_offsets,
        near=near,
        near_offsets=near_offsets,
        shift=shift.astype(np.float32),
        gains=(np.concatenate(gains) if gains else np.empty(0)).astype(np.float32),
        activation=ACTIVATION_CODES[config.activation],
        residual=config.residual,
        order=ordered.connectivity.order.astype(np.int64),
    )


def _output_shift(ordered: OrderedNetwork) -> np.ndarray:
    """Return everything that is added to the outputs of every row."""
    total = ordered.output_shift.clone()
    for readout in ordered.readouts:
        total = total + readout.shift
    return total.detach().cpu().numpy()


def _edges(start: int, stop: int, length: int) -> np.ndarray:
    return np.append(np.arange(start, stop, length), stop).astype(np.int64)
