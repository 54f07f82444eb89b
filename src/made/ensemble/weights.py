"""Weights of members, learned on held-out rows: EM for the mixture, the simplex for the product.

Knows matrices of member log-probabilities, (n_rows, n_members); knows nothing of models or data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from made.errors import OptionError

_MAX_STEPS = 2000
# Rows whose responsibilities are held at once, times members.
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class LearnedWeights:
    """Weights, and how far they are from the best.

    Attributes
    ----------
    weights : ndarray of float64, shape (n_members,)
    log_likelihood : float
        Mean nats a row of the rows that they were learned on.
    gap : float
        The best log-likelihood of any weights is above ``log_likelihood`` by at most this.
    objectives : ndarray
        The objective at every step, never falling.
    """

    weights: np.ndarray
    log_likelihood: float
    gap: float
    objectives: np.ndarray


def learn_mixture(
    log_probs: np.ndarray,
    concentration: float = 1.0,
    tolerance: float = 1e-4,
    max_steps: int = _MAX_STEPS,
) -> LearnedWeights:
    """Return mixture weights by EM under a Dirichlet prior.

        w_k <- max(0, sum_n r_nk + c - 1), normalised;  r_nk = w_k q_k(x_n) / mix(x_n)

    At c = 1 this is maximum likelihood, concave; with g_k = mean_n q_k(x_n) / mix(x_n), no
    weights are better by more than log max_k g_k. c > 1 smooths. c < 1 prunes: its posterior is
    unbounded, so members are dropped one at a time from the optimum of c = 1, the lightest
    first, while one has less than 1 - c rows to its name; the last is never dropped.

    Parameters
    ----------
    log_probs : ndarray, shape (n_rows, n_members)
    concentration : float
        c, above 0.
    tolerance : float
        Nats a row: EM ends when the gap is at most this (c = 1) or a step gains less than a
        hundred-thousandth of it.
    max_steps : int

    Examples
    --------
    >>> good, bad = np.full((50, 1), -1.0), np.full((50, 1), -3.0)
    >>> learn_mixture(np.hstack([good, bad]), 0.5).weights
    array([1., 0.])
    """
    if not concentration > 0 or not np.isfinite(concentration):
        raise OptionError(f"The Dirichlet concentration must be above 0, got {concentration}.")
    n_rows, n_members = log_probs.shape
    if n_rows == 0:
        raise OptionError("Weights are learned from rows, and there are none.")
    weights = np.full(n_members, 1 / n_members)
    extra = max(concentration - 1, 0.0)
    weights, objectives = _em(log_probs, weights, extra, tolerance, max_steps)
    if concentration < 1:
        weights = _prune(log_probs, weights, concentration, tolerance, max_steps)
        objectives = np.array([])
    log_likelihood, counts = _expect(log_probs, weights)
    return LearnedWeights(weights, log_likelihood, _gap(log_probs, weights, counts), objectives)


def mixture_gap(log_probs: np.ndarray, weights: np.ndarray) -> float:
    """Return a bound on what the best mixture weights gain over ``weights``, nats a row."""
    return _gap(log_probs, weights, _expect(log_probs, weights)[1])


def _em(
    log_probs: np.ndarray, weights: np.ndarray, extra: float, tolerance: float, max_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights where EM ends and the penalised mean log-likelihood on the way."""
    n_rows = len(log_probs)
    objectives: list[float] = []
    for _ in range(max_steps):
        log_likelihood, counts = _expect(log_probs, weights)
        with np.errstate(divide="ignore"):
            prior = extra * float(np.log(weights).sum()) / n_rows if extra else 0.0
        objectives.append(log_likelihood + prior)
        if not extra and _gap(log_probs, weights, counts) <= tolerance:
            break
        if len(objectives) > 1 and objectives[-1] - objectives[-2] < 1e-5 * tolerance:
            break
        weights = (counts + extra) / (n_rows + extra * len(weights))
    return weights, np.array(objectives)


def _prune(
    log_probs: np.ndarray,
    weights: np.ndarray,
    concentration: float,
    tolerance: float,
    max_steps: int,
) -> np.ndarray:
    """Return weights under a prior of concentration below 1, members dropped one at a time."""
    needed = 1 - concentration
    kept = np.flatnonzero(weights > 0)
    inside = weights[kept] / weights[kept].sum()
    while True:
        _, counts = _expect(log_probs[:, kept], inside)
        if len(kept) == 1:
            break
        lightest = int(np.argmin(counts))
        if counts[lightest] > needed:
            # Nobody is below the border: settle, and look again.
            settled = np.maximum(counts - needed, 0.0)
            settled /= settled.sum()
            if np.abs(settled - inside).max() < 1e-6:
                break
            inside = settled
            max_steps -= 1
            if max_steps <= 0:
                break
            continue
        kept = np.delete(kept, lightest)
        rest = np.delete(inside, lightest)
        total = rest.sum()
        inside = rest / total if total > 0 else np.full(len(kept), 1 / len(kept))
        # The rows of the one that left find other members before the next one is judged.
        inside, _ = _em(log_probs[:, kept], inside, 0.0, tolerance, 20)
    result = np.zeros(log_probs.shape[1])
    result[kept] = inside
    return result


