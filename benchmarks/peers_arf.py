"""The density of an adversarial random forest, from the parameters that arfpy's `forde` returns.

    .venv-arf/bin/python benchmarks/peers_arf.py ROWS.npz SCORES.npz --seed 0
    .venv-arf/bin/python benchmarks/peers_arf.py --check

arfpy draws rows but scores none. Its model of real columns is a mixture: of the trees, with equal
weights, and in each tree of its leaves, weighted by the share of the training rows in them
(Watson, Blesch, Kapar, Wright 2023, section 4). In a leaf the columns are independent normals
truncated at the leaf's borders. The leaves of a tree are disjoint, so a row has one in each tree:

    p(x) = 1/T sum_t coverage(leaf_t(x)) prod_d truncated_normal(x_d; leaf_t(x), d)

This runs in an environment of its own and imports nothing of the benchmark.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from arfpy import arf
from scipy.special import logsumexp
from scipy.stats import truncnorm

NODE_SIZES = (100, 30, 10, 5)
_CHUNK = 20000


@dataclass
class ForestDensity:
    """The leaves of a forest.

    Attributes
    ----------
    forest : RandomForestClassifier
    leaves : list of array (n_nodes,)
        For each tree the number, in the arrays below, of each of its nodes; -1 for no leaf.
    log_coverage : array (n_leaves,)
    mean, sd, lower, upper : arrays (n_leaves, n_columns)
    """

    forest: Any
    leaves: list[np.ndarray]
    log_coverage: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def fit(
        cls, rows: np.ndarray, min_node_size: int, seed: int, num_trees: int = 30
    ) -> ForestDensity:
        """Fit the forest, with arfpy's own defaults but for the size of a leaf."""
        names = [f"x{d:03d}" for d in range(rows.shape[1])]
        # arfpy shuffles by the global generator; the forest takes a seed of its own.
        np.random.seed(seed)  # noqa: NPY002
        model = arf.arf(
            pd.DataFrame(rows, columns=names),
            num_trees=num_trees,
            min_node_size=min_node_size,
            verbose=False,
            random_state=seed,
        )
        parameters = model.forde()["cnt"]
        wide = parameters.pivot(index=["tree", "nodeid"], columns="variable")
        coverage = model.bnds.groupby(["tree", "nodeid"])["cvg"].first().reindex(wide.index)
        leaves = []
        for tree, fitted in enumerate(model.clf.estimators_):
            numbers = np.full(fitted.tree_.node_count, -1)
            own = wide.index.get_level_values("tree") == tree
            numbers[wide.index.get_level_values("nodeid")[own]] = np.flatnonzero(own)
            leaves.append(numbers)
        arrays = [wide[name][names].to_numpy() for name in ("mean", "sd", "min", "max")]
        with np.errstate(divide="ignore"):
            return cls(model.clf, leaves, np.log(coverage.to_numpy()), *arrays)

    def log_prob(self, rows: np.ndarray) -> np.ndarray:
        """Return nats of each row, (n_rows,)."""
        parts = np.array_split(rows, -(-len(rows) // _CHUNK))
        return np.concatenate([self._log_prob(part) for part in parts])

    def _log_prob(self, rows: np.ndarray) -> np.ndarray:
        nodes = self.forest.apply(pd.DataFrame(rows, columns=self.forest.feature_names_in_))
        terms = np.full(nodes.shape, -np.inf)
        for tree, numbers in enumerate(self.leaves):
            leaf = numbers[nodes[:, tree]]
            known = leaf >= 0
            leaf = leaf[known]
            mean, sd = self.mean[leaf], self.sd[leaf]
            lower, upper = (self.lower[leaf] - mean) / sd, (self.upper[leaf] - mean) / sd
            densities = truncnorm.logpdf(rows[known], lower, upper, loc=mean, scale=sd)
            terms[known, tree] = self.log_coverage[leaf] + densities.sum(axis=1)
        return logsumexp(terms, axis=1) - np.log(len(self.leaves))


def single(rows: np.ndarray) -> np.ndarray:
    """Return the values that the forest sees: it rounds to single precision before splitting."""
    return rows.astype(np.float32).astype(float)


def check(seed: int) -> float:
    """Return the integral of the density of two columns, by quadrature between all borders."""
    generator = np.random.default_rng(seed)
    first = generator.normal(size=200)
    rows = single(np.stack([first, first**2 + generator.normal(size=200)], axis=1))
    density = ForestDensity.fit(rows, 5, seed, num_trees=3)
    points, weights = np.polynomial.legendre.leggauss(4)
    axes = []
    for column in range(2):
        borders = np.concatenate([density.lower[:, column], density.upper[:, column]])
        inner = np.unique(borders[np.isfinite(borders)])
        outside = 12.0 * rows[:, column].std()
        tails = np.linspace(0.0, outside, 30)[1:]
        edges = np.concatenate([inner[0] - tails[::-1], inner, inner[-1] + tails])
        # Long pieces are cut, as four points resolve a normal over a piece of a fraction of its sd.
        edges = np.unique(np.concatenate([edges, np.linspace(edges[0], edges[-1], 200)]))
        half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
        axes.append(((middle[:, None] + half[:, None] * points).ravel(),
                     (half[:, None] * weights).ravel()))  # fmt: skip
    (x, wx), (y, wy) = axes
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    return float(np.exp(density.log_prob(single(grid))) @ np.outer(wx, wy).ravel())


def choose(
    train: np.ndarray, valid: np.ndarray, seed: int, seconds: float
) -> tuple[ForestDensity, float, dict[str, Any]]:
    """Return the forest whose leaf size suits the validation rows best.

    Leaves get smaller, down to arfpy's default of 5, and take longer to grow: what would not fit
    into the processor time, by the time of the size before, is left out.
    """
    best: tuple[ForestDensity, float, int] | None = None
    tried: dict[str, float] = {}
    took = 0.0
    started = time.process_time()
    for size in NODE_SIZES:
        if best and time.process_time() - started + 2.0 * took > seconds:
            break
        if 4 * size > len(train):
            continue
        before = time.process_time()
        density = ForestDensity.fit(single(train), size, seed)
        score = float(density.log_prob(single(valid)).mean())
        took = time.process_time() - before
        tried[f"min_node_size {size}"] = score
        if best is None or score > best[1]:
            best = density, score, size
    assert best is not None
    density, score, size = best
    return density, score, {"min_node_size": size, "tried": tried}


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("rows", type=Path, nargs="?", help="an .npz with train, valid, test")
    command.add_argument("scores", type=Path, nargs="?", help="where the scores are written")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--seconds", type=float, default=600.0)
    command.add_argument("--check", action="store_true", help="integrate a density of two columns")
    arguments = command.parse_args()
    if arguments.check:
        print(json.dumps({"integral": check(arguments.seed)}))
        return
    started = time.perf_counter()
    with np.load(arguments.rows) as arrays:
        train, valid, test = (arrays[name] for name in ("train", "valid", "test"))
    density, score, chosen = choose(train, valid, arguments.seed, arguments.seconds)
    np.savez(
        arguments.scores,
        test=density.log_prob(single(test)),
        valid=score,
        seconds=time.perf_counter() - started,
        chosen=json.dumps(chosen),
    )


if __name__ == "__main__":
    main()
