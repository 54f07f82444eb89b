"""Weights, power and branches: log q_1 .. log q_K of a row -> the log of their power mean.

    M_a(x) = ( sum_k w_k q_k(x)^a )^(1/a),    M_0(x) = prod_k q_k(x)^{w_k}

Power 1 is the mixture, which is normalised; below it M_a <= M_1 pointwise (power means grow with
their power), so its normaliser is at most 1. Knows arrays of log-probabilities; knows nothing of
models, or of what the normaliser is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from made.errors import OptionError

_SMALL_POWER = 1e-3
# Below this the geometric mean is nearer than rounding.
_NO_POWER = 1e-12


@dataclass(frozen=True, eq=False)
class Combination:
    """A power mean of members, or a power mean of branches that are power means of members.

    With branches B, the weight of a branch is W_B = sum of w_k in B, and

        M(x) = ( sum_B W_B M_B(x)^a )^(1/a),  M_B = ( sum_{k in B} (w_k / W_B) q_k^b )^(1/b)

    Parameters
    ----------
    weights : ndarray of float64, shape (n_members,)
        Non-negative, summing to 1. A member of weight 0 takes no part.
    power : float
        a, from 0 (product of experts) to 1 (mixture).
    branches : ndarray of int, shape (n_members,), optional
        The branch of each member, numbered from 0.
    branch_power : float
        b, used where there are branches.
    """

    weights: np.ndarray
    power: float = 1.0
    branches: np.ndarray | None = None
    branch_power: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", check_weights(self.weights))
        for power in (self.power, self.branch_power):
            check_power(power)
        if self.branches is not None:
            branches = np.asarray(self.branches, dtype=np.int64)
            in_range = ((branches >= 0) & (branches < len(self.weights))).all()
            if branches.shape != self.weights.shape or not in_range:
                raise OptionError(
                    f"There are {len(self.weights)} members and {branches.size} numbers of "
                    "branches; each member needs one, from 0 up and below the number of members."
                )
            object.__setattr__(self, "branches", branches)

    @classmethod
    def uniform(cls, n_members: int, power: float = 1.0) -> Combination:
        """Return the combination of equal weights."""
        return cls(np.full(n_members, 1 / n_members), power)

    @property
    def n_members(self) -> int:
        return len(self.weights)

    @property
    def support(self) -> np.ndarray:
        """The members of weight above 0, ascending."""
        return np.flatnonzero(self.weights > 0)

    @property
    def is_mixture(self) -> bool:
        """Whether this is a plain mixture, whose normaliser is 1."""
        in_branches = self.branches is not None and self.n_branches > 1
        only_one = len(self.support) == 1
        flat = self.power if self.branches is None else self.branch_power
        if not in_branches:
            return only_one or flat == 1
        return only_one or (self.power == 1 and self.branch_power == 1)

    @property
    def n_branches(self) -> int:
        """How many branches have weight; 0 for a flat combination."""
        return 0 if self.branches is None else len(np.unique(self.branches[self.support]))

    @property
    def name(self) -> str:
        """What this is, in words."""
        if self.is_mixture:
            return "mixture"
        if self.branches is None:
            return "product of experts" if self.power == 0 else f"power mean {self.power:g}"
        outer = "product" if self.power == 0 else f"power mean {self.power:g}"
        inner = "mixtures" if self.branch_power == 1 else f"power means {self.branch_power:g}"
        return f"{outer} of {self.n_branches} {inner}"

    def mixture(self) -> Combination:
        """Return the mixture of the same weights, which is never below this combination."""
        return Combination(self.weights)

    def between(self, fraction: float) -> Combination:
        """Return a combination on the way from the mixture (0) to this one (1), powers falling."""
        return replace(
            self,
            power=1 - fraction * (1 - self.power),
            branch_power=1 - fraction * (1 - self.branch_power),
        )

    def given(self, log_probs: np.ndarray) -> Combination:
        """Return the combination of the members' conditionals, given evidence E.

        M(E, x) as a function of x is, up to a factor, a combination of the q_k(x | E) of the same
        powers, whose weights are in proportion to w_k q_k(E)^b within a branch and those of
        branches to W_B (sum_k (w_k / W_B) q_k(E)^b)^(a / b); of a mixture that is Bayes' rule, and
        where a power is 0 nothing changes.

        Parameters
        ----------
        log_probs : ndarray, shape (n_support,)
            log q_k(E) of the members in `support`, not all of them -inf.
        """
        support = self.support
        weights = np.zeros(self.n_members)
        if self.branches is None:
            weights[support] = _updated(self.weights[support], log_probs, self.power)
            return replace(self, weights=weights)
        branches = self.branches[support]
        shares, means = [], []
        for branch in np.unique(branches):
            inside = branches == branch
            own = self.weights[support][inside]
            shares.append(own.sum())
            within = own / shares[-1]
            means.append(power_mean(log_probs[None, inside], within, self.branch_power)[0])
            weights[support[inside]] = _updated(within, log_probs[inside], self.branch_power)
        updated = _updated(np.array(shares), np.array(means), self.power)
        weights[support] *= updated[np.searchsorted(np.unique(branches), branches)]
        return replace(self, weights=weights)

    def log_mean(self, log_probs: np.ndarray) -> np.ndarray:
        """Return log M(x), not normalised, shape ``(n_rows,)``.

        Parameters
        ----------
        log_probs : ndarray, shape (n_rows, n_support)
            Log-probabilities of the members in `support`.
        """
        weights = self.weights[self.support]
        if self.branches is None:
            return power_mean(log_probs, weights, self.power)
        branches = self.branches[self.support]
        means, shares = [], []
        for branch in np.unique(branches):
            inside = branches == branch
            shares.append(weights[inside].sum())
            within = weights[inside] / shares[-1]
            means.append(power_mean(log_probs[:, inside], within, self.branch_power))
        return power_mean(np.stack(means, axis=1), np.array(shares), self.power)

    def log_ratio(self, log_probs: np.ndarray) -> np.ndarray:
        """Return log M(x) / M_1(x), never above 0, where M_1 is the mixture of these weights."""
        mixture = power_mean(log_probs, self.weights[self.support], 1.0)
        # Above 0 by rounding only.
        return np.minimum(self.log_mean(log_probs) - mixture, 0.0)

    def log_bound(self, proposal: np.ndarray) -> float:
        """Return the log of a bound on M(x) / sum_k v_k q_k(x) for other weights v.

        Without branches the Renyi divergence of order 1 / (1 - a) of w from v:

            log( sum_k w_k^s v_k^(1-s) ) / (s - 1),   s = 1 / (1 - a)

        which is the Kullback-Leibler divergence at a = 0 and log max w_k / v_k at a = 1; with
        branches the latter, which bounds them all.
        """
        weights, chosen = self.weights[self.support], proposal[self.support]
        if (chosen <= 0).any():
            return float("inf")
        log_ratios = np.log(weights / chosen)
        if self.branches is not None or self.power == 1:
            return max(float(log_ratios.max()), 0.0)
        # The divergence is a power mean of the ratios, of power s - 1.
        order = self.power / (1 - self.power)
        return max(float(power_mean(log_ratios[None], weights, order)[0]), 0.0)


def _updated(weights: np.ndarray, log_probs: np.ndarray, power: float) -> np.ndarray:
    """Return weights in proportion to ``weights * exp(power * log_probs)``."""
    if power < _NO_POWER:
        return weights
    scaled = power * (log_probs - log_probs.max())
    updated = weights * np.exp(scaled)
    return updated / updated.sum()


def power_mean(log_values: np.ndarray, weights: np.ndarray, power: float) -> np.ndarray:
    """Return the log of the power mean over the last axis, from logs of the values.

    Examples
    --------
    >>> logs, halves = np.log([[1.0, 4.0]]), np.array([0.5, 0.5])
    >>> [float(np.exp(power_mean(logs, halves, a))[0].round(6)) for a in (0.0, 0.5, 1.0)]
    [2.0, 2.25, 2.5]
    """
    if power < _NO_POWER:
        return log_values @ weights
    # From the largest value down; where all are zero, so is the mean.
    largest = log_values.max(axis=1)
    finite = np.where(np.isfinite(largest), largest, 0.0)
    scaled = power * (log_values - finite[:, None])
    if power < _SMALL_POWER:
        # The sum is near 1: its distance from 1 is what counts.
        return finite + np.log1p(np.expm1(scaled) @ weights) / power
    with np.errstate(divide="ignore"):
        return finite + np.log(np.exp(scaled) @ weights) / power


def check_weights(weights: np.ndarray | Sequence[float]) -> np.ndarray:
    """Return the weights as float64 that sum to 1, or raise `OptionError`."""
    checked = np.asarray(weights, dtype=np.float64)
    if checked.ndim != 1 or not len(checked):
        raise OptionError("Weights must be a list of numbers, one for each member.")
    if not np.isfinite(checked).all() or (checked < 0).any():
        raise OptionError(
            f"Weights must be non-negative numbers; the smallest is {checked.min():.6g}."
        )
    total = checked.sum()
    if total == 0:
        raise OptionError("All weights are zero: every member is pruned. Keep at least one.")
    if abs(total - 1) > 1e-6:
        raise OptionError(f"Weights must sum to 1; they sum to {total:.6g}.")
    # What sums to 1 up to rounding is left to the last bit.
    return checked if abs(total - 1) < 1e-12 else checked / total


def check_power(power: float) -> float:
    """Return the power, or raise `OptionError` if it does not lie in [0, 1]."""
    if isinstance(power, bool) or not isinstance(power, (int, float, np.floating)):
        raise OptionError(f"power must be a number from 0 to 1, got {power!r}.")
    if not 0 <= power <= 1:
        raise OptionError(
            f"power must lie between 0 (product of experts) and 1 (mixture), got {power:g}. Above "
            "1 the mean is no longer below the mixture, and below 0 it is small wherever one "
            "member is: neither normaliser could be bounded by these draws."
        )
    return float(power)