def _expect(log_probs: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean log-likelihood and the rows that each member answers for."""
    n_rows, n_members = log_probs.shape
    counts = np.zeros(n_members)
    total = 0.0
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)
    step = max(_CHUNK_CELLS // n_members, 1)
    for start in range(0, n_rows, step):
        terms = log_probs[start : start + step] + log_weights
        largest = terms.max(axis=1, keepdims=True)
        np.exp(terms - largest, out=terms)
        sums = terms.sum(axis=1, keepdims=True)
        total += float((np.log(sums) + largest).sum())
        counts += (terms / sums).sum(axis=0)
    return total / n_rows, counts


def _gap(log_probs: np.ndarray, weights: np.ndarray, counts: np.ndarray) -> float:
    """Return log max_k g_k, g_k = mean_n q_k(x_n) / mix(x_n), which is 0 at the optimum."""
    kept = weights > 0
    # A member of weight above 0 has g_k = counts_k / (n w_k); the others are looked up.
    ratios = counts[kept] / (len(log_probs) * weights[kept])
    largest = float(ratios.max())
    if not kept.all():
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights[kept])
        step = max(_CHUNK_CELLS // log_probs.shape[1], 1)
        sums = np.zeros(int((~kept).sum()))
        for start in range(0, len(log_probs), step):
            rows = log_probs[start : start + step]
            mixture = np.logaddexp.reduce(rows[:, kept] + log_weights, axis=1)
            with np.errstate(over="ignore"):
                sums += np.exp(rows[:, ~kept] - mixture[:, None]).sum(axis=0)
        largest = max(largest, float(sums.max()) / len(log_probs))
    return max(float(np.log(largest)), 0.0)


def learn_product(
    log_probs: np.ndarray,
    drawn_log_probs: np.ndarray,
    drawn_log_proposal: np.ndarray,
    tolerance: float = 1e-4,
    max_steps: int = _MAX_STEPS,
) -> LearnedWeights:
    """Return the weights of a product of experts by exponentiated gradient on the simplex.

    Maximises mean_n sum_k w_k log q_k(x_n) - log Z(w), concave in w; its gradient is the mean
    member log-probability under the data less that under the product. Z and the product are
    represented by draws of a proposal, weighed by M_w / proposal.

    Parameters
    ----------
    log_probs : ndarray, shape (n_rows, n_members)
        Of the rows to learn from.
    drawn_log_probs : ndarray, shape (n_draws, n_members)
        Of rows drawn from the proposal.
    drawn_log_proposal : ndarray, shape (n_draws,)
        Log-probability of the drawn rows under the proposal.

    Returns
    -------
    LearnedWeights
        ``log_likelihood`` and ``gap`` use the estimate of Z by these draws.
    """
    if not len(log_probs):
        raise OptionError("Weights are learned from rows, and there are none.")
    n_members = log_probs.shape[1]
    data_mean = log_probs.mean(axis=0)
    weights = np.full(n_members, 1 / n_members)

    def value_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
        terms = drawn_log_probs @ w - drawn_log_proposal
        largest = terms.max()
        shares = np.exp(terms - largest)
        total = shares.sum()
        log_z = largest + np.log(total / len(terms))
        return float(data_mean @ w - log_z), data_mean - (shares / total) @ drawn_log_probs

    value, gradient = value_and_gradient(weights)
    objectives, rate = [value], 1.0
    for _ in range(max_steps):
        # By concavity no weights are better by more than this.
        gap = float(gradient.max() - gradient @ weights)
        if gap <= tolerance:
            break
        while rate > 1e-12:
            moved = weights * np.exp(rate * (gradient - gradient.max()))
            moved /= moved.sum()
            new_value, new_gradient = value_and_gradient(moved)
            if new_value >= value:
                break
            rate *= 0.5
        else:
            break
        weights, value, gradient = moved, new_value, new_gradient
        objectives.append(value)
        rate *= 1.3
    gap = max(float(gradient.max() - gradient @ weights), 0.0)
    return LearnedWeights(weights, value, gap, np.array(objectives))
