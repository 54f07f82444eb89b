"""A Chow-Liu tree over discretised columns that scores the mass of the recorded cells.

Every column becomes a state: a level, or a bin of integers, or "missing", or "none of these". The
tree of most mutual information joins the states (Chow and Liu 1968); a bin's mass is spread evenly
over its integers, and beyond the training range it falls off geometrically. All outcomes, those of
other rows than the training rows included, keep mass, and all masses sum to 1.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from peers_density import Scored

BINS = (4, 8, 16, 32, 64, 128, 256, 512)
SMOOTHING = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


@dataclass
class Levels:
    """States of a column of text: its training levels, missing, unseen."""

    levels: pd.Index

    @classmethod
    def of(cls, column: pd.Series) -> Levels:
        return cls(pd.Index(sorted(column.dropna().unique())))

    @property
    def n_states(self) -> int:
        return len(self.levels) + 2

    def states(self, column: pd.Series) -> np.ndarray:
        found = self.levels.get_indexer(column)
        found[found < 0] = len(self.levels) + 1
        found[column.isna().to_numpy()] = len(self.levels)
        return found

    def log_cells(self, column: pd.Series) -> np.ndarray:
        """Return nats of each cell given its state, (n_rows,): a state is one outcome."""
        return np.zeros(len(column))


@dataclass
class Bins:
    """States of a column of integers: single frequent values, runs of others, and the rest.

    States in order: below the training range, a state for each run of integers, a state for each
    frequent value, above the range, missing. A run covers ``edges[i] < value <= edges[i + 1]``
    without the frequent values in it.
    """

    edges: np.ndarray
    frequent: np.ndarray

    @classmethod
    def of(cls, column: pd.Series, n_bins: int) -> Bins:
        present = column.dropna().to_numpy(np.int64)
        if not len(present):
            return cls(np.array([0, 0]), np.array([], dtype=np.int64))
        values, counts = np.unique(present, return_counts=True)
        frequent = values[counts * n_bins >= len(present)]
        others = present[~np.isin(present, frequent)]
        n_runs = max(1, round(n_bins * len(others) / len(present)))
        inner = np.array([], dtype=np.int64)
        if len(others):
            levels = np.arange(1, n_runs) / n_runs
            inner = np.unique(np.quantile(others, levels, method="inverted_cdf")).astype(np.int64)
        last = values[-1]
        edges = np.concatenate([[values[0] - 1], inner[inner < last], [last]])
        # A run that holds frequent values only is joined to the next one.
        made = cls(edges, frequent)
        kept = np.concatenate([[True], made._cells() > 0])
        kept[-1] = True
        return cls(edges[kept], frequent)

    @property
    def n_runs(self) -> int:
        return len(self.edges) - 1

    @property
    def n_states(self) -> int:
        return 1 + self.n_runs + len(self.frequent) + 2

    def states(self, column: pd.Series) -> np.ndarray:
        values = column.fillna(0).to_numpy(np.int64)
        # 0 is below, 1 .. n_runs are the runs, n_runs + 1 is above the range.
        states = np.searchsorted(self.edges, values, side="left")
        states[states == self.n_runs + 1] = self.n_states - 2
        if len(self.frequent):
            place = np.searchsorted(self.frequent, values).clip(max=len(self.frequent) - 1)
            known = self.frequent[place] == values
            states[known] = 1 + self.n_runs + place[known]
        states[column.isna().to_numpy()] = self.n_states - 1
        return states

    def log_cells(self, column: pd.Series) -> np.ndarray:
        states = self.states(column)
        values = column.fillna(0).to_numpy(np.int64)
        # The last run can hold frequent values only; it has no training row and no cell of its own.
        in_run = -np.log(np.maximum(self._cells(), 1))
        nats = np.zeros(len(values))
        run = (states >= 1) & (states <= self.n_runs)
        nats[run] = in_run[states[run] - 1]
        tails = ((0, self.edges[0] - values), (self.n_states - 2, values - self.edges[-1] - 1))
        for state, distance in tails:
            beyond = states == state
            nats[beyond] = self._log_tail(distance[beyond])
        return nats

    def _cells(self) -> np.ndarray:
        return np.diff(self.edges) - np.diff(
            np.searchsorted(self.frequent, self.edges, side="right")
        )

    def _log_tail(self, distance: np.ndarray) -> np.ndarray:
        """Return nats of an integer so many steps beyond the range: geometric, as wide as it."""
        stop = 1.0 / (1.0 + self.edges[-1] - self.edges[0])
        return np.log(stop) + distance * np.log1p(-stop)

    def possible(self) -> np.ndarray:
        """Return which states stand for any outcome, (n_states,): an emptied run does not."""
        possible = np.ones(self.n_states, dtype=bool)
        possible[1 : 1 + self.n_runs] = self._cells() > 0
        return possible


@dataclass
class Tree:
    """A tree of states: the log mass of each state given its parent's.

    Attributes
    ----------
    order, parent : arrays (n_columns,)
        Columns from the root on; the parent of each, -1 for the root.
    """

    order: np.ndarray
    parent: np.ndarray

    @classmethod
    def of(cls, states: np.ndarray, sizes: list[int]) -> Tree:
        """Return the tree of most mutual information, (n_rows, n_columns) states."""
        n_columns = states.shape[1]
        information = np.zeros((n_columns, n_columns))
        for a in range(n_columns):
            for b in range(a):
                information[a, b] = information[b, a] = _mutual_information(
                    states[:, a], states[:, b], sizes[a], sizes[b]
                )
        order, parent = [0], np.full(n_columns, -1)
        best, joined = np.zeros(n_columns, dtype=int), np.zeros(n_columns, dtype=bool)
        joined[0] = True
        for _ in range(n_columns - 1):
            gain = np.where(joined, -np.inf, information[best, np.arange(n_columns)])
            new = int(gain.argmax())
            order.append(new)
            parent[new] = best[new]
            joined[new] = True
            closer = information[new] > information[best, np.arange(n_columns)]
            best[closer] = new
        return cls(np.array(order), parent)


def _mutual_information(a: np.ndarray, b: np.ndarray, n_a: int, n_b: int) -> float:
    joint = np.bincount(a * n_b + b, minlength=n_a * n_b).reshape(n_a, n_b) / len(a)
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / product[seen])).sum())


class ChowLiu:
    """The states of all columns, the tree, and its counts; smoothing comes with the question.

    A conditional is shrunk to the marginal, which is shrunk to equal masses:
    ``p(x | y) = (n(x, y) + s p(x)) / (n(y) + s)`` with ``s`` imaginary rows.
    """

    def __init__(self, train: pd.DataFrame, numeric: list[str], n_bins: int) -> None:
        self.columns = {
            name: Bins.of(train[name], n_bins) if name in numeric else Levels.of(train[name])
            for name in train
        }
        self.sizes = [column.n_states for column in self.columns.values()]
        self.train = self._states(train)
        self.tree = Tree.of(self.train, self.sizes)

    def log_prob(self, rows: pd.DataFrame, smoothing: float) -> np.ndarray:
        """Return nats of the recorded cells of each row, (n_rows,)."""
        states = self._states(rows)
        nats = np.zeros(len(rows))
        for name, column in self.columns.items():
            nats += column.log_cells(rows[name])
        for child in self.tree.order:
            parent = self.tree.parent[child]
            marginal = self._marginal(child, smoothing)
            if parent < 0:
                nats += np.log(marginal[states[:, child]])
                continue
            n_child, n_parent = self.sizes[child], self.sizes[parent]
            pairs = self.train[:, parent] * n_child + self.train[:, child]
            joint = np.bincount(pairs, minlength=n_parent * n_child).reshape(n_parent, n_child)
            conditional = (joint + smoothing * marginal) / (
                joint.sum(axis=1, keepdims=True) + smoothing
            )
            nats += np.log(conditional[states[:, parent], states[:, child]])
        return nats

    def _marginal(self, child: int, smoothing: float) -> np.ndarray:
        column = list(self.columns.values())[child]
        counts = np.bincount(self.train[:, child], minlength=self.sizes[child]).astype(float)
        possible = column.possible() if isinstance(column, Bins) else np.ones(len(counts))
        floor = min(smoothing, 1.0) * possible / possible.sum()
        return (counts + floor) / (counts.sum() + floor.sum())

    def _states(self, rows: pd.DataFrame) -> np.ndarray:
        return np.stack([self.columns[name].states(rows[name]) for name in self.columns], axis=1)


def chow_liu(
    train: pd.DataFrame, valid: pd.DataFrame, test: pd.DataFrame, numeric: list[str]
) -> Scored:
    """Return the tree whose number of bins and smoothing suit the validation rows best."""
    started = time.perf_counter()
    best: tuple[float, ChowLiu, int, float] | None = None
    for n_bins in BINS if numeric else BINS[:1]:
        model = ChowLiu(train, numeric, n_bins)
        for smoothing in SMOOTHING:
            score = float(model.log_prob(valid, smoothing).mean())
            if best is None or score > best[0]:
                best = score, model, n_bins, smoothing
    assert best is not None
    score, model, n_bins, smoothing = best
    nats = model.log_prob(test, smoothing)
    chosen = {"bins": n_bins, "smoothing": smoothing}
    return Scored(nats, score, time.perf_counter() - started, chosen)
