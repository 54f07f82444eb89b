"""Every way to combine the same members, with its normaliser bounded, and how each scores.

Weights and powers see validation rows and half of the drawn rows; the other half bounds Z; test
rows come last. Knows members and rows; knows nothing of suites, files or how members were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from made.benchmark.results import (
    BEST_POWER,
    EM,
    KEPT,
    MEAN,
    MIXTURE,
    PRODUCT,
    SMOOTH_EM,
    SPARSE_EM,
)
from made.combining import standard_error
from made.ensemble import Combination, Ensemble, Members, learn_mixture
from made.ensemble.confidence import ConfidenceSequence
from made.ensemble.draws import draw_mixture

# Rows times members that are drawn and scored for each number of members.
DRAWN_CELLS, LEAST_DRAWN, MOST_DRAWN = 2**20, 2048, 16384
BATCH_DRAWN = 512
LEVEL = 0.95
POWERS = [tenths / 10 for tenths in range(10)]
LEARNING_STEPS = 500
# Rows times members times steps of EM: a minute at most.
LEARNING_CELLS = 1e9
_CONCENTRATIONS = {EM: 1.0, SMOOTH_EM: 5.0, SPARSE_EM: 0.5}


@dataclass(frozen=True)
class Normalizer:
    """log Z: its estimate and limits, and from how many draws; of a mixture it is 0."""

    estimate: float = 0.0
    lower: float = 0.0
    upper: float = 0.0
    n_draws: int = 0


@dataclass(frozen=True)
class Entry:
    """A combination of the first members, ready to be scored."""

    name: str
    combination: Combination
    normalizer: Normalizer = Normalizer()

    def scores(self, log_probs: np.ndarray) -> np.ndarray:
        """Return conservative nats of each row, from the log-probs of all members."""
        used = log_probs[:, self.combination.support]
        return self.combination.log_mean(used) - self.normalizer.upper


def mean_member(n_members: int) -> Entry:
    """Return what a single member scores in the mean.

    It is the product without its normaliser: the mean of the members' nats.
    """
    return Entry(MEAN, Combination.uniform(n_members, 0.0))


def mixture(n_members: int) -> Entry:
    """Return the mixture of equal weights."""
    return Entry(MIXTURE, Combination.uniform(n_members))


def mixtures(
    valid: np.ndarray,
    names: Sequence[str] = tuple(_CONCENTRATIONS),
    max_steps: int = LEARNING_STEPS,
) -> list[Entry]:
    """Return mixtures whose weights EM learned from the members' log-probs of validation rows."""
    learned = {
        name: learn_mixture(valid, _CONCENTRATIONS[name], max_steps=max_steps) for name in names
    }
    return [Entry(name, Combination(found.weights)) for name, found in learned.items()]


def draw(members: Members, weights: np.ndarray, n_drawn: int, seed: int) -> np.ndarray:
    """Return log-probs, under the first members if they have weight, of rows of their mixture."""
    padded = np.pad(weights, (0, len(members) - len(weights)))
    rows = draw_mixture(members, padded, 0, n_drawn, seed)
    return members.log_probs(torch.as_tensor(rows), np.flatnonzero(weights))


