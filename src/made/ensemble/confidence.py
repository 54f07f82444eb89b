"""A confidence interval for the mean of bounded terms that holds at any stopping time.

A betting confidence sequence (Waudby-Smith and Ramdas, "Estimating means of bounded random
variables by betting", 2024, section 4): if the mean were m, capital that bets on the terms
being above (or below) m would be a martingale, so it ever reaches 1 / delta with probability at
most delta. The interval holds every m against which no bet has won that much. Knows numbers;
knows nothing of what they mean.
"""

from __future__ import annotations

import math

import numpy as np

# A bet may never lose more than half of the capital in one term.
_LARGEST_LOSS = 0.5
_BISECTIONS = 60


class ConfidenceSequence:
    """An interval for the mean of independent terms in [0, 1], batch by batch.

    The interval covers the mean at all times at once with probability at least ``level``, however
    it is decided when to stop.

    Parameters
    ----------
    level : float
        For example 0.95.

    Examples
    --------
    >>> sequence = ConfidenceSequence(0.95)
    >>> sequence.add(np.random.default_rng(0).random(20000), n_planned=20000)
    >>> lower, upper = sequence.interval()
    >>> bool(lower < 0.5 < upper), bool(upper - lower < 0.03)
    (True, True)
    """

    def __init__(self, level: float) -> None:
        # Half of the error on either side.
        self._log_threshold = math.log(2 / (1 - level))
        self._batches: list[tuple[float, np.ndarray]] = []
        # A quarter is the largest variance there is; it counts as one term.
        self._n, self._sum, self._squares = 1, 0.5, 0.5

    @property
    def n_terms(self) -> int:
        return self._n - 1

    @property
    def mean(self) -> float:
        """The plain mean of the terms, unbiased."""
        total = sum(float(terms.sum()) for _, terms in self._batches)
        return total / max(self.n_terms, 1)

    @property
    def variance(self) -> float:
        """The variance of the terms so far, one term of variance 1/4 added."""
        mean = self._sum / self._n
        return max(self._squares / self._n - mean * mean, 1e-12)

    def n_needed(self, log_width: float) -> int:
        """Return how many terms would make log(upper / lower) as narrow as ``log_width``."""
        mean = max(self._sum / self._n, 1e-12)
        by_variance = 8 * self._log_threshold * self.variance / (mean * log_width) ** 2
        # However small the variance, a bet can only stake so much.
        by_stake = 4 * self._log_threshold / (mean * log_width)
        return math.ceil(max(by_variance, by_stake))

    def add(self, terms: np.ndarray, n_planned: int) -> None:
        """Take a batch. The stake is the best one for stopping after ``n_planned`` terms.

        It depends on what came before alone: that is what makes the interval valid.
        """
        assert len(terms) == 0 or (terms.min() >= 0 and terms.max() <= 1)
        stake = math.sqrt(2 * self._log_threshold / (self.variance * max(n_planned, 1)))
        self._batches.append((stake, np.asarray(terms, dtype=np.float64)))
        self._n += len(terms)
        self._sum += float(terms.sum())
        self._squares += float(np.square(terms).sum())

    def interval(self) -> tuple[float, float]:
        """Return the limits of the mean, rounded outwards."""
        middle = min(max(self.mean, 1e-300), 1.0)
        lower = _border(self._log_capital_above, self._log_threshold, 0.0, middle)
        upper = _border(self._log_capital_below, self._log_threshold, 1.0, middle)
        return lower, upper

    def _log_capital_above(self, mean: float) -> float:
        """Return the log-capital of betting that the terms are above ``mean``: falls with it."""
        total = 0.0
        for stake, terms in self._batches:
            bet = min(stake, _LARGEST_LOSS / mean) if mean > 0 else stake
            total += float(np.log1p(bet * (terms - mean)).sum())
        return total

    def _log_capital_below(self, mean: float) -> float:
        """Return the log-capital of betting that the terms are below ``mean``: grows with it."""
        total = 0.0
        for stake, terms in self._batches:
            bet = min(stake, _LARGEST_LOSS / (1 - mean)) if mean < 1 else stake
            total += float(np.log1p(bet * (mean - terms)).sum())
        return total


def _border(log_capital, threshold: float, outside: float, inside: float) -> float:
    """Return where the capital reaches the threshold, on the side of ``outside``.

    Means at ``outside`` are refuted, if any is; those at ``inside`` are not.
    """
    if log_capital(outside) < threshold or log_capital(inside) >= threshold:
        return outside
    for _ in range(_BISECTIONS):
        middle = 0.5 * (outside + inside)
        if log_capital(middle) >= threshold:
            outside = middle
        else:
            inside = middle
        if abs(inside - outside) <= 1e-6 * inside:
            break
    return outside
