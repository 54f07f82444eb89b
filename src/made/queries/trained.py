"""How well a model answers with the evidence first, measured on rows that it was not trained on.

A model that was trained on a fixed list of orderings has never met most of those that put evidence
first: their conditionals are normalised, but nobody taught them. The other way is to leave the
orderings as they were and weigh draws by the evidence (sequential importance sampling). Knows
ensembles and values; knows nothing of tables.
"""

from __future__ import annotations

import numpy as np
import torch

from made.ensemble import Ensemble
from made.order_check import OrderCheck
from made.queries.asking import conditional_of_rows
from made.queries.masses import Constraint, draw_particles
from made.uniforms import PARTICLES, derived_seed, generator, uniforms

_N_SETS, _MOST_ROWS, _MOST_PARTICLE_ROWS, _PARTICLES = 4, 256, 64, 64


def check_orders(
    ensemble: Ensemble, values: np.ndarray, seed: int, *, fixed: bool
) -> OrderCheck | None:
    """Return what other orderings cost on some validation rows; None for a single column.

    Parameters
    ----------
    ensemble : Ensemble
        Its mixture is measured.
    values : ndarray, shape (n_rows, n_columns)
    seed : int
    fixed : bool
        Whether training cycled through a list of orderings.
    """
    n_columns = values.shape[1]
    rows = np.asarray(values[:_MOST_ROWS], dtype=np.float64)
    if n_columns < 2 or not len(rows):
        return None
    mixture = Ensemble(ensemble.members, ensemble.combination.mixture())
    random = generator(seed, PARTICLES)
    losses, squares, firsts, weighed = [], [], [], []
    own = mixture.log_prob(torch.as_tensor(rows))
    for number in range(_N_SETS):
        order = random.permutation(n_columns).tolist()
        evidence, target = order[: random.integers(1, n_columns)], order[-1]
        first = mixture.first(evidence).members
        support = mixture.combination.support
        other = mixture.combination.log_mean(first.log_probs(torch.as_tensor(rows), support))
        both = np.isfinite(own) & np.isfinite(other)
        losses.append(float((own - other)[both].mean()))
        squares.append(float(np.square((own - other)[both]).mean()))
        if fixed:
            few = rows[:_MOST_PARTICLE_ROWS]
            conditional = conditional_of_rows(mixture, target, few, evidence)
            one = conditional.log_prob_of_values(few[:, target])
            two = _by_particles(
                mixture, few, evidence, target, derived_seed(seed, PARTICLES, number)
            )
            both = np.isfinite(one) & np.isfinite(two)
            firsts.append(float(one[both].mean()))
            weighed.append(float(two[both].mean()))
    return OrderCheck(
        loss=float(np.mean(losses)),
        disagreement=float(np.mean(squares) ** 0.5),
        orderings=float(np.mean(firsts)) if fixed else None,
        particles=float(np.mean(weighed)) if fixed else None,
        n_rows=len(rows),
    )


def _by_particles(
    ensemble: Ensemble, rows: np.ndarray, evidence: list[int], target: int, seed: int
) -> np.ndarray:
    """Return an estimate of log p(target | evidence) of each row: a ratio of mean weights."""
    beginnings = ensemble.first([*evidence, target], as_trained=True)
    n_each = _PARTICLES
    sums = []
    for known in ([*evidence, target], evidence):
        total = np.full(len(rows), -np.inf)
        for place, group in enumerate(beginnings.groups):
            n_drawn = max(round(n_each * group.weight), 1)
            many = rows.repeat(n_drawn, axis=0)
            drawn = uniforms(derived_seed(seed, PARTICLES, place), 0, len(many), rows.shape[1])
            particles = draw_particles(
                group, Constraint({}), drawn, group.n_columns,
                {column: many[:, column] for column in known},
            )  # fmt: skip
            own = particles.log_weights.reshape(len(rows), n_drawn)
            mean = np.logaddexp.reduce(own, axis=1) + np.log(group.weight / n_drawn)
            total = np.logaddexp(total, mean)
        sums.append(total)
    with np.errstate(invalid="ignore"):
        return sums[0] - sums[1]