def drawn_evenly(members: Members, n_members: int, seed: int) -> np.ndarray:
    """Return log-probs of rows from the mixture of the first members, equally weighted."""
    n_drawn = int(np.clip(DRAWN_CELLS // n_members, LEAST_DRAWN, MOST_DRAWN))
    return draw(members, Combination.uniform(n_members).weights, n_drawn, seed + 1)


def bound(combination: Combination, drawn: np.ndarray) -> Normalizer:
    """Return log Z with limits, from rows of the mixture of the same weights."""
    terms = np.exp(combination.log_ratio(drawn))
    sequence = ConfidenceSequence(LEVEL)
    for start in range(0, len(terms), BATCH_DRAWN):
        sequence.add(terms[start : start + BATCH_DRAWN], n_planned=len(terms))
    tiny = np.finfo(float).tiny
    estimate, lower, upper = np.log(np.maximum((sequence.mean, *sequence.interval()), tiny))
    return Normalizer(float(estimate), float(lower), float(upper), len(terms))


def halves(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that may tune, and the fresh ones that bound what was tuned."""
    return drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]


def product(n_members: int, drawn: np.ndarray) -> Entry:
    """Return the product of equal weights. Nothing of it was tuned, so all rows bound it."""
    combination = Combination.uniform(n_members, 0.0)
    return Entry(PRODUCT, combination, bound(combination, drawn))


def best_power(valid: np.ndarray, drawn: np.ndarray) -> Entry:
    """Return the power below 1 that is best on validation rows; other draws tune it than bound it.

    Parameters
    ----------
    valid, drawn : ndarray, shape (n_rows, n_members)
        Log-probs of the members on validation rows, and on rows from their mixture.
    """
    tuning, fresh = halves(drawn)
    candidates = [Combination.uniform(valid.shape[1], power) for power in POWERS]
    tuned = [Entry("", power, bound(power, tuning)) for power in candidates]
    best = max(tuned, key=lambda entry: entry.scores(valid).mean()).combination
    return Entry(BEST_POWER, best, bound(best, fresh))


def kept(ensemble: Ensemble) -> Entry:
    """Return the combination that a model was saved with, bounded by its own certificate."""
    known = ensemble.certificate
    normalizer = Normalizer(known.log_normalizer, known.lower, known.upper, known.n_draws)
    return Entry(KEPT, ensemble.combination, normalizer)


def all_entries(ensemble: Ensemble, valid: np.ndarray, seed: int) -> list[Entry]:
    """Return every combination of the members of a model, from their log-probs of validation rows.

    The kept one comes last.
    """
    n_members = valid.shape[1]
    drawn = drawn_evenly(ensemble.members, n_members, seed)
    max_steps = int(np.clip(LEARNING_CELLS / valid.size, 20, LEARNING_STEPS))
    return [
        mean_member(n_members),
        mixture(n_members),
        *mixtures(valid, (SMOOTH_EM,), max_steps),
        product(n_members, drawn),
        best_power(valid, drawn),
        kept(ensemble),
    ]


def figures(entry: Entry, valid: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Return what a combination scores; ``gain`` is over the equal mixture, paired by test rows.

    Parameters
    ----------
    valid, test : ndarray, shape (n_rows, n_members)
        Log-probs of all members.
    """
    on_valid, on_test = entry.scores(valid), entry.scores(test)
    gain = on_test - mixture(test.shape[1]).scores(test)
    normalizer = entry.normalizer
    return {
        "combination": entry.name,
        "n_members": len(entry.combination.support),
        "power": float(entry.combination.power),
        **_negative("validation", on_valid),
        **_negative("test", on_test),
        "gain": float(gain.mean()),
        "gain_standard_error": standard_error(gain),
        "log_normalizer": normalizer.estimate,
        "log_normalizer_lower": normalizer.lower,
        "log_normalizer_upper": normalizer.upper,
        "draws": normalizer.n_draws,
    }


def by_orderings(valid: np.ndarray) -> list[tuple[int, float]]:
    """Return validation nats, negative, of the mixture of the first 1, 2, 4, ... and all members.

    Examples
    --------
    >>> by_orderings(np.log([[0.2, 0.4, 0.6]]))[:2]
    [(1, 1.6094379124341003), (2, 1.203972804325936)]
    """
    n_members = valid.shape[1]
    sizes = [2**n for n in range(n_members.bit_length()) if 2**n < n_members] + [n_members]
    return [(size, -float(mixture(size).scores(valid).mean())) for size in sizes]


def _negative(name: str, scores: np.ndarray) -> dict[str, float]:
    return {
        f"{name}_nll": -float(scores.mean()),
        f"{name}_standard_error": standard_error(scores),
    }
