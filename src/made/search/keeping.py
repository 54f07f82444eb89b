"""Which networks make the model: greedily, while the mixture of all members gains by another.

Knows finished models and validation rows; knows nothing of how they were found.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from made.combining import combine, standard_error
from made.ensemble import Certification, Combination, Members
from made.ensemble.ensemble import Ensemble
from made.model import Model
from made.modelfile import FitRecord, Fitted
from made.orderings import Connectivity
from made.progress import NoProgress, Progress
from made.queries.trained import check_orders

MOST_NETWORKS = 24
# Networks that are worth reading, the best alone first.
MOST_CANDIDATES = 36
# What a further network must gain, in standard errors of the difference.
_LEAST_GAIN = 0.5
# Members of a network that was trained on all orderings, if there is time for them.
_MANY_MEMBERS = (64, 32)
# Shares of the time: scoring candidates, scoring further members, measuring other orderings.
_SCORING_SHARE, _WIDENING_SHARE, _CHECKING_SHARE = 0.35, 0.25, 0.15


@dataclass
class _Network:
    """A finished network with its members, and their mean probability of the validation rows."""

    fitted: Fitted
    model: Model
    members: tuple[Connectivity, ...]
    scores: np.ndarray

    @property
    def orderings_are_free(self) -> bool:
        return self.fitted.record.options["n_orderings"] is None


def keep_best(
    candidates: Sequence[Fitted],
    valid: np.ndarray,
    *,
    method: str,
    seed: int,
    max_seconds: float,
    widen: bool = True,
    progress: Progress | None = None,
) -> Fitted:
    """Return one model of the best few of ``candidates``, models of one network each.

    Starting from the best, the network whose members improve the equal mixture of all members most
    is added, until none does by more than half the paired standard error; then the members are
    combined by ``method`` (see `made.choosing`).

    Parameters
    ----------
    candidates : sequence of Fitted
    valid : ndarray, shape (n_rows, n_columns)
    method : str
    seed : int
        Of the draws that certify a normaliser.
    max_seconds : float
        Time for everything; fewer candidates are looked at, and fewer draws made, where it is
        short.
    widen : bool
        Whether networks that were trained on all orderings may have more members than they were
        validated with.
    """
    started = time.monotonic()
    watch = progress or NoProgress()
    ranked = sorted(candidates, key=lambda one: -one.record.validation_log_prob)
    networks: list[_Network] = []
    for number, fitted in enumerate(ranked):
        if networks and time.monotonic() - started > _SCORING_SHARE * max_seconds:
            break
        watch.update(number, len(ranked), "scoring the finished networks")
        model, members = fitted.ensemble.members.networks[0]
        networks.append(_Network(fitted, model, members, _mixture(model, members, valid)))
    seconds_each = (time.monotonic() - started) / sum(len(one.members) for one in networks)
    kept = select([(one.scores, len(one.members)) for one in networks])
    chosen = [networks[place] for place in kept]
    if widen:
        _widen(chosen, valid, seconds_each, _WIDENING_SHARE * max_seconds)
    records = _checked(chosen, valid, seed, _CHECKING_SHARE * max_seconds)
    left = max(max_seconds - (time.monotonic() - started), 0.0)
    choice, combined = combine(
        Members([(one.model, one.members) for one in chosen]),
        valid,
        method,
        Certification(seed=seed, max_seconds=left),
        progress=watch,
    )
    return Fitted(ranked[0].schema, choice.ensemble, records, combined)


def select(scored: Sequence[tuple[np.ndarray, int]]) -> list[int]:
    """Return which networks to keep, by greedy forward selection.

    Parameters
    ----------
    scored : sequence of (ndarray, shape (n_rows,), int)
        Of each network the log of its members' mean probability of each row, and how many members
        it has.

    Examples
    --------
    >>> rows = np.zeros(100)
    >>> rows[::2] = -3.0
    >>> select([(rows, 16), (rows - 0.01, 16), (np.roll(rows, 1), 16)])
    [0, 2]
    """
    kept = [int(np.argmax([scores.mean() for scores, _ in scored]))]
    best, n_members = scored[kept[0]]
    while len(kept) < min(MOST_NETWORKS, len(scored)):
        others = [place for place in range(len(scored)) if place not in kept]
        mixtures = [_added(best, n_members, *scored[place]) for place in others]
        place = int(np.argmax([mixture.mean() for mixture in mixtures]))
        gains = mixtures[place] - best
        if not gains.mean() > _LEAST_GAIN * standard_error(gains):
            break
        best, n_members = mixtures[place], n_members + scored[others[place]][1]
        kept.append(others[place])
    return kept


def _added(first: np.ndarray, n_first: int, second: np.ndarray, n_second: int) -> np.ndarray:
    """Return the log mean probability of the members of both."""
    total = np.log(n_first + n_second)
    return np.logaddexp(first + np.log(n_first) - total, second + np.log(n_second) - total)


def _mixture(model: Model, members: Sequence[Connectivity], valid: np.ndarray) -> np.ndarray:
    """Return log mean_k q_k(x) of each row."""
    scores = Members([(model, members)]).log_probs(torch.as_tensor(valid))
    return Combination.uniform(len(members)).log_mean(scores)


def _widen(
    chosen: list[_Network], valid: np.ndarray, seconds_each: float, max_seconds: float
) -> None:
    """Give networks that were trained on all orderings more members, where there is time.

    Fresh orderings are as good as those that were validated, and a mixture of many is better. All
    such networks get equally many, or none, so that their shares of the mixture stay what they are
    to each other.
    """
    free = [one for one in chosen if one.orderings_are_free]
    if not free:
        return
    for n_members in _MANY_MEMBERS:
        # They are scored here, and once more where they are combined.
        cost = 2 * seconds_each * n_members * len(free)
        if cost > max_seconds or any(len(one.members) >= n_members for one in free):
            continue
        wide = [_with_members(one, n_members, valid) if one in free else one for one in chosen]
        if _of_all(wide).mean() >= _of_all(chosen).mean():
            chosen[:] = wide
        return


def _with_members(network: _Network, n_members: int, valid: np.ndarray) -> _Network:
    options = network.fitted.record.options
    source = network.model.connectivity_source(options["seed"], options["n_orderings"])
    members = tuple(source.members(n_members))
    return replace(network, members=members, scores=_mixture(network.model, members, valid))


def _of_all(networks: Sequence[_Network]) -> np.ndarray:
    """Return the log-probabilities of the equal mixture of all members."""
    scores, n_members = networks[0].scores, len(networks[0].members)
    for one in networks[1:]:
        scores = _added(scores, n_members, one.scores, len(one.members))
        n_members += len(one.members)
    return scores


def _checked(
    chosen: Sequence[_Network], valid: np.ndarray, seed: int, max_seconds: float
) -> tuple[FitRecord, ...]:
    """Return the records of the networks, with what other orderings cost where there is time."""
    started = time.monotonic()
    records = []
    for one in chosen:
        record = one.fitted.record
        if not records or time.monotonic() - started < max_seconds:
            ensemble = Ensemble(Members([one.fitted.ensemble.members.networks[0]]))
            check = check_orders(ensemble, valid, seed, fixed=not one.orderings_are_free)
            record = replace(record, order_check=check)
        records.append(record)
    return tuple(records)
